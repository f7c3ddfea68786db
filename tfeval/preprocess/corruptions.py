"""Corruptions of ImageNet-C, made of a clean image: `corrupt`.

What is drawn hangs on the id of an image, the corruption, its severity and a seed, and
on nothing else: neither order nor batches, threads, hosts or devices can change it.
"""

import hashlib
from typing import Any

import numpy as np
import tensorflow as tf

from tfeval.preprocess import (
  corruptions_blur,
  corruptions_digital,
  corruptions_geometry,
  corruptions_moved,
  corruptions_noise,
  corruptions_spatter,
  corruptions_weather,
  frost_textures,
)
from tfeval.preprocess.corruption_table import Corruption

# Of one (image, parameters, seed) each.
_DRAWING = {
  'gaussian_noise': corruptions_noise.gaussian_noise,
  'shot_noise': corruptions_noise.shot_noise,
  'impulse_noise': corruptions_noise.impulse_noise,
  'speckle_noise': corruptions_noise.speckle_noise,
  'rotation': corruptions_geometry.rotation,
  'shift': corruptions_geometry.shift,
  'shear': corruptions_geometry.shear,
  'zoom': corruptions_geometry.zoom,
  'flip': corruptions_geometry.flip,
}
# Of (image, parameters): nothing is drawn.
_FIXED = {
  'defocus_blur': corruptions_blur.defocus_blur,
  'zoom_blur': corruptions_blur.zoom_blur,
  'gaussian_blur': corruptions_blur.gaussian_blur,
  'brightness': corruptions_digital.brightness,
  'contrast': corruptions_digital.contrast,
  'saturate': corruptions_digital.saturate,
  'pixelate': corruptions_digital.pixelate,
  'jpeg_compression': corruptions_digital.jpeg_compression,
}
# Of (image, parameters, generator), in NumPy.
_IN_PYTHON = {
  'glass_blur': corruptions_moved.glass_blur,
  'motion_blur': corruptions_moved.motion_blur,
  'elastic_transform': corruptions_moved.elastic_transform,
  'snow': corruptions_weather.snow,
  'frost': corruptions_weather.frost,
  'fog': corruptions_weather.fog,
  'spatter': corruptions_spatter.spatter,
}
# FarmHash, of which TensorFlow promises that it stays; within int64.
_BUCKETS = 2**63 - 1


def check(corruption: Corruption) -> None:
  """Checks that what a corruption needs is on this machine.

  Raises:
    UserError: it is not; says what.
  """
  if corruption.kind.textures:
    frost_textures.textures()


def corrupt(
  image: tf.Tensor, image_id: tf.Tensor, corruption: Corruption, seed: int
) -> tf.Tensor:
  """Corrupts an image.

  Args:
    image: uint8 [224, 224, 3], RGB; parameters are of this size.
    image_id: scalar string.
    corruption: which one.
    seed: another one draws otherwise.

  Returns:
    uint8 [224, 224, 3].

  Raises:
    UserError: what it needs is not there.
  """
  name, parameters = corruption.name, _fixed(corruption.parameters)
  check(corruption)
  if name in _FIXED:
    return _FIXED[name](image, parameters)
  key = tf.strings.join([image_id, f' {corruption.text} {seed}'])
  if name in _DRAWING:
    return _DRAWING[name](image, parameters, _seed_of(key))
  found = tf.numpy_function(
    lambda image, key: _in_python(name, image, parameters, key),
    [image, key],
    tf.uint8,
    stateful=False,
  )
  return tf.ensure_shape(found, image.shape)


def _fixed(parameters: Any) -> Any:
  return tuple(parameters) if isinstance(parameters, list) else parameters


def _in_python(name: str, image: np.ndarray, parameters: Any, key: Any) -> np.ndarray:
  # Outside of a graph it is an array, of which the address would be hashed.
  random = generator(bytes(np.asarray(key).item()))
  # By truncation, as the authors' `np.uint8`.
  return _IN_PYTHON[name](image, parameters, random).astype(np.uint8)


def generator(key: bytes) -> np.random.Generator:
  """Returns a generator of a text: Philox, by the first 128 bits of its SHA-256."""
  digest = hashlib.sha256(key).digest()
  return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], 'big')))


def _seed_of(key: tf.Tensor) -> tf.Tensor:
  """Returns a seed of a text, int64 [2]; TensorFlow has no SHA-256."""
  texts = tf.stack([tf.strings.join([key, end]) for end in (' 0', ' 1')])
  return tf.strings.to_hash_bucket_fast(texts, _BUCKETS)
