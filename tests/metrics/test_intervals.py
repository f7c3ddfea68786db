"""Intervals against SciPy and statsmodels."""

import math

import pytest
from scipy import stats
from statsmodels.stats import proportion

from tfeval.metrics import intervals

LEVELS = (0.5, 0.9, 0.95, 0.999)
GRID = [
  (correct, n)
  for n in (1, 2, 3, 10, 37, 1000, 46_837, 50_000)
  for correct in sorted({0, 1, n // 3, n // 2, n - 1, n})
]


@pytest.mark.parametrize('correct, n', GRID)
def test_wilson_against_scipy_and_statsmodels(correct, n):
  test = stats.binomtest(correct, n)
  for level in LEVELS:
    ours = intervals.wilson(correct, n, level)
    assert ours == pytest.approx(
      tuple(test.proportion_ci(level, method='wilson')), rel=1e-12, abs=1e-15
    )
    assert ours == pytest.approx(
      proportion.proportion_confint(correct, n, 1 - level, method='wilson'),
      rel=1e-12,
      abs=1e-15,
    )


@pytest.mark.parametrize('n', [1, 7, 49, 50_000])
def test_the_interval_touches_the_ends_exactly(n):
  for level in LEVELS:
    assert intervals.wilson(0, n, level)[0] == 0.0
    assert intervals.wilson(n, n, level)[1] == 1.0


@pytest.mark.parametrize('correct, n', GRID)
def test_misses_mirror_hits(correct, n):
  low, high = intervals.wilson(correct, n)
  other_low, other_high = intervals.wilson(n - correct, n)
  assert (low, high) == pytest.approx((1 - other_high, 1 - other_low), abs=1e-12)
  assert 0 <= low <= correct / n <= high <= 1


def test_the_default_level_is_95_percent():
  assert intervals.wilson(704, 1000) == intervals.wilson(704, 1000, 0.95)


@pytest.mark.parametrize(
  'correct, count, level',
  [
    (0, 0, 0.95),
    (-1, 10, 0.95),
    (11, 10, 0.95),
    (1, -1, 0.95),
    (0, -1, 0.95),
    (1, 2, 0.0),
    (1, 2, 1.0),
    (1, 2, -0.5),
    (1, 2, 95),
    (1, 2, math.nan),
    (math.nan, 2, 0.95),
  ],
)
def test_bad_arguments(correct, count, level):
  for interval in (intervals.wilson, intervals.clopper_pearson):
    with pytest.raises(ValueError, match='is not defined'):
      interval(correct, count, level)


@pytest.mark.parametrize('correct, n', GRID)
def test_clopper_pearson_against_scipy_and_statsmodels(correct, n):
  test = stats.binomtest(correct, n)
  for level in LEVELS:
    ours = intervals.clopper_pearson(correct, n, level)
    assert ours == pytest.approx(
      tuple(test.proportion_ci(level, method='exact')), rel=1e-9
    )
    assert ours == pytest.approx(
      proportion.proportion_confint(correct, n, 1 - level, method='beta'), rel=1e-9
    )


@pytest.mark.parametrize('correct, n', [(1, 10), (704, 1000), (49_000, 50_000)])
def test_clopper_pearson_ends_are_where_a_test_would_just_reject(correct, n):
  low, high = intervals.clopper_pearson(correct, n, 0.95)
  assert stats.binom.sf(correct - 1, n, low) == pytest.approx(0.025)
  assert stats.binom.cdf(correct, n, high) == pytest.approx(0.025)
