"""Is a model's class order that of the labels? Asked while it is evaluated."""

import numpy as np

from tfeval import labels as labels_lib
from tfeval.errors import UserError

# Enough examples for a model in another class order to be told from a bad one.
_CLASS_ORDER_EXAMPLES = 200


class ClassOrderCheck:
  """Stops a run of a model that numbers the classes otherwise, early if it can."""

  def __init__(self, name: str):
    self._name = name
    self._predicted: list[np.ndarray] = []
    self._labels: list[np.ndarray] = []
    self._checked = False

  def add(self, predicted: np.ndarray, labels: np.ndarray) -> None:
    """Takes a batch: int [n] top-1 classes and int [n] labels, -1 for none."""
    if self._checked:
      return
    self._predicted.append(predicted[labels >= 0])
    self._labels.append(labels[labels >= 0])
    if sum(map(len, self._labels)) >= _CLASS_ORDER_EXAMPLES:
      self.check()

  def check(self) -> None:
    """Raises a UserError if the answers fit the labels in another order only."""
    if self._checked or not self._labels:
      return
    self._checked = True
    order = labels_lib.other_class_order(np.concatenate(self._predicted),
                                         np.concatenate(self._labels))
    if order:
      raise UserError(
          f'{self._name} numbers its classes by {order}, not by sorted wnid as '
          'Keras and TFDS do: its answers fit the labels only in that order: '
          'permute its last layer')
