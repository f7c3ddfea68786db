"""The part that all metrics of counts share: state, checks, reading and merging."""

import abc
import numbers
import sys
from collections.abc import Iterable
from typing import Any

import keras
import tensorflow as tf

from tfeval.keras import ranks, refusals
from tfeval.models.keras.versions import is_legacy
from tfeval.utils.arguments import of_kind
from tfeval.utils.errors import UserError

# Of a sum of soft labels in bfloat16.
_ROUNDING = 1 / 64


class Hits(abc.ABC):
  """Counts hits and examples in int64: in whatever parts, the sums are the same.

  What metrics of Keras and of Keras 2 share: it stands before `Metric` among their
  bases.

  Under a strategy make it in `strategy.scope()`, as every metric of Keras.
  The state is three int64 variables that replicas add up: `correct`, `count` and
  `refused`. XLA drops assertions, so what may not be counted is itself counted,
  and shows where a number is read.
  """

  REFUSED: str  # Which y_true are refused.

  def __init__(self, k: int, name: str | None, default: str):
    if not isinstance(k, numbers.Integral) or isinstance(k, bool) or k < 1:
      raise UserError(f'k={k!r} of {type(self).__name__}: want an integer, at least 1')
    of_kind('name', name, str | None, 'what it is called in logs')
    super().__init__(name=name or default, dtype='float64')
    self.k = int(k)
    self._direction = 'up'  # As Keras' own tell it, for mode='auto' of callbacks.
    self._correct, self._count, self._refused = (
      self.add_weight(name=part, shape=(), initializer='zeros', dtype='int64')
      for part in ('correct', 'count', 'refused')
    )

  @property
  def variables(self) -> list[Any]:
    self._check_caller()  # compile of Keras 2 looks here.
    return super().variables

  def __call__(self, *args: Any, **kwargs: Any) -> tf.Tensor:
    self._check_caller()  # compile takes what it does not know for a function.
    return super().__call__(*args, **kwargs)

  def _check_caller(self) -> None:
    """Raises a `UserError` where the other version of Keras uses this metric."""
    caller = sys._getframe(2).f_globals.get('__name__', '').partition('.')[0]
    if caller == ('keras' if is_legacy(self) else 'tf_keras'):
      raise UserError(
        f'{self.name} is a metric of another version of Keras than the model: for '
        'Keras 2 (tf_keras) take tfeval.keras.legacy, else tfeval.keras.metrics'
      )

  @property
  def correct(self) -> int:
    """How many examples were hit, over all replicas."""
    return self._read(self._correct)

  @property
  def count(self) -> int:
    """How many examples have a label, over all replicas."""
    return self._read(self._count)

  # Keras 2 would convert it, outside of graphs too.
  @tf.autograph.experimental.do_not_convert
  def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
    """Adds a batch.

    Args:
      y_true: the right classes, in one of the shapes that the class names.
      y_pred: float [batch, classes], logits or probabilities. A row with a NaN is
        a miss.
      sample_weight: [batch] or [batch, 1], of any dtype. An example of weight 0 does
        not count, nor does one that a Keras mask of `y_pred` leaves out; with any
        other weight it counts once.

    Raises:
      UserError: k or the shapes do not fit; outside of graphs also if a weight is
        NaN, or a label is none. Then nothing is added. In Keras' `fit` and
        `evaluate`, whose graphs cannot refuse values, it is raised after the batch.
    """
    mask = getattr(y_pred, '_keras_mask', None)
    y_pred = tf.convert_to_tensor(y_pred)
    self._check_outputs(y_pred)
    right, valid = self.right_classes(tf.convert_to_tensor(y_true), y_pred)
    kept = tf.ones(tf.shape(y_pred)[:1], tf.bool)
    if mask is not None:
      kept = tf.cast(self.column('mask', mask, y_pred), tf.bool)
    if sample_weight is not None:
      weight = self.column('sample_weight', sample_weight, y_pred)
      if weight.dtype.is_floating:
        valid &= ~tf.math.is_nan(weight)
      if not weight.dtype.is_bool:
        weight = ranks.ordered_as_integers(weight) != 0
      kept &= weight
    refused = _total(kept & ~valid)
    if tf.executing_eagerly():
      self._check_refused(int(refused))
    else:
      refusals.check_after_batches(self)
    right &= (kept & valid)[:, None]
    _add(self._correct, _total(ranks.hits(right, y_pred, self.k)))
    _add(self._count, _total(tf.reduce_any(right, axis=1)))
    _add(self._refused, refused)

  def reset_state(self) -> None:
    """Counts from zero. Keras calls it where an epoch or `evaluate` begins."""
    super().reset_state()
    refusals.check_after_batches(self)

  # Keras 2 would convert it, outside of graphs too.
  @tf.autograph.experimental.do_not_convert
  def result(self) -> tf.Tensor:
    """Returns correct / count as a float64 scalar; NaN without labelled examples.

    Raises:
      UserError: outside of graphs, where a graph was given weights or labels that
        it could not refuse itself. In a graph the result is then NaN.
    """
    correct, count, refused = (
      tf.convert_to_tensor(variable) for variable in self.variables
    )
    if tf.executing_eagerly():
      self._check_refused(int(refused))
    rate = tf.cast(correct, tf.float64) / tf.cast(count, tf.float64)
    return tf.where(refused > 0, tf.constant(float('nan'), tf.float64), rate)

  def merge_state(self, metrics: Iterable['Hits']) -> None:
    """Adds the counts of other metrics, of other processes say. Exact.

    Args:
      metrics: of the same class and k. They stay as they are. Of several workers
        under a strategy, each adds those that it is given.

    Raises:
      UserError: another class or k, or called inside a graph or `strategy.run`.
    """
    metrics = list(metrics)
    for other in metrics:
      if type(other) is not type(self) or other.k != self.k:
        raise UserError(
          f'{self.name}: cannot add {other!r}: not a '
          f'{type(self).__name__} with k={self.k}'
        )
    for other in metrics:
      parts = [other._read(variable, refused=True) for variable in other.variables]
      for variable, part in zip(self.variables, parts, strict=True):
        _add(variable, tf.constant(part, tf.int64))

  def get_config(self) -> dict[str, Any]:
    """Returns the arguments that make the same metric, its counts at zero."""
    return {'k': self.k, 'name': self.name}

  @abc.abstractmethod
  def right_classes(
    self, y_true: tf.Tensor, y_pred: tf.Tensor
  ) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns bool [batch, classes], all False without label, and valid [batch]."""

  def _read(self, variable: keras.Variable, refused: bool = False) -> int:
    if not tf.executing_eagerly() or _in_replica():
      raise UserError(
        f'{self.name}: counts are read outside of tf.function and '
        'strategy.run; inside, take result()'
      )
    if not refused:
      self._check_refused(int(self._refused.numpy()))
    return int(variable.numpy())

  def check_refused(self) -> None:
    """Raises a `UserError` if a graph was given what is refused."""
    self._read(self._refused)

  def _check_refused(self, refused: int) -> None:
    if refused:
      raise UserError(
        f'{self.name}: {refused} {"example has" if refused == 1 else "examples have"}'
        f' a sample_weight of NaN, or {self.REFUSED}: correct the data'
      )

  def _check_outputs(self, y_pred: tf.Tensor) -> None:
    if y_pred.shape.rank != 2 or y_pred.shape[1] is None:
      raise UserError(
        f'{self.name}: y_pred has shape {y_pred.shape}, expected '
        '(batch, classes) with a known number of classes'
      )
    if self.k > y_pred.shape[1]:
      raise UserError(
        f'{self.name}: k={self.k} of {y_pred.shape[1]} classes: take a smaller k'
      )

  def column(self, what: str, values: Any, y_pred: tf.Tensor) -> tf.Tensor:
    """Returns (batch,) or (batch, 1) values as (batch,)."""
    values = tf.convert_to_tensor(values)
    if (
      values.shape.rank not in (1, 2)
      or values.shape[1:].as_list() not in ([], [1])
      or not values.shape[:1].is_compatible_with(y_pred.shape[:1])
    ):
      raise UserError(
        f'{self.name}: {what} has shape {values.shape}, y_pred '
        f'{y_pred.shape}: want one for each example'
      )
    return tf.reshape(self._of_one_batch(what, values, y_pred), tf.shape(y_pred)[:1])

  def rows(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
    """Returns y_true, surely of the shape of y_pred."""
    if not y_true.shape.is_compatible_with(y_pred.shape):
      raise UserError(
        f'{self.name}: y_true has shape {y_true.shape}, y_pred '
        f'{y_pred.shape}: they must be alike'
      )
    y_true = self._of_one_batch('y_true', y_true, y_pred)
    y_true = tf.ensure_shape(y_true, (None, y_pred.shape[1]))
    return tf.reshape(y_true, tf.shape(y_pred))

  def _of_one_batch(self, what: str, values: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
    # For a batch whose size only the running graph knows. XLA drops assertions and
    # fails in the reshape, which graphs without XLA optimize away.
    alike = tf.debugging.assert_equal(
      tf.shape(values)[0],
      tf.shape(y_pred)[0],
      f'{self.name}: {what} and y_pred differ in their number of examples',
    )
    with tf.control_dependencies([alike]):
      return tf.identity(values)


def equals(values: tf.Tensor, number: int) -> tf.Tensor:
  return values == tf.cast(number, values.dtype)


def is_label(values: tf.Tensor) -> tf.Tensor:
  """Tells which rows of [n, classes] are in 0 to 1, but for what rounding makes."""
  if values.dtype.is_bool:
    return tf.ones(tf.shape(values)[:1], tf.bool)
  if not values.dtype.is_floating:
    return tf.reduce_all(zero_or_one(values), axis=1)
  return tf.reduce_all((values >= -_ROUNDING) & (values <= 1 + _ROUNDING), axis=1)


def zero_or_one(values: tf.Tensor) -> tf.Tensor:
  return equals(values, 0) | equals(values, 1)


def _total(flags: tf.Tensor) -> tf.Tensor:
  return tf.reduce_sum(tf.cast(flags, tf.int64))


def _in_replica() -> bool:
  replica = tf.distribute.get_replica_context()
  return replica is not None and replica.num_replicas_in_sync > 1


def _add(variable: keras.Variable, amount: tf.Tensor) -> None:
  """Adds to a sum over replicas exactly once."""
  # That of Keras has TensorFlow's inside, that of Keras 2 is one.
  stored = variable.value
  replicas = getattr(variable if callable(stored) else stored, 'values', None)
  if replicas is None or _in_replica():
    variable.assign_add(amount)
  else:
    # Assigned to all of them, a total is divided by their number, and rounded.
    replicas[0].assign_add(amount)
