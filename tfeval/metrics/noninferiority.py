"""Whether a second model keeps what a first one hits, seen on the same examples.

Both tests are score tests of a null hypothesis on the margin: the second model is worse
than the first by just so much. The variance is that of the most likely probabilities
under this hypothesis, so that a test has its level with few disagreements too, and of
models that agree everywhere.
"""

import dataclasses
import math
from collections.abc import Callable
from statistics import NormalDist

from tfeval.metrics.paired import PairedHits

RATIO, DIFFERENCE = 'ratio', 'difference'


@dataclasses.dataclass(frozen=True)
class Score:
  """What the data say of a hypothesis on two rates.

  Attributes:
    mean: of an example what the second has above the hypothesis; 0 where it holds.
    variance: of the same, under the hypothesis.
    observed_variance: of the same, of the observed shares.
    count: examples.
  """

  mean: float
  variance: float
  observed_variance: float
  count: int

  @property
  def z(self) -> float:
    """Standard normal where the hypothesis holds; positive: the second is better."""
    if self.variance <= 0:
      # Nothing was seen that tells; or the hypothesis cannot be, as a difference of 1.
      return math.copysign(math.inf, self.mean) if self.mean else 0.0
    return self.mean * math.sqrt(self.count / self.variance)


def ratio_score(hits: PairedHits, ratio: float) -> Score:
  """Tests that the rate of the second is `ratio` times that of the first.

  Source: Tang, Tang and Chan, "Confidence interval construction for proportion ratio
  under matched-pair design and an application to non-inferiority", Statistics in
  Medicine 22 (2003); the statistic is that of Nam and Blackwelder, "Analysis of the
  ratio of marginal probabilities in a matched-pair setting", ibid. 21 (2002).

  Args:
    hits: who hit what; at least one example counts.
    ratio: above 0.

  Raises:
    ValueError: the arguments are outside these ranges.

  >>> round(ratio_score(PairedHits(700, 20, 10, 270, 0), 0.99).z, 3)
  -0.52
  """
  n = hits.count
  if not (n > 0 and 0 < ratio < math.inf):
    raise ValueError(f'a ratio of {ratio} on {n} examples is not defined')
  # Of the other ratio it is the same test, and differences below do not cancel.
  if ratio > 1:
    other = ratio_score(_swapped(hits), 1 / ratio)
    return Score(
      -ratio * other.mean,
      ratio**2 * other.variance,
      ratio**2 * other.observed_variance,
      n,
    )
  both, first, second = hits.both, hits.first, hits.second
  hit = both + first + second
  mean = (both + second - ratio * (both + first)) / n
  if not hit:
    return Score(0.0, 0.0, 0.0, n)
  # The share of `second` in `hit` that is most likely under the hypothesis; that of
  # `hit` in all stays as observed.
  linear = ratio**2 * (both + first + 2 * second) - (both + second)
  root = math.sqrt(linear**2 + 4 * ratio**2 * (1 - ratio**2) * hit * second)
  if linear > 0:
    share = (linear + root) / (2 * ratio * (1 + ratio) * hit)
  else:
    share = 2 * ratio * (1 - ratio) * second / (root - linear) if second else 0.0
  variance = ratio * hit * ((1 - ratio) + (1 + ratio) * share) / n
  squares = (both * (1 - ratio) ** 2 + second + first * ratio**2) / n
  return Score(mean, variance, squares - mean**2, n)


def difference_score(hits: PairedHits, difference: float) -> Score:
  """Tests that the rate of the second is that of the first plus `difference`.

  Source: Tango, "Equivalence test and confidence interval for the difference in
  proportions for the paired-sample design", Statistics in Medicine 17 (1998).

  Args:
    hits: who hit what; at least one example counts.
    difference: in [-1, 1].

  Raises:
    ValueError: the arguments are outside these ranges.

  >>> round(difference_score(PairedHits(700, 20, 10, 270, 0), -0.005).z, 3)
  -0.926
  """
  n = hits.count
  if not (n > 0 and -1 <= difference <= 1):
    raise ValueError(f'a difference of {difference} on {n} examples is not defined')
  if difference < 0:
    other = difference_score(_swapped(hits), -difference)
    return dataclasses.replace(other, mean=-other.mean)
  first, second = hits.first, hits.second
  mean = (second - first) / n - difference
  # The share of `first` in all that is most likely under the hypothesis.
  linear = first + second - (2 * n - second + first) * difference
  root = math.sqrt(linear**2 + 8 * n * first * difference * (1 - difference))
  if linear > 0:
    share = (linear + root) / (4 * n)
  else:
    share = (
      2 * first * difference * (1 - difference) / (root - linear) if first else 0.0
    )
  variance = 2 * share + difference * (1 - difference)
  observed = (first + second) / n - ((second - first) / n) ** 2
  return Score(mean, variance, observed, n)


