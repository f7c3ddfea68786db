"""Noises of ImageNet-C, in TensorFlow: the authors' distributions, with seeds of ours.

Each takes an image, uint8 [224, 224, 3], the parameter of a severity and a seed, int64
[2], and returns uint8 of the same shape. Values become uint8 by truncation, as in
`make_imagenet_c.py`; see `corruptions.toml` for where that is.
"""

import numpy as np
import tensorflow as tf

# Whatever the device, a seed gives the same values.
_ALGORITHM = 'philox'


def unit(image: tf.Tensor, dtype: tf.DType = tf.float32) -> tf.Tensor:
  """Returns the values of an image over 255, rounded once.

  A table: Grappler makes a product of a division by a constant.
  """
  table = (np.arange(256) / 255.0).astype(dtype.as_numpy_dtype)
  return tf.gather(table, tf.cast(image, tf.int32))


def to_uint8(values: tf.Tensor) -> tf.Tensor:
  """Returns values in 0..1 as uint8, truncated; what is beyond is clipped."""
  return tf.cast(tf.clip_by_value(values, 0, 1) * 255, tf.uint8)


def gaussian_noise(image: tf.Tensor, sigma: float, seed: tf.Tensor) -> tf.Tensor:
  """Adds N(0, sigma) to each value."""
  return to_uint8(unit(image) + sigma * _normal(image, seed))


def speckle_noise(image: tf.Tensor, sigma: float, seed: tf.Tensor) -> tf.Tensor:
  """Adds to each value itself times N(0, sigma)."""
  # Three factors in a row Grappler would multiply in another order in a graph.
  return to_uint8(unit(image) * (1 + sigma * _normal(image, seed)))


def impulse_noise(image: tf.Tensor, amount: float, seed: tf.Tensor) -> tf.Tensor:
  """Makes a share of the values, each channel by itself, 0 or 255, half of it each.

  `random_noise(mode='s&p')` of scikit-image draws twice, whether and which.
  """
  drawn = _uniform(image, seed)
  found = tf.where(drawn < amount, np.uint8(255), image)
  return tf.where(drawn < amount / 2, np.uint8(0), found)


def shot_noise(image: tf.Tensor, photons: int, seed: tf.Tensor) -> tf.Tensor:
  """Draws each value x anew, from Poisson(x * photons) / photons."""
  counts = tf.random.stateless_poisson(
    tf.shape(image), seed, unit(image) * photons, tf.int32
  )
  # As the authors' float64 has it; more photons are white as well.
  levels = (np.arange(photons + 1) / float(photons) * 255).astype(np.uint8)
  return tf.gather(levels, tf.minimum(counts, photons))


def _normal(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
  return tf.random.stateless_normal(tf.shape(image), seed, alg=_ALGORITHM)


def _uniform(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
  return tf.random.stateless_uniform(tf.shape(image), seed, alg=_ALGORITHM)
