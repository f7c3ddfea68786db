"""Kernel and distance tests of whether two samples are of one distribution.

Both tests are sums over a matrix of all pairs of both samples, n of the first and m of
the second: it is made once, and permuted by products with blocks of it.
"""

from collections.abc import Sequence

import numpy as np

from tfeval.metrics.shift.permutations import p_value, shuffled

# Permutations at once: of 4,000 images 4 MB.
_BLOCK = 128


def pair_distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
  """Returns the Euclidean distances of all pairs of both samples together.

  Args:
    first: float [n, d], finite.
    second: float [m, d], finite.

  Returns:
    float64 [n + m, n + m], symmetric but for rounding, 0 on the diagonal.

  Raises:
    ValueError: other shapes, no rows, or values that are not finite.
  """
  pooled = check_samples(first, second)
  # Of centred values the products below lose the fewest digits.
  pooled -= pooled.mean(axis=0)
  squares = np.einsum('ij,ij->i', pooled, pooled)
  found = pooled @ pooled.T
  found *= -2
  found += squares[:, None]
  found += squares
  np.maximum(found, 0, out=found)
  np.sqrt(found, out=found)
  # What rounding leaves of it has a root that is no small number.
  np.fill_diagonal(found, 0)
  return found


def check_samples(first: np.ndarray, second: np.ndarray) -> np.ndarray:
  """Returns two samples in one float64 [n + m, d].

  Raises:
    ValueError: other shapes, no rows, or values that are not finite.
  """
  first, second = np.asarray(first), np.asarray(second)
  if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
    raise ValueError(
      f'samples have shapes {first.shape} and {second.shape}, expected as many columns'
    )
  if not len(first) or not len(second) or not first.shape[1]:
    raise ValueError(f'samples have shapes {first.shape} and {second.shape}: empty')
  pooled = np.concatenate([first, second]).astype(np.float64)
  if not np.isfinite(pooled).all():
    raise ValueError('samples have values that are not finite')
  return pooled


def median_distance(distances: np.ndarray) -> float:
  """Returns the median heuristic of a kernel's width: of the distances of all pairs.

  Source: Gretton et al., "A kernel two-sample test", JMLR 13 (2012), section 8: the
  median over distinct pairs of both samples together, of distances and not of squares.

  Args:
    distances: float64 [n, n], as of `pair_distances`.

  Raises:
    ValueError: it is 0: more than half of all pairs are equal.
  """
  n = len(distances)
  pairs = np.concatenate([distances[i, i + 1 :] for i in range(n)])
  sigma = float(np.median(pairs, overwrite_input=True)) if n > 1 else 0.0
  if not sigma > 0:
    raise ValueError('most pairs have distance 0: features are constant')
  return sigma


def rbf_kernel(distances: np.ndarray, sigmas: Sequence[float]) -> np.ndarray:
  """Returns exp(-distance² / 2σ²), the mean of several widths.

  Args:
    distances: float64 [...].
    sigmas: widths above 0.

  Returns:
    float64 [...], in [0, 1].
  """
  if not sigmas or not all(sigma > 0 for sigma in sigmas):
    raise ValueError(f'widths of a kernel are {sigmas}, expected numbers above 0')
  found = np.zeros_like(distances)
  for sigma in sigmas:
    one = distances * (1 / sigma)
    np.square(one, out=one)
    one *= -0.5
    found += np.exp(one, out=one)
  found /= len(sigmas)
  return found


def mmd2(kernel: np.ndarray, n: int, unbiased: bool = True) -> float:
  """Returns the squared maximum mean discrepancy of two samples.

  Source: Gretton et al., JMLR 13 (2012): equation 3 without bias, which may come out
  below 0, equation 5 with.

  Args:
    kernel: float64 [n + m, n + m], of all pairs.
    n: how many the first sample has, at least 2, and m as well.
    unbiased: whether an example's kernel with itself is left out.

  Raises:
    ValueError: there are too few.
  """
  return _of_sums(*_sums(kernel, n, _first(kernel, n), unbiased), unbiased)


