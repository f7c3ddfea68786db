"""Inputs of Keras models and SavedModels that are not float32 with channels last."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfeval.models.backend import InputSpec
from tfeval.utils.errors import UserError, listed

# How many an image has: what tells the axis of channels from others.
_CHANNELS = (1, 3)
# The largest float32 below a half: what is added to round halves away from zero.
_BELOW_HALF = np.nextafter(np.float32(0.5), np.float32(0))


def spec_of(shape: Any, dtype: Any = 'float32', encoded: bool = False) -> InputSpec:
  """Returns what a model is fed.

  Args:
    shape: of its input, (batch, height, width, channels) or channels first; other
      things where nothing is known.
    dtype: of its input.
    encoded: as for `InputSpec`.

  >>> spec = spec_of((None, 3, 224, 160), 'uint8')
  >>> spec.shape, spec.dtype, spec.channels_first
  ((None, 224, 160, 3), 'uint8', True)
  """
  dtype = 'float32' if encoded else tf.as_dtype(dtype or 'float32').name
  if not isinstance(shape, tuple) or len(shape) != 4:
    return InputSpec(shape, encoded, dtype)
  batch, first, second, last = shape
  if first in _CHANNELS and last not in _CHANNELS:
    return InputSpec((batch, second, last, first), encoded, dtype, True)
  return InputSpec(shape, encoded, dtype)


def fed(images: tf.Tensor, spec: InputSpec) -> tf.Tensor:
  """Returns images as a model takes them.

  Args:
    images: float32 [n, height, width, channels], or of its dtype.
    spec: of the model.

  Returns:
    Of its dtype, with channels where it has them. Floats become whole numbers by
    rounding, halves away from zero, within the limits of the dtype.
  """
  dtype = tf.as_dtype(spec.dtype)
  if dtype.is_integer and images.dtype.is_floating:
    limits = np.iinfo(spec.dtype)
    rounded = tf.sign(images) * tf.floor(tf.abs(images) + _BELOW_HALF)
    images = tf.clip_by_value(rounded, float(limits.min), float(limits.max))
  if spec.channels_first:
    images = tf.transpose(images, [0, 3, 1, 2])
  return tf.cast(images, dtype)


def check_one(inputs: Sequence[Any] | None, name: str) -> None:
  """Checks that images are all that a model takes.

  Args:
    inputs: symbolic tensors; None where they are not known.
    name: the model's.

  Raises:
    UserError: it has a second input.
  """
  if inputs is not None and len(inputs) > 1:
    names = listed(getattr(one, 'name', one) for one in inputs)
    raise UserError(
      f'{name} has the inputs {names}: expected one, of images: wrap it in a model '
      'that makes the others'
    )
