"""Images of two samples that are alike, and whether they are judged alike."""

import numpy as np

from tfeval.metrics.shift.permutations import p_value

# Signs at once.
_BLOCK = 128


def pairs(
  distances: np.ndarray, reach: float = np.inf
) -> tuple[np.ndarray, np.ndarray]:
  """Returns pairs of images, the closest first: greedy matching within a reach.

  Those that are nearest to each other, then those among the rest, and so on. Each image
  is in one pair at most, and neither sample is treated otherwise than the other: where
  nothing differs their order in a pair is by chance.

  Args:
    distances: float [n, m], of the first sample to the second; infinite for images that
      are not to be paired.
    reach: how far apart those of a pair may be.

  Returns:
    int64 [pairs] twice: positions in the first sample and in the second.
  """
  rows, columns = np.arange(distances.shape[0]), np.arange(distances.shape[1])
  found: list[tuple[np.ndarray, np.ndarray]] = []
  while len(rows) and len(columns):
    rest = distances[np.ix_(rows, columns)]
    nearest, back = rest.argmin(axis=1), rest.argmin(axis=0)
    mutual = np.flatnonzero(back[nearest] == np.arange(len(rows)))
    mutual = mutual[rest[mutual, nearest[mutual]] <= min(reach, np.finfo(float).max)]
    if not len(mutual):
      break
    found.append((rows[mutual], columns[nearest[mutual]]))
    rows, columns = np.delete(rows, mutual), np.delete(columns, nearest[mutual])
  if not found:
    return np.empty(0, np.int64), np.empty(0, np.int64)
  first, second = (np.concatenate(one) for one in zip(*found, strict=True))
  return first, second


def balance_p(
  kernel: np.ndarray,
  n: int,
  paired: tuple[np.ndarray, np.ndarray],
  ratios: np.ndarray | None = None,
  draws: int = 1000,
  seed: int = 0,
) -> float:
  """Returns the p-value that pairs have equal features: MMD with pairs swapped.

  Where the density of the second sample is r times that of the first, the image u of a
  pair (u, v) is of the second with probability r(u) / (r(u) + r(v)).

  Args:
    kernel: float64 [n + m, n + m], of all pairs of images.
    n: how many the first sample has.
    paired: as of `pairs`.
    ratios: float [n + m], r of each image; None: 1.
    draws: how often pairs are swapped at random.
    seed: of NumPy's default generator.
  """
  first, second = paired[0], n + paired[1]
  between = kernel[np.ix_(first, second)]
  differences = kernel[np.ix_(first, first)] + kernel[np.ix_(second, second)]
  differences -= between + between.T

  def statistic(signs: np.ndarray) -> np.ndarray:
    return np.einsum('ij,ij->j', signs, differences @ signs)

  kept = np.full(len(first), 0.5)
  if ratios is not None:
    odds = np.maximum(ratios, np.finfo(float).tiny)
    kept = odds[second] / (odds[first] + odds[second])
  value = float(statistic(np.ones((len(first), 1)))[0])
  return p_value(value, _signed(statistic, kept, draws, seed))


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

  kept = np.full(len(differences), 0.5)
  return value, p_value(abs(value), _signed(statistic, kept, draws, seed))


def _signed(statistic, kept: np.ndarray, draws: int, seed: int) -> np.ndarray:
  """Returns what comes of random signs, which are + with these probabilities."""
  random = np.random.default_rng(seed)
  found = []
  for start in range(0, draws, _BLOCK):
    shape = len(kept), min(_BLOCK, draws - start)
    found.append(statistic(np.where(random.random(shape) < kept[:, None], 1.0, -1.0)))
  return np.concatenate(found)
