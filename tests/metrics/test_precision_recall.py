"""Precision and recall against scikit-learn and a count."""

import numpy as np
import pytest
from sklearn.metrics import precision_recall_curve

from tfeval.metrics import precision_recall


@pytest.mark.parametrize('digits', [1, 2, 9])
def test_against_scikit_learn(digits):
  rng = np.random.default_rng(digits)
  right = rng.random(300) < 0.3
  scores = np.round(rng.random(300), digits)
  found = precision_recall.curve(right, scores, int(right.sum()))
  precision, recall, thresholds = precision_recall_curve(right, scores)
  np.testing.assert_allclose(found.threshold, thresholds[::-1])
  np.testing.assert_allclose(found.precision, precision[:-1][::-1])
  np.testing.assert_allclose(found.recall, recall[:-1][::-1])
  order = rng.permutation(300)
  again = precision_recall.curve(right[order], scores[order], int(right.sum()))
  np.testing.assert_array_equal(again.correct, found.correct)


def test_labels_that_nobody_proposed_lower_recall():
  found = precision_recall.curve(np.array([True, False]), np.array([-np.inf, 0]), 5)
  assert found.recall.tolist() == [0, 0.2]
  assert found.precision.tolist() == [0, 0.5]


@pytest.mark.parametrize(
  ('right', 'scores', 'positives'),
  [([True], [1.0, 2.0], 1), ([True, True], [1.0, 2.0], 1), ([False], [1.0], 0)],
)
def test_refused(right, scores, positives):
  with pytest.raises(ValueError):
    precision_recall.curve(np.array(right), np.array(scores), positives)
