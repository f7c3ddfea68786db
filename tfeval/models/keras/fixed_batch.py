"""Signatures of batches of one size, called with any number of images."""

from collections.abc import Callable, Mapping

import tensorflow as tf

Outputs = Mapping[str, tf.Tensor]


def padded(
  function: Callable[[tf.Tensor], Outputs],
  size: int,
  outputs: Mapping[str, tf.TensorSpec],
) -> Callable[[tf.Tensor], Outputs]:
  """Returns a function of any number of images, [n, ...].

  Args:
    function: of [size, ...]; returns tensors [size, ...] by name.
    size: of its batches; the last one is filled up with the last image, since no
      encoded image is made of zeros.
    outputs: what it returns.
  """
  specs = {name: tf.TensorSpec(one.shape, one.dtype) for name, one in outputs.items()}

  def call(images: tf.Tensor) -> Outputs:
    if images.shape[0] == size:
      return function(images)
    count = tf.shape(images)[0]
    padding = tf.repeat(images[-1:], -count % size, 0)
    whole = tf.concat([images, padding], 0)
    batches = tf.reshape(whole, [-1, size, *images.shape[1:]])
    found = tf.map_fn(function, batches, fn_output_signature=specs)

    def joined(one: tf.Tensor) -> tf.Tensor:
      cut = tf.reshape(one, [-1, *one.shape[2:]])[:count]
      return tf.ensure_shape(cut, [images.shape[0], *one.shape[2:]])

    return {name: joined(one) for name, one in found.items()}

  return call