def _swapped(hits: PairedHits) -> PairedHits:
  return dataclasses.replace(hits, first=hits.second, second=hits.first)


def ratio_bounds(hits: PairedHits, level: float = 0.95) -> tuple[float, float]:
  """Returns a lower and an upper bound of the ratio of rates, second by first.

  Args:
    hits: who hit what; at least one example counts.
    level: of each bound by itself, in [0.5, 1): between both lie 2 * level - 1.

  Returns:
    (low, high), from 0; infinity where nothing bounds it.

  Raises:
    ValueError: the arguments are outside these ranges.

  >>> low, high = ratio_bounds(PairedHits(1, 1, 7, 12, 0), 0.975)
  >>> round(1 / high, 3), round(1 / low, 3)  # First by second.
  (0.065, 0.907)
  """
  z = critical(level)

  def score(share: float) -> float:
    """Of a ratio of share / (1 - share): all of them are between 0 and 1."""
    return ratio_score(hits, share / (1 - share)).z

  edges = math.ulp(1.0), 1 - math.ulp(1.0)
  low, high = _roots(score, edges, z)
  return (
    0.0 if low == edges[0] else low / (1 - low),
    math.inf if high == edges[1] else high / (1 - high),
  )


def difference_bounds(hits: PairedHits, level: float = 0.95) -> tuple[float, float]:
  """Returns a lower and an upper bound of the second's rate less the first's.

  Args:
    hits, level: as of `ratio_bounds`.

  Returns:
    (low, high), in [-1, 1].

  Raises:
    ValueError: the arguments are outside these ranges.

  >>> low, high = difference_bounds(PairedHits(1, 1, 7, 12, 0), 0.975)
  >>> round(-high, 3), round(-low, 3)  # First less second.
  (-0.517, -0.026)
  """
  z = critical(level)
  return _roots(lambda difference: difference_score(hits, difference).z, (-1, 1), z)


def critical(level: float) -> float:
  """Returns what a score has to be at least for a bound at a level in [0.5, 1).

  Raises:
    ValueError: the level is not in there.

  >>> round(critical(0.95), 3)
  1.645
  """
  if not 0.5 <= level < 1:
    raise ValueError(f'bounds at level {level} are not defined')
  return NormalDist().inv_cdf(level)


def _roots(
  score: Callable[[float], float], edges: tuple[float, float], z: float
) -> tuple[float, float]:
  """Returns where a falling function is z and -z, an edge where it never is."""
  return _root(score, edges, z), _root(score, edges, -z)


def _root(
  score: Callable[[float], float], edges: tuple[float, float], z: float
) -> float:
  low, high = edges
  if score(low) <= z:
    return low
  if score(high) >= z:
    return high
  while True:
    middle = (low + high) / 2
    if not low < middle < high:
      return middle
    if score(middle) > z:
      low = middle
    else:
      high = middle


def images_needed(score: Score, power: float = 0.8, alpha: float = 0.05) -> int | None:
  """Returns how many images of the same shares decide on which side the second is.

  The usual number for a normal test whose variance is another one under the
  hypothesis: as Nam and Blackwelder (2002) for ratios, Nam, "Establishing equivalence
  of two treatments and sample size requirements in matched-pairs design", Biometrics
  53 (1997), for differences.

  Args:
    score: of the hypothesis on the margin.
    power: probability to find out, in (alpha, 1).
    alpha: of the test, one-sided, in (0, 0.5].

  Returns:
    The number of images; None where the second is just on the margin: none is enough.

  Raises:
    ValueError: the arguments are outside these ranges.
  """
  if not 0 < alpha <= 0.5 or not alpha < power < 1:
    raise ValueError(f'images_needed(power={power}, alpha={alpha}) is not defined')
  if abs(score.mean) < 1e-12:
    return None
  normal = NormalDist()
  root = normal.inv_cdf(1 - alpha) * math.sqrt(score.variance)
  root += normal.inv_cdf(power) * math.sqrt(max(0.0, score.observed_variance))
  return math.ceil((root / score.mean) ** 2)
