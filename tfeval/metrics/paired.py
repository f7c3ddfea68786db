"""Whether two models differ, seen on the same examples."""

import dataclasses
import math
import operator
from statistics import NormalDist

import numpy as np

from tfeval.metrics import checks


@dataclasses.dataclass(frozen=True)
class PairedHits:
  """Two models' hits on the same examples; disjoint sets of examples add up.

  Attributes:
    both: examples that both models hit.
    first: examples that only the first one hit.
    second: examples that only the second one hit.
    neither: examples that both missed.
    skipped: examples that do not count, as those without a label.
  """

  both: int
  first: int
  second: int
  neither: int
  skipped: int

  def __add__(self, other: 'PairedHits') -> 'PairedHits':
    return PairedHits(
      *map(operator.add, dataclasses.astuple(self), dataclasses.astuple(other))
    )

  @property
  def count(self) -> int:
    """Examples that count."""
    return self.both + self.first + self.second + self.neither

  @property
  def difference(self) -> float | None:
    """Rate of the first less rate of the second, in [-1, 1]; None of nothing."""
    return (self.first - self.second) / self.count if self.count else None


def paired_hits(
  first: np.ndarray, second: np.ndarray, counted: np.ndarray
) -> PairedHits:
  """Counts two models' hits on the same examples.

  Args:
    first: bool [n], hits of one model.
    second: bool [n], hits of the other on the same examples, in the same order.
    counted: bool [n], which examples count: those that have a label.

  Raises:
    ValueError: other shapes or dtypes.

  >>> paired_hits(np.array([True, True, False]), np.array([True, False, True]),
  ...             counted=np.array([True, True, False]))
  PairedHits(both=1, first=1, second=0, neither=0, skipped=1)
  """
  n = len(counted)
  counted = checks.check_hits(counted, n)
  first, second = checks.check_hits(first, n), checks.check_hits(second, n)
  cells = 2 * ~first[counted] + ~second[counted]
  both, only_first, only_second, neither = np.bincount(cells, minlength=4).tolist()
  return PairedHits(both, only_first, only_second, neither, n - len(cells))


def agreement(predicted: np.ndarray) -> np.ndarray:
  """Counts the examples on which models predict the same class, right or wrong.

  Args:
    predicted: int [models, n], the first class of each example.

  Returns:
    int64 [models, models], symmetric, n on the diagonal.

  Raises:
    ValueError: another shape.
  """
  predicted = np.asarray(predicted)
  if predicted.ndim != 2:
    raise ValueError(f'predicted has shape {predicted.shape}, expected (models, n)')
  return np.array(
    [np.count_nonzero(predicted == one, axis=1) for one in predicted], np.int64
  ).reshape(len(predicted), len(predicted))


def mcnemar(first: int, second: int) -> float:
  """Returns the p-value of McNemar's exact test, two-sided.

  The models differ on first + second examples. Were they equally good, each of
  them would be as likely to favour one as the other: a binomial test at 1/2.

  Source: McNemar, "Note on the sampling error of the difference between
  correlated proportions or percentages", Psychometrika 12 (1947), with the exact
  distribution instead of chi-squared.

  Args:
    first: examples that only the first model hit.
    second: examples that only the second one hit.

  Returns:
    The p-value, in [0, 1]; 1 if the models differ nowhere.

  Raises:
    ValueError: a count is negative.

  >>> mcnemar(1, 5)
  0.21875
  """
  if not (first >= 0 and second >= 0):
    raise ValueError(f'mcnemar({first}, {second}) is not defined')
  # In integers: no rounding, and done before SciPy would be imported.
  n, k = first + second, min(first, second)
  tail = term = math.comb(n, k)
  for i in range(k, 0, -1):
    term = term * i // (n - i + 1)
    tail += term
    # All that is left is too small for a float64 to show: with thousands of
    # differences nearly all terms are.
    if tail.bit_length() - term.bit_length() > 64 + n.bit_length():
      break
  return min(1.0, 2 * tail / 2**n)


