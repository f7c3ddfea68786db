"""From scores to ranked classes, with ties settled the same way everywhere."""

from typing import Any

import numpy as np


def tie_key(classes: Any) -> Any:
  """Returns what settles ties: of equal scores the class of the lowest key is first.

  Args:
    classes: indices, of any shape; an integer array, or tensor.
  """
  return classes


def top_k(scores: np.ndarray, k: int) -> np.ndarray:
  """Ranks classes by score, highest first; of equal scores by `tie_key`.

  `tf.math.in_top_k` counts every class that ties with the k-th as a hit, so
  constant scores are 100 % right there; here they are right as often as chance.

  Args:
    scores: float [n, classes], finite or -inf.
    k: how many classes, at most `classes`.

  Returns:
    int32 [n, k], class indices.

  >>> top_k(np.array([[.1, .4, .4, .2]]), 3)
  array([[1, 2, 3]], dtype=int32)
  """
  classes = scores.shape[1]
  if not 1 <= k <= classes:
    raise ValueError(f'k={k} is not in [1, {classes}]')
  # A full stable sort of 1000 scores costs five times this partition.
  kth = np.partition(scores, classes - k, axis=1)[:, classes - k, None]
  candidate = scores >= kth
  extra = int(candidate.sum(axis=1).max(initial=k))
  # `extra` > k only with ties at the k-th place: more columns, same order.
  columns = np.argsort(~candidate, axis=1, kind='stable')[:, :extra]
  ordered = order(np.take_along_axis(scores, columns, axis=1), columns)[:, :k]
  return np.take_along_axis(columns, ordered, axis=1).astype(np.int32)


def order(scores: np.ndarray, classes: np.ndarray) -> np.ndarray:
  """Returns int64 [n, k], the order of `classes`, int [n, k], by their scores."""
  return np.lexsort((tie_key(classes), -scores))


def log_softmax(logits: np.ndarray) -> np.ndarray:
  """Returns the logarithms of the softmax, computed in float64.

  Args:
    logits: float [n, classes], finite.

  Returns:
    float64 [n, classes], at most 0.
  """
  shifted = logits.astype(np.float64)
  shifted -= shifted.max(axis=1, keepdims=True)
  return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
