"""The moving averages of weights that Keras' optimizers keep (`use_ema=True`)."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras

from tfeval.models.keras.versions import to_numpy
from tfeval.utils.errors import UserError
from tfeval.utils.uninterrupted import uninterrupted


def check_averages(model: keras.Model) -> None:
  """Checks that an optimizer of a model keeps averages.

  Raises:
    UserError: none does.
  """
  if not _keeping(model.optimizer):
    raise UserError(
      'ema=True evaluates the averages that the optimizer keeps, and '
      'this one keeps none: give it use_ema=True, or leave ema out'
    )


@contextlib.contextmanager
def in_place_of_weights(model: keras.Model) -> Iterator[None]:
  """Where a model has the averages of its trainable weights, and then these again.

  Values go out and back bit for bit, whatever happens in between: they are kept on
  the host, where `keras.callbacks.SwapEMAWeights` adds and subtracts under a strategy.

  Args:
    model: compiled; its optimizer has taken a step.
  """
  pairs = [
    pair for one in _keeping(model.optimizer) for pair in _with_averages(one, model)
  ]
  weights = [to_numpy(weight) for weight, _ in pairs]

  def put_back() -> None:
    with uninterrupted():
      for (weight, _), value in zip(pairs, weights, strict=True):
        weight.assign(value)

  try:
    for weight, average in pairs:
      weight.assign(to_numpy(average))
    yield
  finally:
    try:
      put_back()
    except KeyboardInterrupt:  # Before it had begun to wait, or after all was done.
      put_back()
      raise


def _with_averages(optimizer: Any, model: keras.Model) -> list[tuple[Any, Any]]:
  """Returns the weights that an optimizer trains, each with its average."""
  averages = optimizer._model_variables_moving_average
  if isinstance(optimizer, keras.optimizers.Optimizer):
    return list(zip(optimizer._trainable_variables, averages, strict=True))
  # Keras 2's knows the place of each weight.
  places, key = optimizer._index_dict, optimizer._var_key
  weights = [one for one in model.trainable_variables if key(one) in places]
  return [(one, averages[places[key(one)]]) for one in weights]


def _keeping(optimizer: Any) -> list[keras.optimizers.Optimizer]:
  """Returns the optimizers with averages: one, or those inside of one."""
  optimizer = getattr(optimizer, 'inner_optimizer', optimizer)  # LossScaleOptimizer.
  return [
    one
    for one in getattr(optimizer, 'optimizers', [optimizer])
    if getattr(one, 'use_ema', False)
  ]
