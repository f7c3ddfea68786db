"""What batch normalisation knows of the images that a model was trained on."""

import contextlib
import threading
from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf

from tfeval.models.keras import input_forms
from tfeval.models.keras.backend import KerasBackend
from tfeval.models.keras.versions import both
from tfeval.models.model import Model, preprocessing
from tfeval.models.options import PREPROCESSINGS

# Of no mode of Keras, but models of other libraries want it.
DIVIDED = 'unit'
# Images for the statistics: with half as many, healthy models come near the threshold.
STATISTICS_IMAGES = 32
_LAYERS = 3
_LOCK = threading.Lock()

Preprocess = Callable[[tf.Tensor], tf.Tensor]


def candidates(model: Model, pixels: tf.Tensor) -> dict[str, Preprocess]:
  """Returns the preprocessings by name that do something else than the model's.

  Args:
    model: says which one it was given.
    pixels: float32 [n, size, size, 3] in [0, 255], to compare them on.
  """
  given = np.asarray(model.preprocess(pixels))
  found: dict[str, Preprocess] = {name: preprocessing(name) for name in PREPROCESSINGS}
  found[DIVIDED] = preprocessing(DIVIDED)
  # A hundredth of the spread is less than any two of them differ by, but for `tf` and
  # `lite`: no statistics tell these apart, and no answer depends on it.
  return {
    name: function
    for name, function in found.items()
    if abs(np.asarray(function(pixels)) - given).max() > 0.01 * np.ptp(given)
  }


def is_untrained(model: keras.Model) -> bool:
  """Returns whether all that training moves away from zero is still there.

  These are biases and the moving means of batch normalisation: initialisers make
  them zero in every application. A model without either may be trained.
  """
  zeros = [
    weight
    for weight in model.weights
    if _own_name(weight) in ('bias', 'beta', 'moving_mean')
  ]
  return bool(zeros) and not any(np.any(weight.numpy()) for weight in zeros)


def _own_name(weight: keras.Variable) -> str:
  """Returns the name of a weight in its layer; Keras 2 has `dense/bias:0`, say."""
  return weight.name.rpartition('/')[2].partition(':')[0]


class _Enough(BaseException):
  """Ends a forward pass. No `Exception`: Keras would wrap it in another one."""


def batch_distance(model: keras.Model | None, images: tf.Tensor) -> float | None:
  """Measures how far images are from those that a model's statistics are of.

  Compares mean and variance of the inputs of the first three batch normalisations
  with the moving ones, channel by channel, by the symmetric Kullback-Leibler
  divergence of normal distributions,

      ((v + (m - m')^2) / v' + (v' + (m - m')^2) / v) / 2 - 1,

  which is 0 where they agree, and takes the median over the channels, which dead
  ones do not move, and the largest over the layers.

  Args:
    model: the model; nothing is known without one.
    images: float32 [n, size, size, 3], preprocessed.

  Returns:
    The distance, at least 0; None for models without batch normalisation, or where
    that has never been trained.
  """
  layers = (
    []
    if model is None
    else [
      layer
      for layer in model._flatten_layers()
      if isinstance(layer, both('layers.BatchNormalization'))
    ]
  )
  seen: list[float] = []
  with _listening(layers, seen), contextlib.suppress(_Enough):
    if layers:
      model(input_forms.fed(images, KerasBackend(model).input_spec), training=False)
  return max(seen, default=None)


@contextlib.contextmanager
def _listening(
  layers: list[keras.layers.BatchNormalization], seen: list[float]
) -> Iterator[None]:
  """Adds the distance of each input to `seen`, and stops after enough of them."""

  # In place of a second model from the input to the layers' inputs: that one can be
  # made of flat functional models only, and this needs no more than the first layers.
  thread = threading.get_ident()

  def listen(layer, call):
    def listening_call(inputs, *args, **kwargs):
      if threading.get_ident() != thread:
        return call(inputs, *args, **kwargs)
      if np.any(layer.moving_mean.numpy()):
        seen.append(_distance(layer, inputs))
      if len(seen) >= _LAYERS:
        raise _Enough
      return call(inputs, *args, **kwargs)

    return listening_call

  # A model in memory may be in use in other threads, by another preflight too.
  with _LOCK:
    of_the_user = [vars(layer).get('call') for layer in layers]
    for layer in layers:
      layer.call = listen(layer, layer.call)
    try:
      yield
    finally:
      for layer, call in zip(layers, of_the_user, strict=True):
        if call is None:
          del layer.call
        else:
          layer.call = call


def _distance(layer: keras.layers.BatchNormalization, inputs: tf.Tensor) -> float:
  inputs = np.asarray(tf.cast(inputs, tf.float32), np.float64)
  kept = {axis % inputs.ndim for axis in np.ravel(layer.axis)}  # In Keras 2 a list.
  axes = tuple(axis for axis in range(inputs.ndim) if axis not in kept)
  square = (inputs.mean(axes) - layer.moving_mean.numpy()) ** 2
  variance = inputs.var(axes) + layer.epsilon
  moving = layer.moving_variance.numpy() + layer.epsilon
  divergence = ((variance + square) / moving + (moving + square) / variance) / 2 - 1
  return float(np.median(divergence))
