"""Whether a right class is among the k highest, computed in TensorFlow.

The definition is that of `tfeval.metrics.ranking`: equal outputs rank by its
`tie_key`.
"""

import tensorflow as tf

from tfeval.metrics import ranking

_BITS = {1: tf.int8, 2: tf.int16, 4: tf.int32, 8: tf.int64}


def ordered_as_integers(scores: tf.Tensor) -> tf.Tensor:
  """Maps numbers to integers that compare as the numbers do.

  TensorFlow's float comparisons take subnormal numbers for 0, and XLA's top_k
  puts -0. below 0.; as integers both rank as they do in NumPy, on every device.
  IEEE 754 stores a sign and a magnitude, and magnitudes order as their bits do.

  Args:
    scores: float of any width, or integer, of any shape; no NaN, which has no order.

  Returns:
    int64, of the same shape; above the lowest int64, equal for -0. and 0.

  >>> ordered_as_integers(tf.constant([-1., -0., 0., 1e-45])).numpy().tolist()
  [-1065353216, 0, 0, 1]
  """
  if not scores.dtype.is_floating:
    return tf.cast(scores, tf.int64)
  bits = tf.bitcast(scores, _BITS[scores.dtype.size])
  lowest = tf.constant(bits.dtype.min, tf.int64)
  bits = tf.cast(bits, tf.int64)
  return tf.where(bits < 0, lowest - bits, bits)


def highest(labels: tf.Tensor) -> tf.Tensor:
  """Marks the highest label of each row, of equal ones that of the lowest index.

  Args:
    labels: bool, float or integer [n, classes].

  Returns:
    bool [n, classes]; all False for a row with nothing above 0.

  >>> highest(tf.constant([[.4, .4, .2], [0., 0., 0.]])).numpy().tolist()
  [[True, False, False], [False, False, False]]
  """
  if labels.dtype.is_bool:
    labels = tf.cast(labels, tf.int8)
  order = ordered_as_integers(labels)
  best = tf.reduce_max(order, axis=1, keepdims=True)
  index = tf.range(labels.shape[1], dtype=tf.int32)
  ties = (order == best) & (best > 0)
  return index == tf.reduce_min(
    tf.where(ties, index, index.dtype.max), axis=1, keepdims=True
  )


def hits(right: tf.Tensor, scores: tf.Tensor, k: int) -> tf.Tensor:
  """Tells which rows have a right class among their k highest scores.

  Counts how many classes rank above the best right one, so nothing is sorted.

  Args:
    right: bool [n, classes], the right classes of each row.
    scores: float or integer [n, classes].
    k: how many classes may hit, at least 1.

  Returns:
    bool [n]; False for a row without a right class, and for one with a NaN.
  """
  order = ordered_as_integers(scores)
  key = ranking.tie_key(tf.range(scores.shape[1], dtype=tf.int32))
  best = tf.reduce_max(tf.where(right, order, order.dtype.min), axis=1, keepdims=True)
  first = tf.reduce_min(
    tf.where(right & (order == best), key, key.dtype.max), axis=1, keepdims=True
  )
  above = (order > best) | ((order == best) & (key < first))
  rank = tf.reduce_sum(tf.cast(above, tf.int32), axis=1)
  hit = tf.reduce_any(right, axis=1) & (rank < k)
  if scores.dtype.is_floating:
    hit &= ~tf.reduce_any(tf.math.is_nan(scores), axis=1)
  return hit
