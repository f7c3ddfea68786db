"""Keras metrics that are integer counts, with ties settled as in tfeval.metrics."""

from typing import Any

import keras

from tfeval.keras import right_classes


@keras.saving.register_keras_serializable(package='tfeval')
class RealTopK(right_classes.OfSets, keras.metrics.Metric):
  """ReaL top-k accuracy: a right class is among the k highest outputs.

  `y_true` is [batch, classes]. A row of 0 and 1, of any dtype, is the set of right
  classes of an example; an empty set weighs nothing, neither in the numerator
  nor in the denominator (Beyer et al., arXiv:2006.07159, and its reference code).
  A row with anything between is a soft label, as MixUp, CutMix and label smoothing
  make them: the class of the highest value is the one right class, of equal ones that
  of the lowest index. So a set that was smoothed or mixed is a set no longer.
  Of equal outputs the class of the lowest index ranks first. Keras' own `fit` and
  `evaluate` take no bool data under MirroredStrategy: give uint8 there.

  An example whose `sample_weight` is 0 does not count, with any other it counts once;
  Keras hands weights, those of `class_weight` too, to `weighted_metrics` alone.

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
class TopK(right_classes.OfOne, keras.metrics.Metric):
  """Top-k accuracy that counts no tie for a hit: a constant model is at chance.

  `y_true` is [batch] or [batch, 1], class indices of which a negative one is no
  label and weighs nothing; or [batch, classes] in 0 to 1, one-hot or soft, as MixUp,
  CutMix and label smoothing make them: the class of the highest value is right, of
  equal ones that of the lowest index, and a row of zeros is no label. (Of a set of
  several classes `RealTopK` counts any.) Of equal outputs the class of the lowest
  index ranks first; `keras.metrics.TopKCategoricalAccuracy` takes each that ties for
  a hit.

  An example whose `sample_weight` is 0 does not count, with any other it counts once;
  Keras hands weights, those of `class_weight` too, to `weighted_metrics` alone.

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
