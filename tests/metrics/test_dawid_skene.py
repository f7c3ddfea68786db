"""Dawid-Skene with known classes; of EM see the example in configs."""

import numpy as np
import pytest

from tfeval.metrics import dawid_skene
from tfeval.metrics.dawid_skene import Votes


def test_known_classes_and_laplace():
  votes = Votes(
    np.array([0, 0, 0, 1]), np.array([0, 1, 2, 2]), np.array([2, 2, 0, 1]), 3, 4
  )
  known = np.array([[0.0, 1], [0, 1], [1, 0], [1, 0]])
  found = dawid_skene.counts(votes, known)
  assert found.tolist() == [
    [[1, 0, 0], [0, 0, 2]],
    [[0, 1, 0], [0, 0, 0]],
    [[0, 0, 0], [0, 0, 0]],
  ]
  smoothed = dawid_skene.normalized(found, 1)
  np.testing.assert_allclose(smoothed[0], [[2 / 4, 1 / 4, 1 / 4], [0.2, 0.2, 0.6]])
  posterior = dawid_skene.classify(votes, smoothed, np.array([0.75, 0.25]))
  # Item 0: .25 * .6 against .75 * .25; item 3 has no votes.
  assert posterior[0, 1] == pytest.approx(0.15 / (0.15 + 0.1875))
  np.testing.assert_allclose(posterior[3], [0.75, 0.25])


def test_impossible_votes():
  votes = Votes(np.array([0]), np.array([0]), np.array([1]), 1, 1)
  with pytest.raises(ValueError, match='impossible'):
    dawid_skene.classify(votes, np.array([[[1.0, 0, 0], [0, 0, 1]]]), np.ones(2) / 2)
