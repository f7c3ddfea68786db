"""Keras metrics that are integer counts, with ties settled as in tfeval.metrics."""

from typing import Any

import keras
import tensorflow as tf

from tfeval.keras import hits


@keras.saving.register_keras_serializable(package='tfeval')
class RealTopK(hits.Hits):
  """ReaL top-k accuracy: a right class is among the k highest outputs.

  `y_true` is bool [batch, classes] (or 0 and 1 of any dtype), the set of right
  classes of each example; an empty set weighs nothing, neither in the numerator
  nor in the denominator (Beyer et al., arXiv:2006.07159, and its reference code).
  Of equal outputs the class of the lowest index ranks first. Keras' own `fit` and
  `evaluate` take no bool data under MirroredStrategy: give uint8 there.

  Args:
    k: how many classes may hit, at least 1.
    name: default `real_top{k}`.

  Raises:
    UserError: k is not a positive integer.

  >>> metric = RealTopK(k=2)
  >>> metric.update_state([[0, 1, 1], [0, 0, 1], [0, 0, 0]],
  ...                     [[.5, .3, .2], [.4, .4, .2], [1., 0., 0.]])
  >>> metric.correct, metric.count, float(metric.result())
  (1, 2, 0.5)
  """

  REFUSED = 'a y_true with other values than 0 and 1'

  def __init__(self, k: int = 5, name: str | None = None):
    super().__init__(k, name, f'real_top{k}')

  def right_classes(self, y_true, y_pred):
    y_true = self.rows(y_true, y_pred)
    return hits.equals(y_true, 1), tf.reduce_all(hits.zero_or_one(y_true), axis=1)


@keras.saving.register_keras_serializable(package='tfeval')
class RealTop1(RealTopK):
  """ReaL accuracy: the highest output's class is in the set; see `RealTopK`.

  Args:
    name: default `real_top1`.
  """

  def __init__(self, name: str | None = None):
    super().__init__(1, name)

  def get_config(self) -> dict[str, Any]:
    return {'name': self.name}


@keras.saving.register_keras_serializable(package='tfeval')
class TopK(hits.Hits):
  """Top-k accuracy that counts no tie for a hit: a constant model is at chance.

  `y_true` is [batch] or [batch, 1], class indices of which a negative one is no
  label and weighs nothing; or one-hot [batch, classes], where a row of zeros is
  no label. Of equal outputs the class of the lowest index ranks first;
  `keras.metrics.TopKCategoricalAccuracy` takes each that ties for a hit.

  Args:
    k: how many classes may hit, at least 1.
    name: default `top{k}`.

  Raises:
    UserError: k is not a positive integer.

  >>> metric = TopK()
  >>> metric.update_state([0, 1, -1], [[.5, .5], [.5, .5], [.9, .1]])
  >>> metric.correct, metric.count
  (1, 2)
  """

  REFUSED = 'a label that is no class of y_pred'

  def __init__(self, k: int = 1, name: str | None = None):
    super().__init__(k, name, f'top{k}')

  def right_classes(self, y_true, y_pred):
    classes = y_pred.shape[1]
    if y_true.shape.rank == 2 and y_true.shape[1] == classes > 1:
      y_true = self.rows(y_true, y_pred)
      right = hits.equals(y_true, 1)
      single = tf.reduce_sum(tf.cast(right, tf.int32), axis=1) <= 1
      return right, single & tf.reduce_all(hits.zero_or_one(y_true), axis=1)
    labels = self.column('y_true', y_true, y_pred)
    labels = tf.cast(labels, tf.float64 if labels.dtype.is_floating else tf.int64)
    right = labels[:, None] == tf.range(classes, dtype=labels.dtype)
    return right, (labels < 0) | tf.reduce_any(right, axis=1)
