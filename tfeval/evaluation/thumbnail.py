"""Small pictures of encoded images, upright and whole."""

import numpy as np
import tensorflow as tf

from tfeval.datasets import image_files
from tfeval.engine import pipeline
from tfeval.preprocess import decode, limits
from tfeval.utils.errors import UserError


def of_encoded(encoded: bytes, longest: int) -> np.ndarray:
  """Returns an image for a figure or a page.

  Args:
    encoded: a JPEG or PNG.
    longest: its longer side is made no longer than this, in pixels.

  Returns:
    uint8 [height, width, 3], RGB.

  Raises:
    UserError: it cannot be decoded; the message is what is wrong with it.
  """
  if image_files.kind_of(encoded[: image_files.START]) is None:
    raise UserError(image_files.not_an_image(encoded[: image_files.START]))
  try:
    image = _decode(tf.constant(encoded))
  except tf.errors.OpError as error:
    raise UserError(pipeline.reason(error)) from error
  height, width = image.shape[:2]
  scale = min(1, longest / max(height, width))
  size = [max(1, round(side * scale)) for side in (height, width)]
  # Of all methods the one that does not make a float32 copy of a huge image.
  small = tf.image.resize(image, size, method='area')
  return tf.cast(tf.round(small), tf.uint8).numpy()


@tf.function(autograph=False, input_signature=[tf.TensorSpec([], tf.string)])
def _decode(encoded: tf.Tensor) -> tf.Tensor:
  return limits.with_limits(encoded, decode.decode)
