"""Checks of values that are given in Python."""

import math
import numbers
import os
from typing import Any

from tfeval.utils.errors import UserError


def whole_number(
  name: str, value: Any, least: float = 1, most: float = math.inf
) -> int:
  """Returns a number that is given in Python, of NumPy's types too, as an int.

  Raises:
    UserError: it is no whole number, too small or too large.
  """
  is_whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
  if not is_whole or value < least:
    kind = 'a positive integer' if least == 1 else f'an integer of {least} at least'
    raise UserError(f'{name} is {value!r}, expected {kind}')
  if value > most:
    raise UserError(f'{name} is {value!r}, expected {most} at most')
  return int(value)


def truth(name: str, value: Any) -> bool:
  """Returns True or False as it is given in Python, of NumPy's type too.

  Raises:
    UserError: it is neither.
  """
  # NumPy 2 calls its own `bool`, NumPy 1 `bool_`.
  if type(value).__name__ not in ('bool', 'bool_'):
    raise UserError(f'{name} is {value!r}, expected True or False')
  return bool(value)


def path_text(name: str, value: Any) -> str | None:
  """Returns a path that is given in Python as text, None for None.

  Raises:
    UserError: it is no path.
  """
  if value is None:
    return None
  if isinstance(value, str | os.PathLike):
    return os.fspath(value)
  raise UserError(f'{name} is {value!r}, expected a path')
