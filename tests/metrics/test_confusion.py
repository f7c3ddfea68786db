"""Confusion against scikit-learn and a dictionary."""

import collections

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from tfeval.metrics import confusion


def random_case(seed: int, n: int = 400, classes: int = 9):
  rng = np.random.default_rng(seed)
  return rng.integers(0, classes, n), rng.integers(0, classes - 1, n)


def test_matrix_against_scikit_learn():
  predicted, labels = random_case(0)
  ours = confusion.confusion(predicted, labels, 9).matrix
  assert ours.dtype == np.int64
  np.testing.assert_array_equal(
    ours, confusion_matrix(labels, predicted, labels=range(9))
  )


@pytest.mark.parametrize('n', [0, 1, 7, 1000])
def test_pairs_against_a_dictionary(n):
  predicted, labels = random_case(1)
  pairs = list(zip(labels.tolist(), predicted.tolist(), strict=True))
  of = collections.Counter(labels.tolist())
  seen = collections.Counter(pair for pair in pairs if pair[0] != pair[1])
  # Ties: by label, then by prediction.
  expected = sorted((-count, *pair) for pair, count in seen.items())[:n]
  assert confusion.confusion(predicted, labels, 9).pairs(n) == [
    (label, other, -minus, of[label]) for minus, label, other in expected
  ]


def test_parts_add_up_in_any_order():
  predicted, labels = random_case(2)
  whole = confusion.confusion(predicted, labels, 9).matrix
  order = np.random.default_rng(0).permutation(len(labels))
  a, b, c = (
    confusion.confusion(predicted[rows], labels[rows], 9)
    for rows in np.split(order, [3, 200])
  )
  for added in ((a + b) + c, a + (b + c), c + b + a):
    np.testing.assert_array_equal(added.matrix, whole)


def test_pairs_leave_the_matrix_alone():
  found = confusion.confusion(np.array([0, 1]), np.array([0, 0]), 2)
  found.pairs(5)
  assert found.matrix.tolist() == [[1, 1], [0, 0]]


def test_nothing():
  found = confusion.confusion(np.empty(0, int), np.empty(0, int), 1000)
  assert found.matrix.shape == (1000, 1000)
  assert found.pairs(5) == []


@pytest.mark.parametrize(
  'predicted, labels',
  [
    ([0, 2], [0, 1]),
    ([0, 1], [0, 2]),
    ([0, 1], [0, -1]),
    ([0, 1], [0]),
    ([0.0, 1.0], [0, 1]),
    ([[0], [1]], [0, 1]),
  ],
)
def test_misuse(predicted, labels):
  with pytest.raises(ValueError, match='expected'):
    confusion.confusion(np.array(predicted), np.array(labels), 2)
