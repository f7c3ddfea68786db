"""Which examples a sample has."""

import hashlib
from collections.abc import Sequence

import numpy as np

from tfeval.utils.errors import UserError


def count_of(size: str, total: int) -> int:
  """Returns how many examples a sample has.

  Args:
    size: see `sample`.
    total: of how many.

  Raises:
    UserError: it is no size.

  >>> count_of('1000', 50_000), count_of('0.1', 50_000), count_of('0.001', 10)
  (1000, 5000, 1)
  """
  try:
    value = float(size)
  except ValueError:
    value = -1.0
  if '.' not in size and value >= 1 and value.is_integer():
    return int(value)
  if '.' in size and 0 < value < 1:
    return max(1, round(value * total))
  raise UserError(
    f'`sample={size}`: expected how many examples, such as 1000, or which share, such '
    'as 0.1'
  )


def chosen_positions(ids: Sequence[str], count: int) -> np.ndarray:
  """Returns int64 [count], the positions of a sample of examples, ascending."""
  keys = [hashlib.sha256(one.encode()).digest() for one in ids]
  first = sorted(range(len(ids)), key=lambda i: (keys[i], ids[i]))[:count]
  return np.sort(np.array(first, np.int64))
