"""Precision, recall and F1 of classes, and their averages."""

import dataclasses

import numpy as np

MACRO, MICRO, WEIGHTED = AVERAGES = ('macro', 'micro', 'weighted')
PRECISION, RECALL, F1 = SCORES = ('precision', 'recall', 'f1')


@dataclasses.dataclass(frozen=True, eq=False)
class ClassScores:
  """What was predicted of each class that has images or predictions.

  Attributes:
    classes: int64 [c], ascending.
    right: int64 [c], images of a class that were predicted to be of it.
    predicted: int64 [c], images that were predicted to be of it.
    labelled: int64 [c], images of it.
  """

  classes: np.ndarray
  right: np.ndarray
  predicted: np.ndarray
  labelled: np.ndarray

  def of_classes(self, score: str) -> np.ndarray:
    """Returns a score of each class, float64 [c] in [0, 1]; 0 where it is 0 / 0.

    Args:
      score: one of `SCORES`.
    """
    return _ratio(*self._parts(score))

  def averaged(self, score: str, average: str) -> float:
    """Returns the average of a score over the classes.

    As `precision_recall_fscore_support` of scikit-learn with the default labels and
    `zero_division=0`: a class without a prediction has precision 0, one without an
    image recall 0, and neither is left out.

    Args:
      score: one of `SCORES`.
      average: `macro`, each class counts the same; `weighted`, as often as it has
        images; `micro`, of the sums over the classes, which is the accuracy, as each
        image has one label and one prediction.

    Raises:
      ValueError: there are no images.

    >>> found = class_scores(np.array([0, 0, 1]), np.array([0, 2, 1]))
    >>> found.averaged('f1', 'macro'), found.averaged('recall', 'weighted')
    (0.5555555555555555, 0.6666666666666666)
    """
    if not len(self.classes):
      raise ValueError('no image has a label')
    if average == MICRO:
      top, bottom = self._parts(score)
      return float(_ratio(top.sum(keepdims=True), bottom.sum(keepdims=True))[0])
    values = self.of_classes(score)
    if average == MACRO:
      return float(values.mean())
    if average != WEIGHTED:
      raise ValueError(f'average is {average!r}, expected one of {AVERAGES}')
    return float(np.average(values, weights=self.labelled))

  def _parts(self, score: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns what is divided by what."""
    if score == PRECISION:
      return self.right, self.predicted
    if score == RECALL:
      return self.right, self.labelled
    if score == F1:
      return 2 * self.right, self.predicted + self.labelled
    raise ValueError(f'score is {score!r}, expected one of {SCORES}')


def class_scores(labels: np.ndarray, predicted: np.ndarray) -> ClassScores:
  """Counts predictions by class.

  Args:
    labels: int [n], the class of each image.
    predicted: int [n], what was predicted; classes of no image are classes too.

  Raises:
    ValueError: shapes disagree.

  >>> class_scores(np.array([3, 3]), np.array([3, 7])).classes
  array([3, 7])
  """
  labels, predicted = np.asarray(labels, np.int64), np.asarray(predicted, np.int64)
  if labels.shape != predicted.shape or labels.ndim != 1:
    raise ValueError(f'labels have shape {labels.shape}, predicted {predicted.shape}')
  classes, at = np.unique(np.concatenate([labels, predicted]), return_inverse=True)
  label_at, predicted_at = at[: len(labels)], at[len(labels) :]
  count = len(classes)
  right = label_at[label_at == predicted_at]
  return ClassScores(
    classes,
    np.bincount(right, minlength=count),
    np.bincount(predicted_at, minlength=count),
    np.bincount(label_at, minlength=count),
  )


def _ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
  return np.divide(top, bottom, out=np.zeros(len(top)), where=bottom > 0)
