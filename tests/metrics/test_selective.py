"""AUROC against scikit-learn and SciPy, risk and coverage against plain loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from tfeval.metrics import selective

# Few values, so that there are ties.
EXAMPLES = st.lists(
  st.tuples(st.integers(0, 6).map(lambda i: i / 6), st.booleans()),
  min_size=1,
  max_size=40,
)


def arrays(examples):
  return np.array([c for c, _ in examples]), np.array([h for _, h in examples], bool)


@pytest.mark.parametrize('values', [2, 10, 10**6])
def test_auroc_against_scikit_learn_and_mann_whitney(values):
  for seed in range(20):
    rng = np.random.default_rng(seed)
    c = rng.integers(0, values, 300) / values
    hit = rng.random(300) < (c + 0.5) / 2
    ours = selective.auroc(c, hit)
    assert ours == pytest.approx(roc_auc_score(hit, c), rel=1e-12)
    u = stats.mannwhitneyu(c[hit], c[~hit]).statistic
    assert ours == pytest.approx(u / (hit.sum() * (~hit).sum()), rel=1e-12)


@given(EXAMPLES)
def test_auroc_is_the_share_of_ordered_pairs(examples):
  hits = [c for c, hit in examples if hit]
  misses = [c for c, hit in examples if not hit]
  if hits and misses:
    wins = sum((a > b) + (a == b) / 2 for a in hits for b in misses)
    assert selective.auroc(*arrays(examples)) == wins / (len(hits) * len(misses))


@pytest.mark.parametrize('hit', [[True, True], [False, False]])
def test_auroc_needs_hits_and_misses(hit):
  with pytest.raises(ValueError, match='both hits and misses'):
    selective.auroc(np.array([0.1, 0.2]), np.array(hit))


@given(EXAMPLES)
def test_risk_coverage_against_loops(examples):
  c, hit = arrays(examples)
  curve = selective.risk_coverage(c, hit)
  assert curve.threshold.tolist() == sorted(set(c.tolist()), reverse=True)
  risk_at = {}
  for i, threshold in enumerate(curve.threshold):
    accepted = [h for value, h in examples if value >= threshold]
    errors = sum(not h for h in accepted)
    assert (curve.accepted[i], curve.errors[i]) == (len(accepted), errors)
    assert curve.risk[i] == errors / len(accepted)
    risk_at[threshold] = errors / len(accepted)
  assert curve.aurc == pytest.approx(
    sum(risk_at[value] for value, _ in examples) / len(examples), abs=1e-12
  )


@given(EXAMPLES, st.randoms(use_true_random=False))
def test_the_order_of_examples_changes_nothing(examples, random):
  shuffled = random.sample(examples, len(examples))
  a = selective.risk_coverage(*arrays(examples))
  b = selective.risk_coverage(*arrays(shuffled))
  assert a.accepted.tolist() == b.accepted.tolist()
  assert a.errors.tolist() == b.errors.tolist()
  assert a.aurc == b.aurc
  if len({hit for _, hit in examples}) == 2:
    assert selective.auroc(*arrays(examples)) == selective.auroc(*arrays(shuffled))


def test_the_ends():
  c = np.array([0.9, 0.8, 0.3, 0.2])
  right = np.array([True, True, False, False])
  assert selective.auroc(c, right) == 1
  assert selective.auroc(c, ~right) == 0
  assert selective.auroc(np.full(4, 0.5), right) == 0.5
  # By hand: risks 0, 0, 1/3, 1/2 and, all at once, 1/2.
  assert selective.risk_coverage(c, right).aurc == pytest.approx(5 / 24)
  assert selective.risk_coverage(np.full(4, 0.5), right).aurc == 0.5


@pytest.mark.parametrize(
  'c, hit',
  [
    ([0.5, np.nan], [True, False]),
    ([0.5, 1.5], [True, False]),
    ([0.5], [True, False]),
    ([0.5, 0.6], [1, 0]),
    ([[0.5]], [[True]]),
  ],
)
def test_misuse(c, hit):
  for function in (selective.auroc, selective.risk_coverage):
    with pytest.raises(ValueError, match='expected'):
      function(np.array(c), np.array(hit))


def test_no_examples():
  with pytest.raises(ValueError, match='no examples'):
    selective.risk_coverage(np.empty(0), np.empty(0, bool))
