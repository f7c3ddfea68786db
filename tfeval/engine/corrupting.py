"""Batches of corrupted images, made of batches of clean ones."""

import functools
from collections.abc import Callable, Sequence
from concurrent import futures

import tensorflow as tf

from tfeval.engine.pipeline import cores
from tfeval.preprocess import apply
from tfeval.preprocess.protocol import Protocol
from tfeval.utils.ahead import THREAD_NAME


def corrupted(protocol: Protocol, pixels: tf.Tensor, ids: Sequence[str]) -> tf.Tensor:
  """Corrupts the images of a batch, on all cores.

  Args:
    protocol: one that corrupts.
    pixels: uint8 [n, 224, 224, 3], what its `before_corruption` makes.
    ids: n ids.

  Returns:
    [n, size, size, 3] of the protocol's dtype: what `pipeline.make_pipeline` makes.

  Raises:
    UserError: what the corruption needs is not there.
  """
  one = _of_image(protocol, pixels.shape[1:])
  with tf.device('/CPU:0'):
    return tf.stack(
      list(_threads().map(one, tf.unstack(pixels), map(tf.constant, ids)))
    )


@functools.cache
def _of_image(protocol: Protocol, shape: tf.TensorShape) -> Callable:
  """Returns `apply.corrupted` of a protocol, as a function of an image and its id."""
  return tf.function(
    functools.partial(apply.corrupted, protocol), autograph=False
  ).get_concrete_function(tf.TensorSpec(shape, tf.uint8), tf.TensorSpec([], tf.string))


@functools.cache
def _threads() -> futures.ThreadPoolExecutor:
  return futures.ThreadPoolExecutor(cores(), THREAD_NAME)
