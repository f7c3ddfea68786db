"""Lists of ids and names, as messages show them and tables hold them."""

import collections
import pathlib

import pyarrow as pa

from tfeval.utils import arrow, budgets
from tfeval.utils.errors import UserError


def check_rows(path: pathlib.Path, rows: int) -> None:
  """Raises a UserError if a table has more rows than any may have."""
  if rows > budgets.ROWS:
    raise UserError(f'{path} has more than {budgets.ROWS:,} rows')


def to_ids(path: pathlib.Path, names: list[str]) -> pa.Array:
  """Returns names as ids.

  Raises:
    UserError: they are too many, too long, or not UTF-8.
  """
  check_rows(path, len(names))
  try:
    ids = arrow.strings(names)
  except UnicodeEncodeError as error:
    raise UserError(f'{path} has ids that are not UTF-8') from error
  arrow.check_texts(path, ids)
  return ids


def doubles(names: list[str]) -> list[str]:
  """Returns what occurs more than once, sorted.

  >>> doubles(['b', 'a', 'b'])
  ['b']
  """
  return sorted(name for name, count in collections.Counter(names).items() if count > 1)
