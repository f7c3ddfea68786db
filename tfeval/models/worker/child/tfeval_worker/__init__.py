"""Modules of the program that runs a model of another framework, by their own name.

Modules of the user's may be called `common` or `channel`.
"""
