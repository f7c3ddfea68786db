"""Figures: what is drawn, as values, and matplotlib, which draws it."""
