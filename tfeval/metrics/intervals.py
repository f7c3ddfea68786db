"""Intervals for counted rates."""

import math
import statistics


def wilson(correct: int, count: int, level: float = 0.95) -> tuple[float, float]:
  """Returns the Wilson score interval of a proportion.

  Source: Wilson, "Probable inference, the law of succession, and statistical
  inference", JASA 22 (1927). Written out because importing scipy.stats for it
  costs more time than scoring 50,000 images; the tests compare with
  `scipy.stats.binomtest` and statsmodels.

  Args:
    correct: successes, in [0, count].
    count: trials, at least 1.
    level: coverage, in (0, 1).

  Returns:
    (low, high), in [0, 1].

  Raises:
    ValueError: the arguments are outside these ranges.

  >>> low, high = wilson(704, 1000)
  >>> round(low, 4), round(high, 4)
  (0.675, 0.7315)
  """
  _check('wilson', correct, count, level)
  z = statistics.NormalDist().inv_cdf((1 + level) / 2)
  rate = correct / count
  scale = 1 + z * z / count
  center = (rate + z * z / (2 * count)) / scale
  half = z / scale * math.sqrt(rate * (1 - rate) / count + (z / (2 * count)) ** 2)
  # At the ends the interval touches 0 or 1 exactly; rounding must not miss it.
  low = 0.0 if correct == 0 else max(0.0, center - half)
  high = 1.0 if correct == count else min(1.0, center + half)
  return low, high


def clopper_pearson(
  correct: int, count: int, level: float = 0.95
) -> tuple[float, float]:
  """Returns the exact (Clopper-Pearson) interval of a proportion.

  It covers at least `level` whatever the proportion is, so it is wider than
  Wilson's, which covers `level` on average.

  Source: Clopper and Pearson, "The use of confidence or fiducial limits
  illustrated in the case of the binomial", Biometrika 26 (1934), as quantiles of
  beta distributions.

  Args:
    correct: successes, in [0, count].
    count: trials, at least 1.
    level: coverage, in (0, 1).

  Returns:
    (low, high), in [0, 1].

  Raises:
    ValueError: the arguments are outside these ranges.

  >>> low, high = clopper_pearson(704, 1000)
  >>> round(low, 4), round(high, 4)
  (0.6746, 0.7322)
  """
  _check('clopper_pearson', correct, count, level)
  # Here and not above: `wilson` is to stay quick to import.
  from scipy import special

  tail = (1 - level) / 2
  low, high = 0.0, 1.0
  if correct > 0:
    low = float(special.betaincinv(correct, count - correct + 1, tail))
  if correct < count:
    high = float(special.betaincinv(correct + 1, count - correct, 1 - tail))
  return low, high


def newcombe(
  correct: int, count: int, other_correct: int, other_count: int, level: float = 0.95
) -> tuple[float, float]:
  """Returns the interval of the difference of two independent proportions.

  Source: Newcombe, "Interval estimation for the difference between independent
  proportions", Statistics in Medicine 17 (1998), method 10: the distances of both
  proportions to the ends of their Wilson intervals, squared and added. The tests
  compare with statsmodels.

  Args:
    correct, count: successes and trials of the first, see `wilson`.
    other_correct, other_count: of the second.
    level: coverage, in (0, 1).

  Returns:
    (low, high), in [-1, 1], of the first less the second.

  Raises:
    ValueError: the arguments are outside the ranges of `wilson`.

  >>> low, high = newcombe(56, 70, 48, 80)
  >>> round(low, 4), round(high, 4)
  (0.0524, 0.3339)
  """
  first, second = correct / count, other_correct / other_count
  low, high = wilson(correct, count, level)
  other_low, other_high = wilson(other_correct, other_count, level)
  difference = first - second
  return (
    difference - math.hypot(first - low, other_high - second),
    difference + math.hypot(high - first, second - other_low),
  )


def _check(name: str, correct: int, count: int, level: float) -> None:
  if not (0 <= correct <= count and count > 0 and 0 < level < 1):
    raise ValueError(f'{name}({correct}, {count}, level={level}) is not defined')
