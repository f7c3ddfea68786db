"""From scores to ranked classes, with ties settled the same way everywhere."""

import numpy as np


def top_k(scores: np.ndarray, k: int) -> np.ndarray:
  """Ranks classes by score, highest first; of equal scores the lowest index.

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
  ordered = np.argsort(
    -np.take_along_axis(scores, columns, axis=1), axis=1, kind='stable'
  )[:, :k]
  return np.take_along_axis(columns, ordered, axis=1).astype(np.int32)


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
