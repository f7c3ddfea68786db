"""Models that preprocess in `fit` and `predict`, and not where they are called.

Tasks of keras-hub are such: `task.predict(images)` gives `task.preprocessor(images)` to
the model, `task(images)` the images as they are.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfeval.models.keras.versions import is_model, model_class
from tfeval.models.model import function_name
from tfeval.models.options import ModelOptions
from tfeval.utils import errors
from tfeval.utils.errors import UserError

_IDENTITY = 'identity'
# Those of a model that preprocess for it.
_PREDICTING = ('predict', 'predict_on_batch', 'predict_step')
# Two sizes tell whether a preprocessor resizes.
_TRIED_SIDES = (48, 56)


def preprocessor_of(model: Any) -> Callable[[tf.Tensor], tf.Tensor] | None:
  """Returns what `predict` of a model calls before it; None where that is nothing.

  A `preprocessor` counts where `predict` is the model's own too: else `call` may use
  it.
  """
  found = getattr(model, 'preprocessor', None)
  is_own = is_model(model) and any(
    getattr(type(model), name) is not getattr(model_class(model), name)
    for name in _PREDICTING
  )
  return found if is_own and callable(found) else None


def with_preprocessor(model: Any, name: str, known: ModelOptions) -> ModelOptions:
  """Returns what is known of a model, with its preprocessor as its preprocessing.

  Args:
    model: its preprocessor takes images in [0, 255], of any size if it resizes them.
    name: the model's, for errors.
    known: options as they were given.

  Raises:
    UserError: another preprocessing was given, or the preprocessor does not return one
      tensor of images.
  """
  found = preprocessor_of(model)
  if found is None:
    return known
  given = known.preprocess
  if given not in (None, _IDENTITY) and given is not found:
    told = function_name(given) if callable(given) else given
    raise UserError(
      f'{name} has a preprocessor, which its fit and predict call: with '
      f'`preprocess={told}` images would be preprocessed twice: give '
      '`preprocess=identity`, or set preprocessor of the model to None'
    )
  size, sides = known.input_size, {_side_made(found, name, n) for n in _TRIED_SIDES}
  if size is None and len(sides) == 1:
    size = sides.pop()
  return dataclasses.replace(known, preprocess=found, input_size=size)


def _side_made(
  preprocessor: Callable[[tf.Tensor], tf.Tensor], name: str, side: int
) -> int:
  """Returns the side of what a preprocessor makes of an image."""
  way = (
    'set preprocessor of the model to None and give `preprocess` a function of '
    'TensorFlow, float32 [n, size, size, 3] in [0, 255], that does the same'
  )
  called = function_name(preprocessor)
  try:
    made = preprocessor(tf.zeros((1, side, side, 3)))
  except Exception as error:  # It may be anyone's.
    raise UserError(
      f'the preprocessor {called} of {name} cannot take images alone '
      f'({errors.one_line(error)}): {way}'
    ) from error
  shape = getattr(made, 'shape', None)
  if shape is None or len(shape) != 4 or shape[-1] != 3:
    raise UserError(
      f'the preprocessor {called} of {name} returns {str(made)[:60]}, expected images '
      f'[n, size, size, 3]: {way}'
    )
  return int(shape[1])
