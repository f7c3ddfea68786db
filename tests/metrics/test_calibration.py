"""NLL, Brier score and calibration errors against scikit-learn and plain loops."""

import functools
import operator

import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss

from tfeval.metrics import calibration
from tfeval.metrics.calibration import Mean

# Few values, so that there are ties, some of them on the edges of bins.
CONFIDENCE = st.sampled_from([0.0, 0.1, 0.2, 0.25, 0.4, 0.5, 0.75, 0.8, 0.999, 1.0])
EXAMPLES = st.lists(st.tuples(CONFIDENCE, st.booleans()), min_size=4, max_size=60)


def arrays(examples):
  return (
    np.array([c for c, _ in examples], np.float64),
    np.array([h for _, h in examples], bool),
  )


def probabilities(seed: int, n: int = 150, classes: int = 7):
  rng = np.random.default_rng(seed)
  p = scipy.special.softmax(rng.normal(size=(n, classes)) * 2, axis=1)
  return p, np.r_[np.arange(classes), rng.integers(0, classes, n - classes)]


def confident(seed: int, n: int = 1500):
  """Confidences without ties, and hits: overconfident."""
  rng = np.random.default_rng(seed)
  c = rng.beta(4, 1, n)
  return c, rng.random(n) < c**1.7


def test_nll_against_scikit_learn():
  p, labels = probabilities(0)
  ours = calibration.nll(np.log(p[np.arange(150), labels]))
  assert ours.count == 150
  assert ours.value == pytest.approx(log_loss(labels, p), rel=1e-12)


def test_brier_against_scikit_learn_and_a_loop():
  p, labels = probabilities(1)
  ours = calibration.brier(p, labels)
  assert ours.count == 150
  assert ours.value == pytest.approx(
    brier_score_loss(labels, p, scale_by_half=False), rel=1e-12
  )
  assert ours.total == pytest.approx(
    sum((p[i, j] - (labels[i] == j)) ** 2 for i in range(150) for j in range(7))
  )


def test_brier_ends():
  assert calibration.brier(np.eye(3, dtype=np.float32), np.arange(3)).value == 0
  assert calibration.brier(np.eye(3, dtype=np.float32), np.array([1, 2, 0])).value == 2


def test_impossible_labels_make_the_nll_infinite():
  assert calibration.nll(np.array([-1, -np.inf], np.float32)).value == np.inf


def test_rounding_above_probability_one_is_cut_off():
  above = np.log(np.float32(1) + np.float32(2**-23))
  assert above > 0
  assert calibration.nll(np.array([above])) == Mean(0.0, 1)
  assert calibration.confidence(np.array([above, -np.inf])).tolist() == [1.0, 0.0]


def test_nothing():
  assert calibration.nll(np.empty(0)).value is None
  assert calibration.brier(np.empty((0, 3)), np.empty(0, int)).value is None
  bins = calibration.equal_width_bins(np.empty(0), np.empty(0, bool))
  assert bins.count.tolist() == [0] * 15
  assert bins.ece is None
  assert bins.debiased_l2 is None


def guo(c, hit, bins: int) -> float:
  """Equation 3 of Guo et al., with the bins of their equation for B_m."""
  error = 0.0
  for m in range(bins):
    inside = [
      i
      for i in range(len(c))
      if m / bins < c[i] <= (m + 1) / bins or (m == 0 and c[i] == 0)
    ]
    if inside:
      accuracy = sum(bool(hit[i]) for i in inside) / len(inside)
      mean = sum(float(c[i]) for i in inside) / len(inside)
      error += len(inside) / len(c) * abs(accuracy - mean)
  return error


def kumar(groups) -> float:
  """Definition 5.1 of Kumar et al. for a list of (confidence, hit) per bin."""
  n = sum(len(group) for group in groups)
  squared = 0.0
  for group in groups:
    if len(group) > 1:
      accuracy = sum(bool(h) for _, h in group) / len(group)
      mean = sum(float(c) for c, _ in group) / len(group)
      variance = accuracy * (1 - accuracy) / (len(group) - 1)
      squared += len(group) / n * ((mean - accuracy) ** 2 - variance)
  return max(squared, 0) ** 0.5


