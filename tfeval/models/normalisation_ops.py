"""Normalisation by value as operations of TensorFlow, to the last bit."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from tfeval.models.normalisation import Normalisation
from tfeval.utils.errors import UserError


def function(of: Normalisation) -> Callable[[tf.Tensor], tf.Tensor]:
  """Returns a function of images, float32 [..., channels] in [0, 255].

  Each step is one operation in float32, as NumPy and PyTorch round it.
  """

  def normalise(images: tf.Tensor) -> tf.Tensor:
    images = tf.convert_to_tensor(images, tf.float32)
    channels = images.shape[-1]
    if of.channels not in (None, channels):
      raise UserError(
        f'preprocess {of.text!r} is for {of.channels} channels, images have {channels}'
      )
    if of.bgr:
      images = images[..., ::-1]
    if of.divisor is not None:
      images = images / _opaque([of.divisor])
    if of.factor is not None:
      images = images * _opaque([of.factor])
    if of.mean is not None:
      images = images - _opaque(of.mean)
    if of.deviation is not None:
      images = images / _opaque(of.deviation)
    if of.second_deviation is not None:
      images = images / _opaque(of.second_deviation)
    if of.offset is not None:
      images = images + _opaque(of.offset)
    return images

  return normalise


def _opaque(values: Sequence[float]) -> tf.Tensor:
  """Returns numbers that no optimizer of graphs looks into.

  Of a division by constants Grappler makes a product with their reciprocals, which
  rounds otherwise (tensorflow/core/grappler/optimizers/constant_folding.cc). XLA, under
  `jit`, looks into these too: last bits differ there.
  """
  return tf.raw_ops.PlaceholderWithDefault(
    input=tf.constant(values, tf.float32), shape=[len(values)]
  )
