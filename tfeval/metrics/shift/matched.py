"""Images of two samples that are alike, and whether they are judged alike."""

import numpy as np

from tfeval.metrics.shift.permutations import p_value

# Signs at once.
_BLOCK = 128


def mutual_neighbours(distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Returns pairs of which each is nearest to the other, of its sample.

  Each image is in one pair at most, and neither sample is treated otherwise than the
  other, so that where nothing differs their order in a pair is by chance.

  Args:
    distances: float [n, m], of the first sample to the second.

  Returns:
    int64 [pairs] twice: positions in the first sample and in the second.
  """
  nearest, back = distances.argmin(axis=1), distances.argmin(axis=0)
  first = np.flatnonzero(back[nearest] == np.arange(len(distances)))
  return first, nearest[first]


def balance_p(
  kernel: np.ndarray,
  n: int,
  pairs: tuple[np.ndarray, np.ndarray],
  draws: int = 1000,
  seed: int = 0,
) -> float:
  """Returns the p-value that pairs have equal features: MMD with pairs swapped.

  Args:
    kernel: float64 [n + m, n + m], of all pairs of images.
    n: how many the first sample has.
    pairs: as of `mutual_neighbours`.
    draws: how often pairs are swapped at random.
    seed: of NumPy's default generator.
  """
  first, second = pairs[0], n + pairs[1]
  between = kernel[np.ix_(first, second)]
  differences = kernel[np.ix_(first, first)] + kernel[np.ix_(second, second)]
  differences -= between + between.T

  def statistic(signs: np.ndarray) -> np.ndarray:
    return np.einsum('ij,ij->j', signs, differences @ signs)

  value = float(statistic(np.ones((len(first), 1)))[0])
  return p_value(value, _signed(statistic, len(first), draws, seed))


def mean_difference_test(
  differences: np.ndarray, draws: int = 1000, seed: int = 0
) -> tuple[float, float]:
  """Returns the mean of paired differences, and its p-value by changed signs.

  Source: Fisher, "The Design of Experiments" (1935), section 21: where nothing differs
  either sign of a difference is as likely. Two-sided.

  Args:
    differences: float [pairs], at least one.
    draws: how often signs are drawn.
    seed: of NumPy's default generator.
  """
  value = float(np.mean(differences))

  def statistic(signs: np.ndarray) -> np.ndarray:
    return np.abs(differences @ signs) / len(differences)

  return value, p_value(abs(value), _signed(statistic, len(differences), draws, seed))


def _signed(statistic, pairs: int, draws: int, seed: int) -> np.ndarray:
  random = np.random.default_rng(seed)
  found = [
    statistic(random.choice([-1.0, 1.0], (pairs, min(_BLOCK, draws - start))))
    for start in range(0, draws, _BLOCK)
  ]
  return np.concatenate(found)
