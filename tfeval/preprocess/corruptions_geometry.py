"""Rotation, shift, shear, zoom and flip, in TensorFlow; ImageNet-C has none of these.

Each takes an image, uint8 [224, 224, 3], the parameter of a severity and a seed, int64
[2], which draws the direction, and returns uint8 of the same shape: bilinear, rounded
to the nearest; what comes from beside the image is its mirror (half-sample symmetric).
"""

import math

import tensorflow as tf


def rotation(image: tf.Tensor, degrees: float, seed: tf.Tensor) -> tf.Tensor:
  """Rotates around the centre, to the left or to the right."""
  angle = math.radians(degrees) * _signs(seed)[0]
  cosine, sine = tf.cos(angle), tf.sin(angle)
  return _mapped(image, [[cosine, -sine], [sine, cosine]])


def shift(image: tf.Tensor, pixels: int, seed: tf.Tensor) -> tf.Tensor:
  """Shifts by so many pixels along each axis, in one of four directions."""
  return _mapped(image, [[1.0, 0.0], [0.0, 1.0]], pixels * _signs(seed))


def shear(image: tf.Tensor, slope: float, seed: tf.Tensor) -> tf.Tensor:
  """Shears rows against each other around the centre, to the left or to the right."""
  return _mapped(image, [[1.0, slope * _signs(seed)[0]], [0.0, 1.0]])


def zoom(image: tf.Tensor, factor: float, _: tf.Tensor) -> tf.Tensor:
  """Enlarges the centre."""
  return _mapped(image, [[1 / factor, 0.0], [0.0, 1 / factor]])


def flip(image: tf.Tensor, axis: str, _: tf.Tensor) -> tf.Tensor:
  """Exchanges `left_right` or `up_down`."""
  return tf.reverse(image, [1 if axis == 'left_right' else 0])


def _signs(seed: tf.Tensor) -> tf.Tensor:
  """Returns -1 or 1 for x and for y, float32 [2]."""
  drawn = tf.random.stateless_uniform([2], seed, alg='philox')
  return tf.where(drawn < 0.5, -1.0, 1.0)


def _mapped(image: tf.Tensor, matrix: list, moved: tf.Tensor | None = None):
  """Takes each pixel from elsewhere.

  Args:
    image: the image.
    matrix: makes of its x and y, seen from the centre, those of where it comes from.
    moved: what is added to these, float32 [2].
  """
  (a, b), (d, e) = matrix
  centre = (image.shape[0] - 1) / 2
  x, y = (0.0, 0.0) if moved is None else tf.unstack(moved)
  first = [centre - centre * (a + b) + x, centre - centre * (d + e) + y]
  transform = tf.stack([a, b, first[0], d, e, first[1], 0.0, 0.0])
  found = tf.raw_ops.ImageProjectiveTransformV3(
    images=tf.cast(image, tf.float32)[None],
    transforms=transform[None],
    output_shape=image.shape[:2],
    fill_value=0.0,
    interpolation='BILINEAR',
    fill_mode='REFLECT',
  )[0]
  return tf.cast(tf.round(tf.clip_by_value(found, 0, 255)), tf.uint8)
