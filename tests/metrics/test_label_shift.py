"""Class shares and calibration against planted truth and resampling by hand."""

import numpy as np
import pytest
from scipy import special

from tfeval.metrics import bias_corrected, label_shift, unlabelled


def drawn(priors, n, seed):
  """Labels, and the exact log-probabilities of a classifier with equal priors."""
  random = np.random.default_rng(seed)
  labels = random.choice(len(priors), n, p=priors)
  means = 2.0 * np.eye(len(priors))
  features = means[labels] + random.standard_normal((n, len(priors)))
  return labels, special.log_softmax(features @ means.T, axis=1)


def test_planted_priors_are_found():
  equal, wanted = np.full(4, 0.25), np.array([0.55, 0.3, 0.15, 0.0])
  labels, source = drawn(equal, 4000, 0)
  _, target = drawn(wanted, 4000, 1)
  assert label_shift.em_priors(target, equal) == pytest.approx(wanted, abs=0.03)
  weights = label_shift.bbse(np.exp(source), labels, np.exp(target))
  assert weights / 4 == pytest.approx(wanted, abs=0.03)
  adjusted = label_shift.adjusted(target, wanted / equal)
  assert adjusted.sum(axis=1) == pytest.approx(1) and (adjusted[:, 3] == 0).all()


def test_draws_side_by_side_are_those_one_by_one():
  equal = np.full(3, 1 / 3)
  _, target = drawn(np.array([0.5, 0.3, 0.2]), 60, 2)
  weights = label_shift.bootstrap_weights(60, 5)
  assert (weights.sum(axis=0) == 60).all()
  found = label_shift.em_priors(target, equal, weights)
  for one, counts in zip(found, weights.T.astype(int), strict=True):
    again = label_shift.em_priors(np.repeat(target, counts, axis=0), equal)
    assert one == pytest.approx(again, abs=1e-9)


def test_confusion_matrices_without_inverse():
  labels, source = drawn(np.full(3, 1 / 3), 60, 3)
  same = np.full((60, 3), 1 / 3)
  for said, of in ((same, labels), (np.exp(source), labels // 2)):
    with pytest.raises(ValueError, match='no inverse'):
      label_shift.bbse(said, of, said)


def test_planted_temperature_and_bias_are_found():
  labels, right = drawn(np.full(3, 1 / 3), 20_000, 4)
  bias = np.array([0.6, -0.2, -0.4])
  temperature, found = bias_corrected.fit((right - bias) * 2.5, labels)
  assert temperature == pytest.approx(2.5, rel=0.05)
  assert found == pytest.approx(bias, abs=0.1)
  scaled = np.exp(bias_corrected.scaled((right - bias) * 2.5, temperature, found))
  # What makes it fit for label shift, and only its minimum has.
  shares = np.bincount(labels) / len(labels)
  assert scaled.mean(axis=0) == pytest.approx(shares, abs=1e-5)


@pytest.mark.parametrize(
  'logits, said',
  [(np.eye(3)[[0, 1, 0]], 'do not occur'), (np.full((3, 3), np.nan), 'finite')],
)
def test_what_cannot_be_calibrated(logits, said):
  with pytest.raises(ValueError, match=said):
    bias_corrected.fit(logits, np.array([0, 1, 0]))


def test_agreement_on_a_planted_line():
  source = np.array([0.9, 0.8, 0.7, 0.75])
  agreements = (source[:, None] + source) / 2.1
  np.fill_diagonal(agreements, 1)
  line = special.ndtr(0.8 * special.ndtri(agreements) - 0.5)
  found = unlabelled.on_the_line(source, agreements, line)
  assert found == pytest.approx(special.ndtr(0.8 * special.ndtri(source) - 0.5))
  predicted = np.array([[0, 1, 2, 3], [0, 1, 2, 0], [1, 1, 2, 0]])
  assert unlabelled.agreement(predicted).tolist() == [
    [1, 0.75, 0.5],
    [0.75, 1, 0.75],
    [0.5, 0.75, 1],
  ]
  with pytest.raises(ValueError, match='no line'):
    unlabelled.on_the_line(source[:2], agreements[:2, :2], line[:2, :2])


def test_spread_of_guesses_covers_them():
  random = np.random.default_rng(5)
  source, target = random.random(300), random.random(200) ** 2
  hits = random.random(300) < source
  spread = unlabelled.bootstrap(hits, source, target, 500)
  for name, value in (
    ('AC', unlabelled.average_confidence(target)),
    ('DoC', unlabelled.difference_of_confidences(hits, source, target)),
    ('ATC', unlabelled.above_threshold(hits, source, target)),
  ):
    assert spread[name].mean() == pytest.approx(value, abs=0.01)
  expected = np.std(target) / np.sqrt(200)
  assert spread['AC'].std() == pytest.approx(expected, rel=0.15)
