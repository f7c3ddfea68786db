"""Batch normalisation of Keras models, computed with other statistics than its own.

Keras' own way to batch statistics, `training=True`, also assigns the moving ones, does
something else in dropout, and is ignored by layers that are not trainable. Here the
layers are called as in inference, but for their statistics, and nothing of the model is
changed.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfeval.models.keras.versions import is_legacy
from tfeval.models.model import Model
from tfeval.utils.errors import UserError

# Of a layer and its inputs, what it returns.
Call = Callable[[keras.layers.BatchNormalization, tf.Tensor], tf.Tensor]


def layers_of(model: Model) -> list[keras.layers.BatchNormalization]:
  """Returns the batch normalisation layers of a model, each once.

  Raises:
    UserError: it is no Keras model, has none, or one whose statistics cannot be set.
  """
  network = model.backend.model
  if not isinstance(network, keras.Model):
    kind = 'of Keras 2' if is_legacy(network) else 'no Keras model with its layers'
    raise UserError(
      f'{model.name} is {kind}, whose batch normalisation cannot be reached: leave '
      '`adapt` out'
    )
  own = keras.layers.BatchNormalization
  found = {id(x): x for x in network._flatten_layers() if isinstance(x, own)}
  if not found:
    raise UserError(
      f'{model.name}: nothing to adapt: it has no BatchNormalization layer: leave '
      '`adapt` out'
    )
  for layer in found.values():
    if type(layer).call is not own.call:
      raise UserError(
        f'{model.name}: the statistics of {layer.name} cannot be set: '
        f'{type(layer).__name__} computes in a way of its own'
      )
  return list(found.values())


@contextlib.contextmanager
def calling(
  layers: Sequence[keras.layers.BatchNormalization], name: str, call: Call
) -> Iterator[None]:
  """Has layers compute something else, in all that is traced in this context.

  Args:
    layers: of a model.
    name: of the model.
    call: what they compute.

  Raises:
    UserError: a layer was not called in it: what it computes is compiled already, or
      belongs to nothing that the model returns.
  """
  left = {id(layer) for layer in layers}

  def instead(layer):
    def called(inputs: Any, training: Any = None, mask: Any = None) -> tf.Tensor:
      left.discard(id(layer))
      return call(layer, inputs)

    return called

  for layer in layers:
    # As Keras' own methods do: its trackers have nothing to do with a function.
    object.__setattr__(layer, 'call', instead(layer))
  try:
    yield
  finally:
    for layer in layers:
      object.__delattr__(layer, 'call')
  if left:
    first = next(layer.name for layer in layers if id(layer) in left)
    raise UserError(
      f'{name}: the statistics of {len(left)} of {len(layers)} BatchNormalization '
      f'layers cannot be set, such as {first}: calls of the model do not come by them'
    )


def moments(
  layer: keras.layers.BatchNormalization,
  inputs: tf.Tensor,
  weights: tf.Tensor | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
  """Returns the statistics of a batch.

  Args:
    layer: says which axis has the channels.
    inputs: [n, ..., channels, ...].
    weights: float32 [n], 1 for images that count and 0 for padding; None: all count.

  Returns:
    float32 [channels] each, the mean and the biased variance over images and places.
  """
  inputs = tf.cast(inputs, tf.float32)
  rank = len(inputs.shape)
  axes = [i for i in range(rank) if i != layer.axis % rank]
  if weights is None:
    return tf.nn.moments(inputs, axes)
  shape = tf.shape(inputs)
  places = tf.reduce_prod([shape[i] for i in axes if i])
  total = tf.reduce_sum(weights) * tf.cast(places, tf.float32)
  weights = tf.reshape(weights, [-1, *[1] * (rank - 1)])
  mean = tf.reduce_sum(inputs * weights, axes, keepdims=True) / total
  variance = tf.reduce_sum(tf.square(inputs - mean) * weights, axes) / total
  return tf.reshape(mean, [-1]), variance


def normalised(
  layer: keras.layers.BatchNormalization,
  inputs: tf.Tensor,
  mean: tf.Tensor,
  variance: tf.Tensor,
  scale: tf.Tensor | None = None,
  offset: tf.Tensor | None = None,
) -> tf.Tensor:
  """Returns what a layer computes in inference with other values.

  Args:
    layer: has epsilon, gamma and beta.
    inputs: as it is called with.
    mean, variance: float32 [channels], in place of the moving ones.
    scale, offset: float32 [channels], in place of gamma and beta; None: its own.
  """
  dtype = keras.backend.result_type(inputs.dtype, 'float32')
  if scale is None and layer.scale:
    scale = layer.gamma
  if offset is None and layer.center:
    offset = layer.beta
  outputs = keras.ops.batch_normalization(
    x=tf.cast(inputs, dtype),
    mean=tf.cast(mean, dtype),
    variance=tf.cast(variance, dtype),
    axis=layer.axis,
    offset=None if offset is None else tf.cast(offset, dtype),
    scale=None if scale is None else tf.cast(scale, dtype),
    epsilon=layer.epsilon,
  )
  return tf.cast(outputs, layer.compute_dtype)
