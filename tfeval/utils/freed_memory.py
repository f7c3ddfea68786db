"""Memory that was freed, and that the process still holds."""

import ctypes
import functools
import sys
from collections.abc import Callable


def give_back() -> None:
  """Gives freed memory back to the system, where the C library can (glibc).

  Its arenas of threads that have ended keep what they had: a loop of evaluations, each
  with threads of its own, seems to leak until all arenas have grown.
  """
  trim = _trim()
  if trim is not None:
    trim(0)


@functools.cache
def _trim() -> Callable[[int], int] | None:
  if not sys.platform.startswith('linux'):
    return None
  return getattr(ctypes.CDLL(None), 'malloc_trim', None)
