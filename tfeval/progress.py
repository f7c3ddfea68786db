"""How long work tells how far it is."""

from collections.abc import Callable
from contextlib import AbstractContextManager

# Given (what is worked on, number of examples): a context that is told each advance.
Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
