"""Checks of values that are given in Python."""

import math
import numbers
import os
from collections.abc import Iterable
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


def number(name: str, value: Any, least: float | None = None) -> float:
  """Returns a number that is given in Python, of NumPy's types too, as a float.

  Raises:
    UserError: it is no finite number, or too small.
  """
  is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
  if not is_number or not math.isfinite(value):
    raise UserError(f'{name} is {shown(value)}, expected a number')
  if least is not None and value < least:
    raise UserError(f'{name} is {value!r}, expected {least} at least')
  return float(value)


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
  if isinstance(value, str | os.PathLike) and os.fspath(value):
    return os.fspath(value)
  raise UserError(f'{name} is {shown(value)}, expected a path')


def shown(value: Any) -> str:
  r"""Returns what was given, on one line and cut, for a message.

  >>> shown(['two\nlines'])
  "['two\\nlines']"
  """
  return ' '.join(repr(value).split())[:80]


def of_kind(name: str, value: Any, kinds: Any, expected: str) -> Any:
  """Returns a value that is given in Python, of one of some types.

  Args:
    name: of the parameter.
    value: what was given.
    kinds: as `isinstance` takes them.
    expected: these, in words.

  Raises:
    UserError: it is of another type.
  """
  if isinstance(value, kinds):
    return value
  raise UserError(f'{name} is {shown(value)}, expected {expected}')


def several(name: str, value: Any, kinds: Any, expected: str) -> list[Any]:
  """Returns values that are given in Python, of one of some types each, as a list.

  Args:
    name, value, kinds: see `of_kind`.
    expected: several of these, in words.

  Raises:
    UserError: these are no several values, or one is of another type.
  """
  if not isinstance(value, Iterable) or isinstance(value, str | bytes):
    raise UserError(f'{name} is {shown(value)}, expected {expected}')
  found = list(value)
  for one in found:
    if not isinstance(one, kinds):
      raise UserError(f'{name} has {shown(one)}, expected {expected}')
  return found
