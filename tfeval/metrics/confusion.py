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

  Attributes:
    matrix: int64 [classes, classes], row: label, column: prediction.
  """

  matrix: np.ndarray

  def __add__(self, other: 'Confusion') -> 'Confusion':
    return Confusion(self.matrix + other.matrix)

  def pairs(self, n: int) -> list[Pair]:
    """Returns the n most frequent confusions, or all if there are fewer.

    Directed: (a, b) and (b, a) are two. Equal counts are ordered by label, then
    by prediction.
    """
    wrong = self.matrix.copy()
    np.fill_diagonal(wrong, 0)
    labels, predicted = np.nonzero(wrong)
    counts = wrong[labels, predicted]
    of = self.matrix.sum(axis=1)
    return [
      Pair(int(labels[i]), int(predicted[i]), int(counts[i]), int(of[labels[i]]))
      for i in np.argsort(-counts, kind='stable')[:n]
    ]


def confusion(
  predicted: np.ndarray, labels: np.ndarray, classes: int = 1000
) -> Confusion:
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
  cells = labels.astype(np.int64) * classes + predicted
  return Confusion(np.bincount(cells, minlength=classes**2).reshape(classes, classes))
