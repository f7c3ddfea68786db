"""Temperatures against SciPy's minimiser, a grid and a known answer."""

import numpy as np
import pytest
import scipy.optimize
import scipy.special
from sklearn.metrics import log_loss

from tfeval.metrics import temperature


def random_case(seed: int, n: int = 300, classes: int = 12, scale: float = 3.0):
  """Logits `scale` times those that labels were drawn from."""
  rng = np.random.default_rng(seed)
  true = rng.normal(size=(n, classes)) * 2
  labels = np.array(
    [rng.choice(classes, p=row) for row in scipy.special.softmax(true, axis=1)]
  )
  return (scale * true).astype(np.float32), labels


def nll(t: float, logits: np.ndarray, labels: np.ndarray) -> float:
  return log_loss(
    labels, scipy.special.softmax(logits / t, axis=1), labels=range(logits.shape[1])
  )


@pytest.mark.parametrize('scale', [0.01, 0.3, 1.0, 3.0, 100.0])
def test_against_a_minimiser(scale):
  logits, labels = random_case(0, scale=scale)
  expected = scipy.optimize.minimize_scalar(
    lambda log_t: nll(np.exp(log_t), logits.astype(np.float64), labels),
    bounds=(np.log(scale) - 2, np.log(scale) + 2),
    method='bounded',
    options={'xatol': 1e-10},
  )
  assert temperature.fit_temperature(logits, labels) == pytest.approx(
    np.exp(expected.x), rel=1e-5
  )


def test_against_a_grid():
  logits, labels = random_case(1)
  grid = np.linspace(2.5, 3.5, 101)
  best = grid[np.argmin([nll(t, logits, labels) for t in grid])]
  assert temperature.fit_temperature(logits, labels) == pytest.approx(best, abs=0.0051)


def test_two_classes_by_hand():
  # One of four is wrong by 2: calibrated at sigmoid(2 / T) = 3 / 4.
  logits = np.array([[2, 0], [2, 0], [0, 2], [2, 0]], np.float32)
  assert temperature.fit_temperature(logits, np.array([0, 0, 1, 1])) == pytest.approx(
    2 / np.log(3), rel=1e-7
  )


def test_the_scale_of_the_logits_is_found_again():
  logits, labels = random_case(2, n=20_000, scale=2.5)
  assert temperature.fit_temperature(logits, labels) == pytest.approx(2.5, rel=0.03)


def test_constants_of_rows_and_their_order_do_not_matter():
  logits, labels = random_case(3)
  expected = temperature.fit_temperature(logits, labels)
  log_probs = scipy.special.log_softmax(logits.astype(np.float64), axis=1)
  assert temperature.fit_temperature(log_probs, labels) == pytest.approx(
    expected, rel=1e-6
  )
  order = np.random.default_rng(0).permutation(len(labels))
  assert temperature.fit_temperature(logits[order], labels[order]) == pytest.approx(
    expected, rel=1e-7
  )


def test_large_logits_do_not_overflow():
  logits = np.array([[3e38, -3e38], [3e38, -3e38], [-3e38, 3e38]], np.float32)
  # One of three is wrong: sigmoid(6e38 / T) = 2 / 3.
  assert temperature.fit_temperature(logits, np.array([0, 1, 1])) == pytest.approx(
    6e38 / np.log(2), rel=1e-6
  )


@pytest.mark.parametrize(
  'labels, match',
  [
    ([0, 1], 'every label has the highest logit'),
    ([1, 0], 'no higher logits than the average'),
  ],
)
def test_no_minimum(labels, match):
  logits = np.array([[2, 0, 1], [0, 3, 1]], np.float32)
  with pytest.raises(ValueError, match=match):
    temperature.fit_temperature(logits, np.array(labels))


@pytest.mark.parametrize('wrong', [0, 100, 199])
def test_a_single_mistake_makes_a_minimum(wrong):
  logits = np.tile(np.array([2, 0], np.float32), (200, 1))
  labels = (np.arange(200) == wrong).astype(int)
  # sigmoid(2 / T) = 199 / 200.
  assert temperature.fit_temperature(logits, labels) == pytest.approx(
    2 / np.log(199), rel=1e-7
  )


def test_constant_logits_have_no_minimum():
  with pytest.raises(ValueError, match='no temperature is best'):
    temperature.fit_temperature(np.zeros((3, 4)), np.array([0, 1, 2]))


@pytest.mark.parametrize(
  'logits, labels, match',
  [
    ([[1, np.nan]], [0], 'not finite'),
    ([[1, np.inf]], [0], 'not finite'),
    ([[1, -np.inf]], [0], 'not finite'),
    ([1, 2], [0], 'expected \\(n, classes\\)'),
    (np.empty((0, 3)), [], 'expected \\(n, classes\\)'),
    ([[1, 2]], [2], 'expected 0 to 1'),
    ([[1, 2]], [0, 1], 'expected int \\(1,\\)'),
  ],
)
def test_misuse(logits, labels, match):
  with pytest.raises(ValueError, match=match):
    temperature.fit_temperature(np.array(logits), np.array(labels))