def mmd_test(
  kernel: np.ndarray, n: int, permutations: int = 1000, seed: int = 0
) -> tuple[float, float]:
  """Returns MMD² without bias, and its permutation p-value.

  Source: Gretton et al. (2012); Phipson and Smyth, "Permutation p-values should never
  be zero", Statistical Applications in Genetics 9 (2010), for the 1 that is added.

  Args:
    kernel, n: as of `mmd2`.
    permutations: how many, at least 1.
    seed: of NumPy's default generator.

  Returns:
    MMD², and (1 + how many permutations have as much) / (permutations + 1).
  """
  value = mmd2(kernel, n)
  return value, p_value(value, permuted(kernel, n, permutations, seed))


def energy_distance(distances: np.ndarray, n: int, unbiased: bool = False) -> float:
  """Returns 2 E|X - Y| - E|X - X'| - E|Y - Y'|, the squared energy distance.

  Source: Székely and Rizzo, "Energy statistics", Journal of Statistical Planning and
  Inference 143 (2013). `scipy.stats.energy_distance`, of one dimension, is the square
  root of it.

  Args:
    distances: float64 [n + m, n + m], as of `pair_distances`.
    n: how many the first sample has, at least 2, and m as well.
    unbiased: U-statistics, which may come out below 0, instead of V-statistics.
  """
  return -mmd2(distances, n, unbiased)


def energy_test(
  distances: np.ndarray, n: int, permutations: int = 1000, seed: int = 0
) -> tuple[float, float]:
  """Returns the energy distance (U-statistics), and its permutation p-value.

  Args:
    distances, n: as of `energy_distance`.
    permutations, seed: as of `mmd_test`.
  """
  value = energy_distance(distances, n, unbiased=True)
  null = -permuted(distances, n, permutations, seed)
  return value, p_value(value, null)


def permuted(
  matrix: np.ndarray, n: int, permutations: int, seed: int = 0
) -> np.ndarray:
  """Returns float64 [permutations], `mmd2` of samples that are drawn anew.

  Args:
    matrix: float64 [n + m, n + m], symmetric.
    n: how many the first sample has.
    permutations: how many.
    seed: of NumPy's default generator.
  """
  found = [
    _of_sums(*_sums(matrix, n, block, True), True)
    for block in shuffled(_first(matrix, n), permutations, seed, _BLOCK)
  ]
  return np.concatenate(found)


def _first(matrix: np.ndarray, n: int) -> np.ndarray:
  """Returns float64 [n + m, 1]: 1 of the first sample, 0 of the second."""
  found = np.zeros((len(matrix), 1))
  found[:n] = 1
  return found


def _sums(
  matrix: np.ndarray, n: int, first: np.ndarray, unbiased: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int, int]:
  """Returns sums within both samples and between them, for each column of `first`."""
  m = len(matrix) - n
  if min(n, m) < 1 + unbiased:
    raise ValueError(f'samples have {n} and {m} images: too few')
  rows = matrix.sum(axis=1)
  diagonal = np.diagonal(matrix) if unbiased else np.zeros(n + m)
  inside = np.einsum('ij,ij->j', first, matrix @ first)
  of_first = rows @ first
  own = diagonal @ first
  within_first = inside - own
  within_second = rows.sum() - 2 * of_first + inside - (diagonal.sum() - own)
  return within_first, within_second, of_first - inside, n, m


def _of_sums(
  first: np.ndarray,
  second: np.ndarray,
  between: np.ndarray,
  n: int,
  m: int,
  unbiased: bool,
):
  found = first / (n * (n - unbiased)) + second / (m * (m - unbiased))
  found -= 2 * between / (n * m)
  return float(found[0]) if len(found) == 1 else found
