"""Permutation tests: how they shuffle, and their p-values."""

from collections.abc import Iterator

import numpy as np

# Values that differ by less are the same, computed in another order.
_TIE = 1e-10


def shuffled(
  column: np.ndarray, permutations: int, seed: int, block: int
) -> Iterator[np.ndarray]:
  """Yields permutations of a column, side by side.

  Args:
    column: float [n, 1].
    permutations: how many, at least 1.
    seed: of NumPy's default generator.
    block: how many at once.

  Yields:
    float [n, at most `block`].
  """
  if permutations < 1:
    raise ValueError(f'{permutations} permutations: expected 1 or more')
  random = np.random.default_rng(seed)
  for start in range(0, permutations, block):
    count = min(block, permutations - start)
    yield random.permuted(np.repeat(column, count, axis=1), axis=0)


def p_value(value: float, null: np.ndarray) -> float:
  """Returns the share of draws that reach a value, the value itself among them.

  Source: Phipson and Smyth, "Permutation p-values should never be zero", Statistical
  Applications in Genetics and Molecular Biology 9 (2010).

  Args:
    value: what was measured; large is unlikely.
    null: float [draws], the same where nothing differs.

  >>> p_value(2.0, np.array([1.0, 2.0, 3.0]))
  0.75
  """
  tie = _TIE * max(abs(value), float(np.abs(null).max(initial=0)))
  return float((1 + np.count_nonzero(null >= value - tie)) / (len(null) + 1))
