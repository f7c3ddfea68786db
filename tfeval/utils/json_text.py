"""JSON of strangers: how much it becomes is bounded before it is read."""

import itertools
import json
from collections.abc import Callable
from typing import Any

from tfeval.utils import budgets, errors, untrusted
from tfeval.utils.errors import UserError
from tfeval.utils.paths import Path

_CONTAINERS = frozenset((dict, list))
_Pairs = Callable[[list[tuple[str, Any]]], Any]


def read(path: Path, within: Path | None = None, pairs: _Pairs | None = None) -> Any:
  """Reads a file of JSON, without NaN and infinity, which are none.

  Args:
    path: of the file.
    within: see `untrusted.open_file`.
    pairs: makes an object of its names and values; None: a dict.

  Raises:
    OSError: it is missing or may not be read.
    UserError: it is not JSON, too large or nested too deeply, or no regular file.
  """
  return loads(path, untrusted.read_bytes(path, budgets.JSON_FILE, within), pairs)


def loads(path: Path, content: bytes, pairs: _Pairs | None = None) -> Any:
  """Reads JSON that is in memory; `path` is what messages call it, see `read`."""
  # No more than these can be in it, whatever is text. An empty list costs 28 times
  # the two bytes that it is.
  containers = content.count(b'[') + content.count(b'{')
  for what, seen, limit in (
    ('lists and objects', containers, budgets.JSON_CONTAINERS),
    ('values', content.count(b',') + containers, budgets.JSON_VALUES),
  ):
    if seen > limit:
      raise UserError(f'{path} has {seen:,} {what}, expected at most {limit:,}')
  try:
    found = json.loads(
      content.decode('utf-8-sig'), parse_constant=_refuse, object_pairs_hook=pairs
    )
    if _is_deeper([[found]], budgets.JSON_DEPTH):
      raise RecursionError(f'nested more than {budgets.JSON_DEPTH} levels deep')
  except UserError:
    raise
  except (ValueError, RecursionError) as error:
    raise UserError(f'{path} is not JSON: {errors.one_line(error, 120)}') from error
  return found


def _refuse(constant: str) -> None:
  raise ValueError(f'it has {constant}')


def _is_deeper(level: list[Any], depth: int) -> bool:
  """Whether what is in a list is nested in more than so many levels."""
  for _ in range(depth + 1):
    insides = (one.values() if type(one) is dict else one for one in level)
    level = [
      inside
      for inside in itertools.chain.from_iterable(insides)
      if type(inside) in _CONTAINERS
    ]
    if not level:
      return False
  return True