@pytest.mark.parametrize('bins', [1, 2, 10, 15, 100])
def test_ece_of_equal_width_against_the_definition(bins):
  for seed in range(5):
    c, hit = confident(seed)
    assert calibration.equal_width_bins(c, hit, bins).ece == pytest.approx(
      guo(c, hit, bins), rel=1e-10
    )


@given(EXAMPLES, st.sampled_from([1, 2, 4, 5, 8, 10]))
def test_ece_with_ties_and_values_on_edges(examples, bins):
  c, hit = arrays(examples)
  # m / bins in Python and linspace's m * (1 / bins) agree for these numbers of bins
  # and confidences.
  assert calibration.equal_width_bins(c, hit, bins).ece == pytest.approx(
    guo(c, hit, bins), abs=1e-12
  )


def test_values_on_an_edge_belong_to_the_bin_below():
  c = np.array([0, 0.25, np.nextafter(0.25, 1), 0.5, 0.75, 1])
  bins = calibration.equal_width_bins(c, np.ones(6, bool), 4)
  assert bins.edges.tolist() == [0, 0.25, 0.5, 0.75, 1]
  assert bins.count.tolist() == [2, 2, 1, 1]


# Sizes for which scikit-learn's interpolated quantiles cut at the same places.
@pytest.mark.parametrize(
  'strategy, n', [('uniform', 1234), ('quantile', 1500), ('quantile', 1501)]
)
def test_bins_against_scikit_learn(strategy, n):
  c, hit = confident(7, n)
  make = {
    'uniform': calibration.equal_width_bins,
    'quantile': calibration.equal_mass_bins,
  }[strategy]
  bins = make(c, hit, 15)
  used = bins.count > 0
  accuracy, mean = calibration_curve(hit, c, n_bins=15, strategy=strategy)
  np.testing.assert_allclose(bins.correct[used] / bins.count[used], accuracy)
  np.testing.assert_allclose(bins.confidence[used] / bins.count[used], mean)


@pytest.mark.parametrize('n', [15, 16, 29, 100, 1499, 1500])
def test_equal_mass_without_ties_is_sorting_and_cutting(n):
  c, hit = confident(n, n)
  bins = calibration.equal_mass_bins(c, hit, 15)
  assert bins.count.max() - bins.count.min() <= 1
  pairs = sorted(zip(c, hit, strict=True))
  ends = np.cumsum(bins.count)
  groups = [pairs[end - size : end] for end, size in zip(ends, bins.count, strict=True)]
  assert bins.correct.tolist() == [sum(h for _, h in group) for group in groups]
  assert bins.ece == pytest.approx(
    sum(abs(sum(h for _, h in g) - sum(c for c, _ in g)) for g in groups) / n
  )
  assert bins.debiased_l2 == pytest.approx(kumar(groups), abs=1e-9)


def test_debiased_error_of_equal_width_against_the_definition():
  for seed in range(10):
    c, hit = confident(seed, 200)
    groups = [
      [(c[i], hit[i]) for i in range(200) if m / 15 < c[i] <= (m + 1) / 15]
      for m in range(15)
    ]
    assert calibration.equal_width_bins(c, hit).debiased_l2 == pytest.approx(
      kumar(groups), abs=1e-9
    )


def test_chance_is_taken_out_of_the_debiased_error():
  # Calibrated perfectly; 20 examples in each bin.
  rng = np.random.default_rng(0)
  plain, debiased = [], []
  for _ in range(200):
    c = rng.beta(4, 1, 300)
    bins = calibration.equal_mass_bins(c, rng.random(300) < c)
    plain.append(np.mean(((bins.correct - bins.confidence) / bins.count) ** 2))
    debiased.append(bins.debiased_l2**2)
  # What is left: negative squares were cut off.
  assert np.mean(debiased) < np.mean(plain) / 4
  assert np.median(debiased) < np.median(plain) / 100


