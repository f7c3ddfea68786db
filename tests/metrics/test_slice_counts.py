"""Slices against SciPy, statsmodels and counting by hand."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import confint_proportions_2indep

from tfeval.metrics import intervals, slices

RANDOM = np.random.default_rng(0)
TABLES = [
  (0, 5, 3, 9),
  (5, 5, 0, 7),
  (3, 3, 400, 500),
  (11_000, 16_080, 27_500, 33_920),
  *(
    (int(RANDOM.integers(0, n + 1)), n, int(RANDOM.integers(0, m + 1)), m)
    for n, m in RANDOM.integers(1, 400, (30, 2)).tolist()
  ),
]


@pytest.mark.parametrize('table', TABLES)
def test_fisher_is_that_of_scipy(table):
  right, n, other, m = table
  expected = stats.fisher_exact([[right, n - right], [other, m - other]]).pvalue
  assert slices.fisher(*table) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize('table', TABLES)
def test_newcombe_is_that_of_statsmodels(table):
  expected = confint_proportions_2indep(*table, method='newcomb')
  assert intervals.newcombe(*table) == pytest.approx(expected, abs=1e-9)


def test_slices_are_counted_as_a_loop_counts_them():
  codes = RANDOM.integers(-2, 4, 500)
  hit = RANDOM.random(500) < 0.6
  for code, found in enumerate(slices.count_slices(codes, 5, hit)):
    inside = [h for c, h in zip(codes, hit, strict=True) if c == code]
    rest = [h for c, h in zip(codes, hit, strict=True) if c not in (code, -1)]
    if not inside:
      assert found is None
      continue
    assert (found.correct, found.count) == (sum(inside), len(inside))
    assert (found.rest_correct, found.rest_count) == (sum(rest), len(rest))
    of_all = 1 - sum(inside + rest) / len(inside + rest)
    ratio = (1 - sum(inside) / len(inside)) / of_all
    assert found.error_ratio == pytest.approx(ratio)


def test_holm_is_over_all_slices_with_a_rest():
  found = [slices.Slice(1, 2, 3, 4, p=0.01), slices.Slice(1, 2, 0, 0)]
  found.append(slices.Slice(1, 2, 3, 4, p=0.04))
  assert [one.p_holm for one in slices.adjusted(found)] == [0.02, None, 0.04]
  assert slices.adjusted([]) == []
  assert found[1].difference is None and found[1].difference_interval is None
