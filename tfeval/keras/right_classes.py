"""Which classes are right by `y_true`: shared by metrics of Keras and of Keras 2."""

import tensorflow as tf

from tfeval.keras import hits, ranks


class OfSets(hits.Hits):
  """`y_true` is a set of right classes for each example; see `metrics.RealTopK`."""

  REFUSED = 'a y_true with values outside of 0 to 1'

  def __init__(self, k: int = 5, name: str | None = None):
    super().__init__(k, name, f'real_top{k}')

  def right_classes(self, y_true, y_pred):
    y_true = self.rows(y_true, y_pred)
    is_set = tf.reduce_all(hits.zero_or_one(y_true), axis=1, keepdims=True)
    right = tf.where(is_set, hits.equals(y_true, 1), ranks.highest(y_true))
    return right, hits.is_label(y_true)


class OfOne(hits.Hits):
  """`y_true` is one class for each example; see `metrics.TopK`."""

  REFUSED = 'a label that is no class of y_pred'

  def __init__(self, k: int = 1, name: str | None = None):
    super().__init__(k, name, f'top{k}')

  def right_classes(self, y_true, y_pred):
    classes = y_pred.shape[1]
    if y_true.shape.rank == 2 and y_true.shape[1] == classes > 1:
      y_true = self.rows(y_true, y_pred)
      return ranks.highest(y_true), hits.is_label(y_true)
    labels = self.column('y_true', y_true, y_pred)
    labels = tf.cast(labels, tf.float64 if labels.dtype.is_floating else tf.int64)
    right = labels[:, None] == tf.range(classes, dtype=labels.dtype)
    return right, (labels < 0) | tf.reduce_any(right, axis=1)