def bootstrap_difference(
  hits: PairedHits, level: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> tuple[float, float]:
  """Returns the paired bootstrap interval of the difference of two rates.

  The percentile interval of Efron and Tibshirani, "An Introduction to the
  Bootstrap" (1993), chapter 13. Examples drawn with replacement fall into the
  four cells as a multinomial variable does, so cells are drawn instead: the same
  distribution at no cost.

  Args:
    hits: the cells; at least one example counts.
    level: coverage, in (0, 1).
    resamples: how often, at least 1.
    seed: of NumPy's default generator, at least 0.

  Returns:
    (low, high), in [-1, 1], of rate of the first less rate of the second.

  Raises:
    ValueError: the arguments are outside these ranges.
  """
  n = hits.count
  if not (n > 0 and 0 < level < 1 and resamples > 0):
    raise ValueError(
      f'an interval of {n} examples at level {level} with {resamples} '
      'resamples is not defined'
    )
  cells = np.array([hits.first, hits.second, hits.both + hits.neither])
  drawn = np.random.default_rng(seed).multinomial(n, cells / n, size=resamples)
  low, high = np.quantile(
    (drawn[:, 0] - drawn[:, 1]) / n, [(1 - level) / 2, (1 + level) / 2]
  )
  return float(low), float(high)


def holm(p_values: np.ndarray) -> np.ndarray:
  """Returns p-values adjusted for how many there are, by Holm's method.

  Rejecting where these are at most alpha keeps the probability of any wrong
  rejection at most alpha, whatever depends on what.

  Source: Holm, "A simple sequentially rejective multiple test procedure",
  Scandinavian Journal of Statistics 6 (1979).

  Args:
    p_values: float [m], in [0, 1].

  Returns:
    float64 [m], in [0, 1], in the order of `p_values`.

  Raises:
    ValueError: another shape, NaN, or out of range.

  >>> holm(np.array([.01, .04, .03])).tolist()
  [0.03, 0.06, 0.06]
  """
  p = np.asarray(p_values, np.float64)
  # Negated, so that NaN does not pass.
  if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
    raise ValueError(f'p-values {p} are not numbers from 0 to 1')
  order = np.argsort(p)
  adjusted = np.empty_like(p)
  adjusted[order] = np.minimum(
    1, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
  )
  return adjusted


def images_needed(
  first: float, second: float, power: float = 0.8, alpha: float = 0.05
) -> int | None:
  """Returns how many images McNemar's test needs to tell two models apart.

  Source: Connor, "Sample size for testing differences in proportions for the
  paired-sample design", Biometrics 43 (1987), two-sided. It is the number for
  the asymptotic test. The exact one is stricter: with as many images its power
  is 0.77 to 0.8 instead of 0.8 where more than some tens are needed, and up to
  2 / |first - second| more make up for it; fewer than 6 discordant images are never
  significant at 0.05.

  Args:
    first: share of images that only the first model hits, in [0, 1].
    second: share of images that only the second one hits; both at most 1.
    power: probability to find the difference, in (alpha, 1).
    alpha: significance level, in (0, 1).

  Returns:
    The number of images, or None without a difference: no number is enough.

  Raises:
    ValueError: the arguments are outside these ranges.

  >>> images_needed(.06, .05)
  8632
  """
  if not (first >= 0 and second >= 0 and first + second <= 1 and 0 < alpha < power < 1):
    raise ValueError(
      f'images_needed({first}, {second}, power={power}, alpha={alpha}) is not defined'
    )
  if first == second:
    return None
  discordant, difference = first + second, first - second
  normal = NormalDist()
  root = normal.inv_cdf(1 - alpha / 2) * math.sqrt(discordant) + normal.inv_cdf(
    power
  ) * math.sqrt(discordant - difference**2)
  return math.ceil((root / difference) ** 2)