@given(EXAMPLES, st.integers(1, 4), st.randoms(use_true_random=False))
def test_the_order_of_examples_does_not_matter(examples, bins, random):
  shuffled = random.sample(examples, len(examples))
  for make in (calibration.equal_width_bins, calibration.equal_mass_bins):
    a, b = make(*arrays(examples), bins), make(*arrays(shuffled), bins)
    assert a.edges.tolist() == b.edges.tolist()
    assert a.count.tolist() == b.count.tolist()
    assert a.correct.tolist() == b.correct.tolist()
    np.testing.assert_allclose(a.confidence, b.confidence, rtol=1e-12)


@given(EXAMPLES, st.lists(st.integers(0, 60), max_size=5))
def test_parts_add_up(examples, cuts):
  c, hit = arrays(examples)
  whole = calibration.equal_width_bins(c, hit)
  cuts = sorted(cuts)
  parts = [
    calibration.equal_width_bins(*pair)
    for pair in zip(np.split(c, cuts), np.split(hit, cuts), strict=True)
  ]
  backwards = functools.reduce(lambda a, b: b + a, reversed(parts))
  for added in (functools.reduce(operator.add, parts), backwards):
    assert added.count.tolist() == whole.count.tolist()
    assert added.correct.tolist() == whole.correct.tolist()
    np.testing.assert_allclose(added.confidence, whole.confidence, rtol=1e-12)
    assert added.ece == pytest.approx(whole.ece, rel=1e-9, abs=1e-12)


def test_means_of_parts_add_up():
  p, labels = probabilities(2)
  whole = calibration.brier(p, labels)
  added = sum(
    (calibration.brier(p[i : i + 40], labels[i : i + 40]) for i in range(0, 150, 40)),
    Mean(0.0, 0),
  )
  assert added.count == whole.count
  assert added.value == pytest.approx(whole.value, rel=1e-13)


def test_different_edges_do_not_add_up():
  c, hit = confident(0)
  with pytest.raises(ValueError, match='different edges'):
    (
      calibration.equal_mass_bins(c[:700], hit[:700])
      + calibration.equal_mass_bins(c[700:], hit[700:])
    )


@pytest.mark.parametrize('log_probs', [[0.1], [np.nan, -1], [[-1]]])
def test_what_is_no_log_probability(log_probs):
  for function in (calibration.nll, calibration.confidence):
    with pytest.raises(ValueError, match='log probabilities'):
      function(np.array(log_probs))


@pytest.mark.parametrize(
  'p, labels, match',
  [
    ([[2.0, 1.0]], [0], 'do not sum to 1'),
    ([[1.5, -0.5]], [0], 'negative'),
    ([[np.nan, 1.0]], [0], 'NaN'),
    ([0.5, 0.5], [0], 'expected \\(n, classes\\)'),
    ([[0.5, 0.5]], [2], 'expected 0 to 1'),
    ([[0.5, 0.5]], [-1], 'expected 0 to 1'),
    ([[0.5, 0.5]], [0, 1], 'expected int \\(1,\\)'),
  ],
)
def test_brier_misuse(p, labels, match):
  with pytest.raises(ValueError, match=match):
    calibration.brier(np.array(p), np.array(labels))


@pytest.mark.parametrize(
  'c, hit, bins, match',
  [
    ([0.5, 1.1], [True, False], 2, 'confidences are from 0.5 to 1.1'),
    ([-0.1, 1], [True, False], 2, 'expected 0 to 1'),
    ([0.5, np.nan], [True, False], 2, 'confidences are from nan'),
    ([[0.5]], [True], 1, 'expected \\(n,\\)'),
    ([0.5, 0.6], [True], 2, 'expected bool \\(2,\\)'),
    ([0.5, 0.6], [1, 0], 2, 'hits are int64'),
    ([0.5, 0.6], [True, False], 0, 'bins=0'),
  ],
)
def test_bins_misuse(c, hit, bins, match):
  for make in (calibration.equal_width_bins, calibration.equal_mass_bins):
    with pytest.raises(ValueError, match=match):
      make(np.array(c), np.array(hit), bins)


def test_equal_mass_needs_an_example_for_each_bin():
  with pytest.raises(ValueError, match=r'bins=3 is not in \[1, 2\]'):
    calibration.equal_mass_bins(np.array([0.5, 0.6]), np.array([True, False]), 3)
