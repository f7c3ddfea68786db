"""Paired comparisons against SciPy, statsmodels, published examples and counting."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from tfeval.metrics import paired as comparison
from tfeval.metrics.paired import PairedHits

ROWS = st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), max_size=40)


def paired(rows) -> PairedHits:
  return comparison.paired_hits(*np.array(rows, bool).reshape(-1, 3).T)


@given(ROWS)
def test_paired_hits_against_counting(rows):
  counted = [(a, b) for a, b, counts in rows if counts]
  assert paired(rows) == PairedHits(
    counted.count((True, True)),
    counted.count((True, False)),
    counted.count((False, True)),
    counted.count((False, False)),
    len(rows) - len(counted),
  )


@given(ROWS, st.integers(0, 40), st.integers(0, 40), st.randoms(use_true_random=False))
def test_order_and_parts_do_not_matter(rows, first, second, random):
  expected = paired(rows)
  rows = random.sample(rows, len(rows))
  low, high = sorted((first, second))
  a, b, c = paired(rows[:low]), paired(rows[low:high]), paired(rows[high:])
  assert (a + b) + c == a + (b + c) == c + b + a == expected


def test_difference():
  hits = PairedHits(both=5, first=3, second=1, neither=1, skipped=90)
  assert hits.count == 10
  assert hits.difference == pytest.approx(8 / 10 - 6 / 10)
  assert PairedHits(0, 0, 0, 0, 7).difference is None


@pytest.mark.parametrize(
  'first, second, counted',
  [
    ([True], [True, False], [True, True]),
    ([1, 0], [True, False], [True, True]),
    ([True, False], [True, False], [1, 1]),
    ([[True]], [[True]], [[True]]),
  ],
)
def test_paired_hits_misuse(first, second, counted):
  with pytest.raises(ValueError, match='expected bool'):
    comparison.paired_hits(np.array(first), np.array(second), np.array(counted))


def test_agreement_against_loops():
  predicted = np.random.default_rng(0).integers(0, 3, (4, 50))
  ours = comparison.agreement(predicted)
  assert ours.dtype == np.int64
  for i in range(4):
    for j in range(4):
      assert ours[i, j] == sum(
        a == b for a, b in zip(predicted[i], predicted[j], strict=True)
      )


def test_agreement_of_no_models_and_of_a_vector():
  assert comparison.agreement(np.empty((0, 5), int)).shape == (0, 0)
  with pytest.raises(ValueError, match='expected'):
    comparison.agreement(np.array([1, 2]))


@pytest.mark.parametrize(
  'first, second',
  [
    (0, 0),
    (0, 1),
    (1, 0),
    (3, 3),
    (3, 4),
    (0, 20),
    (10, 30),
    (121, 59),
    (500, 430),
    (4000, 3900),
    (2500, 2500),
    (2000, 100),
    (20_000, 19_500),
  ],
)
def test_mcnemar_against_statsmodels_and_scipy(first, second):
  ours = comparison.mcnemar(first, second)
  expected = (
    mcnemar([[7, first], [second, 9]], exact=True).pvalue if (first + second) else 1.0
  )
  assert ours == pytest.approx(expected, rel=1e-8)
  if first + second:
    assert ours == pytest.approx(
      stats.binomtest(first, first + second).pvalue, rel=1e-8
    )


def test_mcnemar_underflows_to_zero():
  assert comparison.mcnemar(0, 5000) == 0.0
  with pytest.raises(ValueError, match='not defined'):
    comparison.mcnemar(-1, 5)


@pytest.mark.parametrize(
  'hits', [PairedHits(150, 40, 25, 85, 3), PairedHits(30, 12, 2, 6, 0)]
)
def test_bootstrap_against_scipy(hits):
  a = np.repeat([1.0, 1.0, 0.0, 0.0], dataclasses.astuple(hits)[:4])
  b = np.repeat([1.0, 0.0, 1.0, 0.0], dataclasses.astuple(hits)[:4])
  expected = stats.bootstrap(
    (a, b),
    lambda x, y, axis: x.mean(axis=axis) - y.mean(axis=axis),
    paired=True,
    method='percentile',
    n_resamples=20_000,
    random_state=np.random.default_rng(1),
    vectorized=True,
  ).confidence_interval
  # Of 20,000 resamples: the differences are multiples of 1 / count.
  ours = comparison.bootstrap_difference(hits, resamples=20_000)
  assert ours == pytest.approx(tuple(expected), abs=1.01 / hits.count)


def test_bootstrap_of_many_against_the_normal_interval():
  hits = PairedHits(33_000, 4000, 3000, 10_000, 0)
  share = np.array([4000, 3000]) / 50_000
  error = math.sqrt((share.sum() - (share[0] - share[1]) ** 2) / 50_000)
  for level in (0.5, 0.95):
    expected = 0.02 + error * np.array(stats.norm.interval(level))
    assert comparison.bootstrap_difference(hits, level, 100_000) == pytest.approx(
      expected, abs=0.02 * error
    )


def test_bootstrap_seeds():
  hits = PairedHits(33_000, 4000, 3000, 10_000, 0)
  first = comparison.bootstrap_difference(hits, seed=1)
  assert first == comparison.bootstrap_difference(hits, seed=1)
  assert first != comparison.bootstrap_difference(hits, seed=2)
  assert comparison.bootstrap_difference(PairedHits(5, 0, 0, 5, 0)) == (0, 0)


@pytest.mark.parametrize(
  'hits, level, resamples',
  [
    (PairedHits(0, 0, 0, 0, 5), 0.95, 100),
    (PairedHits(1, 1, 1, 1, 0), 1.0, 100),
    (PairedHits(1, 1, 1, 1, 0), math.nan, 100),
    (PairedHits(1, 1, 1, 1, 0), 0.9, 0),
  ],
)
def test_bootstrap_misuse(hits, level, resamples):
  with pytest.raises(ValueError, match='is not defined'):
    comparison.bootstrap_difference(hits, level, resamples)


@pytest.mark.parametrize('m', [1, 2, 5, 66])
def test_holm_against_statsmodels(m):
  rng = np.random.default_rng(m)
  # Cubed: many are small. Rounded: some are equal, some 0.
  for p_values in (rng.random(m) ** 3, rng.random(m).round(1), np.ones(m)):
    np.testing.assert_allclose(
      comparison.holm(p_values), multipletests(p_values, method='holm')[1], rtol=1e-12
    )


def test_holm_of_nothing_and_of_what_is_no_p_value():
  assert comparison.holm(np.empty(0)).tolist() == []
  for bad in ([0.1, np.nan], [-0.1], [1.1], [[0.1]]):
    with pytest.raises(ValueError, match='not numbers from 0 to 1'):
      comparison.holm(np.array(bad))


@pytest.mark.parametrize(
  'first, second, expected',
  [
    # The calculator at powerandsamplesize.com and the tests of R's MESS: 22.02.
    (0.45, 0.05, 23),
    # clinicaltrials-tools.vercel.app, McNemar's test.
    (0.30, 0.15, 155),
  ],
)
def test_images_needed_against_published_examples(first, second, expected):
  assert comparison.images_needed(first, second) == expected
  assert comparison.images_needed(second, first) == expected


def power(first: float, second: float, n: int, exact: bool) -> float:
  """The probability that McNemar's test finds a difference, summed exactly."""
  total = 0.0
  differing = stats.binom(n, first + second)
  for m in range(int(differing.ppf(1e-7)), int(differing.ppf(1 - 1e-7)) + 1):
    k = np.arange(m + 1)
    if exact:
      p = 2 * stats.binom.cdf(np.minimum(k, m - k), m, 0.5)
    else:
      p = stats.chi2.sf((2 * k - m) ** 2 / max(m, 1), 1)
    found = stats.binom.pmf(k[p <= 0.05], m, first / (first + second)).sum()
    total += differing.pmf(m) * found
  return total


@pytest.mark.parametrize('first, second', [(0.2, 0.1), (0.1, 0.05), (0.06, 0.04)])
def test_images_needed_give_the_power(first, second):
  n = comparison.images_needed(first, second)
  assert power(first, second, n, exact=False) == pytest.approx(0.8, abs=0.01)
  assert 0.77 < power(first, second, n, exact=True) < 0.8
  assert power(first, second, n + round(2 / (first - second)), exact=True) >= 0.8


def test_images_needed_with_more_power_or_less_alpha():
  base = comparison.images_needed(0.06, 0.05)
  assert comparison.images_needed(0.06, 0.05, power=0.9) > base
  assert comparison.images_needed(0.06, 0.05, alpha=0.01) > base
  assert comparison.images_needed(0.05, 0.05) is None


@pytest.mark.parametrize(
  'arguments',
  [
    (-0.1, 0.1),
    (0.6, 0.5),
    (math.nan, 0.1),
    (0.1, 0.2, 1.0),
    (0.1, 0.2, 0.01),
    (0.1, 0.2, 0.8, 0.0),
  ],
)
def test_images_needed_misuse(arguments):
  with pytest.raises(ValueError, match='is not defined'):
    comparison.images_needed(*arguments)
