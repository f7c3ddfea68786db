"""Which classes are taken for which."""

import dataclasses
from typing import NamedTuple

import numpy as np

from tfeval.metrics import checks


class Pair(NamedTuple):
  """A class and one that it is taken for.

  Attributes:
    label: the right class.
    predicted: the other one.
    count: examples of `label` that were predicted to be `predicted`.
    of: examples of `label`.
  """

  label: int
  predicted: int
  count: int  # type: ignore[assignment]  # Of tuple, a method.
  of: int


@dataclasses.dataclass(frozen=True, eq=False)
class Confusion:
  """Examples by class and prediction; those of disjoint sets of examples add up.

  Only pairs that occur take memory: of 20,000 classes all of them would take 3 GB.

  Attributes:
    classes: how many there are.
    labels, predicted: int64 [pairs], in the order of `labels`, then of `predicted`.
    counts: int64 [pairs], examples, at least 1.
  """

  classes: int
  labels: np.ndarray
  predicted: np.ndarray
  counts: np.ndarray

  def __add__(self, other: 'Confusion') -> 'Confusion':
    labels, predicted, counts = (
      np.concatenate([getattr(one, name) for one in (self, other)])
      for name in ('labels', 'predicted', 'counts')
    )
    return _summed(self.classes, labels, predicted, counts)

  @property
  def matrix(self) -> np.ndarray:
    """int64 [classes, classes], row: label, column: prediction."""
    found = np.zeros((self.classes, self.classes), np.int64)
    found[self.labels, self.predicted] = self.counts
    return found

  def pairs(self, n: int) -> list[Pair]:
    """Returns the n most frequent confusions, or all if there are fewer.

    Directed: (a, b) and (b, a) are two. Equal counts are ordered by label, then
    by prediction.
    """
    of = np.zeros(self.classes, np.int64)
    np.add.at(of, self.labels, self.counts)
    wrong = self.labels != self.predicted
    labels, predicted, counts = (
      values[wrong] for values in (self.labels, self.predicted, self.counts)
    )
    return [
      Pair(int(labels[i]), int(predicted[i]), int(counts[i]), int(of[labels[i]]))
      for i in np.argsort(-counts, kind='stable')[:n]
    ]


def _summed(
  classes: int, labels: np.ndarray, predicted: np.ndarray, counts: np.ndarray
) -> Confusion:
  """Returns the counts of pairs of which some may occur several times."""
  cells, at = np.unique(
    labels.astype(np.int64) * classes + predicted, return_inverse=True
  )
  added = np.zeros(len(cells), np.int64)
  np.add.at(added, at, counts)
  return Confusion(classes, cells // classes, cells % classes, added)


def confusion(predicted: np.ndarray, labels: np.ndarray, classes: int) -> Confusion:
  """Counts predictions by label.

  Args:
    predicted: int [n], the first class of each example, in [0, classes).
    labels: int [n], in [0, classes).
    classes: how many classes there are.

  Raises:
    ValueError: shapes disagree or a class is out of range.

  >>> confusion(np.array([1, 1, 0, 2]), np.array([1, 0, 0, 0]), classes=3).pairs(1)
  [Pair(label=0, predicted=1, count=1, of=3)]
  """
  predicted = checks.check_labels(predicted, len(predicted), classes)
  labels = checks.check_labels(labels, len(predicted), classes)
  return _summed(classes, labels, predicted, np.ones(len(labels), np.int64))
