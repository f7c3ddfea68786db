"""Non-inferiority against SciPy's optimiser, published intervals and simulation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats
from statsmodels.stats.contingency_tables import mcnemar

from tfeval.metrics import noninferiority
from tfeval.metrics.noninferiority import difference_score, ratio_score
from tfeval.metrics.paired import PairedHits

CELLS = st.tuples(*[st.integers(0, 60)] * 4).filter(sum)
Z = stats.norm.ppf(0.95)


def by_optimiser(cells: tuple[int, ...], weights: tuple[float, ...]) -> float:
  """Returns the score statistic of E[weights] = 0, all of it found numerically.

  Args:
    cells: both, only first, only second, neither.
    weights: what an image of each cell adds to the tested sum.
  """
  n, w, x = sum(cells), np.array(weights), np.array(cells, float)

  def loss(p: np.ndarray) -> float:
    used = x > 0
    return -float(np.sum(x[used] * np.log(np.maximum(p[used], 1e-300)))) / n

  best = None
  for start in ((x + 0.5) / (n + 2), np.full(4, 0.25)):
    found = optimize.minimize(
      loss,
      start,
      method='SLSQP',
      bounds=[(1e-15, 1)] * 4,
      constraints=[
        {'type': 'eq', 'fun': lambda p: p.sum() - 1},
        {'type': 'eq', 'fun': lambda p: p @ w},
      ],
      options={'ftol': 1e-15, 'maxiter': 1000},
    )
    if abs(found.x @ w) < 1e-7 and (best is None or found.fun < best.fun):
      best = found
  assert best is not None
  variance = n * float(best.x @ w**2)
  return float(x @ w) / math.sqrt(variance)


@settings(max_examples=60, deadline=None)
@given(CELLS, st.sampled_from([0.5, 0.9, 0.99, 1.1]))
def test_ratio_against_an_optimiser(cells, ratio):
  found = ratio_score(PairedHits(*cells, 0), ratio).z
  if not sum(cells[:3]):
    assert found == 0
    return
  weights = (1 - ratio, -ratio, 1, 0)
  assert found == pytest.approx(by_optimiser(cells, weights), rel=1e-3, abs=1e-3)


@settings(max_examples=60, deadline=None)
@given(CELLS, st.sampled_from([-0.3, -0.05, -0.005, 0.02]))
def test_difference_against_an_optimiser(cells, difference):
  found = difference_score(PairedHits(*cells, 0), difference).z
  weights = (-difference, -1 - difference, 1 - difference, -difference)
  assert found == pytest.approx(by_optimiser(cells, weights), rel=1e-3, abs=1e-3)


@given(CELLS)
def test_without_margin_it_is_mcnemar(cells):
  both, first, second, neither = cells
  hits = PairedHits(*cells, 0)
  for score in (ratio_score(hits, 1), difference_score(hits, 0)):
    if first + second == 0:
      assert score.z == 0
    else:
      table = [[both, first], [second, neither]]
      expected = mcnemar(table, exact=False, correction=False).statistic
      assert score.z**2 == pytest.approx(expected, abs=1e-9)


@given(CELLS, st.floats(0.01, 100))
def test_exchanged_models_are_the_other_ratio(cells, ratio):
  both, first, second, neither = cells
  found = ratio_score(PairedHits(*cells, 0), ratio)
  other = ratio_score(PairedHits(both, second, first, neither, 0), 1 / ratio)
  assert found.z == pytest.approx(-other.z, rel=1e-6, abs=1e-6)


# The two tables of Fagerland, Lydersen and Laake, "Recommended tests and confidence
# intervals for paired binomial proportions", Statistics in Medicine 33 (2014), table
# of Bentur et al.; the first less (by) the second there.
def test_published_intervals():
  hits = PairedHits(1, 1, 7, 12, 0)
  low, high = noninferiority.difference_bounds(hits, 0.975)
  assert (-high, -low) == (
    pytest.approx(-0.517, abs=5e-4),
    pytest.approx(-0.026, abs=5e-4),
  )
  low, high = noninferiority.ratio_bounds(hits, 0.975)
  assert 1 / high == pytest.approx(0.065, abs=5e-4)
  assert 1 / low == pytest.approx(0.907, abs=5e-4)


@given(CELLS, st.sampled_from([0.9, 0.95, 0.99]))
def test_bounds_are_where_the_test_turns(cells, level):
  hits, z = PairedHits(*cells, 0), stats.norm.ppf(level)
  low, high = noninferiority.difference_bounds(hits, level)
  estimate = (hits.second - hits.first) / hits.count
  assert -1 <= low <= estimate <= high <= 1
  assert difference_score(hits, low).z == pytest.approx(z, abs=1e-6)
  assert difference_score(hits, high).z == pytest.approx(-z, abs=1e-6)
  low, high = noninferiority.ratio_bounds(hits, level)
  assert 0 <= low <= high
  if low > 0:
    assert ratio_score(hits, low).z == pytest.approx(z, abs=1e-6)
  if high < math.inf:
    assert ratio_score(hits, high).z == pytest.approx(-z, abs=1e-6)


@pytest.mark.parametrize('n, enough', [(267, False), (268, True)])
def test_models_that_agree_everywhere(n, enough):
  # With ratio 0.99, z is sqrt(n / 99): 1.645 ** 2 * 99 = 267.9 hits keep 99 %.
  hits = PairedHits(n, 0, 0, 1000, 0)
  assert ratio_score(hits, 0.99).z == pytest.approx(math.sqrt(n / 99))
  assert (ratio_score(hits, 0.99).z >= Z) == enough


@pytest.mark.parametrize(
  'call',
  [
    lambda: ratio_score(PairedHits(0, 0, 0, 0, 5), 0.99),
    lambda: ratio_score(PairedHits(1, 0, 0, 0, 0), 0),
    lambda: difference_score(PairedHits(0, 0, 0, 0, 5), 0),
    lambda: difference_score(PairedHits(1, 0, 0, 0, 0), -1.1),
    lambda: noninferiority.ratio_bounds(PairedHits(1, 0, 0, 0, 0), 1),
    lambda: noninferiority.images_needed(
      ratio_score(PairedHits(1, 0, 0, 0, 0), 0.9), power=0.01
    ),
  ],
)
def test_misuse(call):
  with pytest.raises(ValueError, match='not defined'):
    call()


def test_on_the_margin_no_number_is_enough():
  score = ratio_score(PairedHits(89, 11, 10, 0, 0), 0.99)
  assert score.mean == 0 and noninferiority.images_needed(score) is None


def simulated(
  shares: tuple[float, ...], n: int, test, times: int
) -> tuple[float, float]:
  """Returns how often the second is found above, and below, the hypothesis."""
  drawn = np.random.default_rng(n).multinomial(n, shares, size=times)
  cells, counts = np.unique(drawn, axis=0, return_counts=True)
  z = np.array([test(PairedHits(*map(int, row), 0)).z for row in cells])
  return counts[z >= Z].sum() / times, counts[z <= -Z].sum() / times


@pytest.mark.slow
@pytest.mark.parametrize('n', [200, 1000, 5000, 50_000])
@pytest.mark.parametrize('rate', [0.3, 0.75, 0.95])
@pytest.mark.parametrize('second', [0, 0.01, 0.05])
@pytest.mark.parametrize('kind', ['ratio', 'difference'])
def test_level_on_the_margin(kind, n, rate, second):
  """On the margin itself each verdict is wrong in 5 % of all draws, or less."""
  worse = 0.01 * rate if kind == 'ratio' else 0.005
  second = min(second, 1 - rate)
  first = second + worse
  shares = (rate - first, first, second, 1 - rate - second)
  kept, not_kept = simulated(
    shares,
    n,
    (lambda hits: ratio_score(hits, 0.99))
    if kind == 'ratio'
    else (lambda hits: difference_score(hits, -0.005)),
    times=40_000,
  )
  # Three standard errors of 40,000 draws are 0.0033; the rest is that counts are whole.
  assert kept < 0.0575
  # Of a handful of images that differ, which is where counts are coarse, up to 0.07.
  assert not_kept < (0.0575 if n * (first + second) >= 20 else 0.075)


@pytest.mark.slow
@pytest.mark.parametrize('first, second', [(0.03, 0.03), (0.05, 0.02), (0.012, 0.0)])
@pytest.mark.parametrize('kind', ['ratio', 'difference'])
def test_power_with_the_images_needed(kind, first, second):
  shares = (0.75 - first, first, second, 0.25 - second)

  def test(hits):
    if kind == 'ratio':
      return ratio_score(hits, 0.99)
    return difference_score(hits, -0.005)

  whole = PairedHits(*(round(100_000 * share) for share in shares), 0)
  n = noninferiority.images_needed(test(whole))
  found = max(simulated(shares, n, test, times=10_000))
  assert found == pytest.approx(0.8, abs=0.04)
