"""Evaluations cut into pieces that any worker does, and joined to runs."""
