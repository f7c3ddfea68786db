"""Forward passes whose answers hang on which images are computed together."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfeval.engine.batches import Batch
from tfeval.engine.forward import ForwardPass
from tfeval.engine.placement import Placed
from tfeval.evaluation.adaptation.request import Tent
from tfeval.models.keras import batch_norm
from tfeval.models.model import Model
from tfeval.models.options import LOGITS
from tfeval.utils.errors import UserError


class WholeBatches(ForwardPass):
  """A forward pass without padding: what the last batch lacks are the first images.

  So that each image is among as many as every other, on one replica or on several.
  """

  def __init__(
    self,
    model: Model,
    strategy: tf.distribute.Strategy,
    batch_size: int,
    fill: Callable[[], tf.Tensor],
    **options: Any,
  ):
    """Prepares it.

    Args:
      model: loaded under the strategy's scope.
      strategy: where it runs.
      batch_size: over all replicas.
      fill: returns the pixels of the first images, as many as a replica has.
      **options: of `ForwardPass`.
    """
    super().__init__(model, strategy, batch_size, **options)
    self._fill = fill

  def place(self, batch: Batch) -> Placed:
    count = len(batch.ids)
    missing = self.batch_size - count
    if not missing:
      return super().place(batch)
    pixels = tf.concat([batch.pixels, self._fill()[:missing]], 0)
    placed = super().place(dataclasses.replace(batch, pixels=pixels))
    return dataclasses.replace(placed, count=count)

  def _halve(self, parts: int, error: Exception) -> None:
    raise UserError(
      f'{self.model.name} does not fit into memory with batches of '
      f'{self._size(1)} images, which `adapt` computes at once: give it a smaller one'
    ) from error


class TentPass(WholeBatches):
  """Answers of each batch, and then a step towards more certain ones.

  Wang et al. 2021, "Tent: Fully Test-Time Adaptation by Entropy Minimization": batches
  are normalised by their own statistics; the mean entropy of the predictions is
  minimised over scales and offsets of batch normalisation, which stay as they were in
  the model, by stochastic gradient descent; answers are those before the last step.
  """

  def __init__(
    self,
    model: Model,
    strategy: tf.distribute.Strategy,
    tent: Tent,
    layers: Sequence[keras.layers.BatchNormalization],
    fill: Callable[[], tf.Tensor],
    **options: Any,
  ):
    """Prepares it; arguments are those of `WholeBatches`.

    Args:
      tent: how.
      layers: of the model, its batch normalisation.
    """
    self._tent = tent
    self._learned: dict[int, list[tf.Variable | None]] = {
      id(layer): [
        tf.Variable(tf.cast(own, tf.float32)) if there else None
        for there, own in (
          (layer.scale, layer.gamma),
          (layer.center, layer.beta),
        )
      ]
      for layer in layers
    }
    self._variables = [
      v for pair in self._learned.values() for v in pair if v is not None
    ]
    if not self._variables:
      raise UserError(
        f'{model.name}: nothing to adapt: its BatchNormalization layers have neither '
        'scale nor offset: leave `adapt` out'
      )
    self._velocities = [tf.Variable(tf.zeros_like(v)) for v in self._variables]

    def function(images):
      with batch_norm.calling(layers, model.name, self._call):
        return model.function(images)

    adapted = dataclasses.replace(model, function=function)
    super().__init__(adapted, strategy, tent.batch, fill, **options)

  def _call(self, layer, inputs):
    mean, variance = batch_norm.moments(layer, inputs)
    learned = self._learned[id(layer)]
    return batch_norm.normalised(layer, inputs, mean, variance, *learned)

  def _scores(self, pixels: tf.Tensor) -> tf.Tensor:
    for _ in range(self._tent.steps):
      with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(self._variables)
        scores = super()._scores(pixels)
        entropy = tf.reduce_mean(_entropy(scores, self.model.output == LOGITS))
      gradients = tape.gradient(entropy, self._variables, unconnected_gradients='zero')
      self._descend(gradients)
    return scores

  def _descend(self, gradients: Sequence[tf.Tensor]) -> None:
    steps = zip(self._variables, self._velocities, gradients, strict=True)
    for variable, velocity, gradient in steps:
      # Of PyTorch's SGD: the rate is no part of the velocity.
      now = self._tent.momentum * velocity + gradient
      velocity.assign(now)
      variable.assign_sub(self._tent.lr * now)


def _entropy(scores: tf.Tensor, are_logits: bool) -> tf.Tensor:
  """float32 [n] of logits, or of probabilities, [n, outputs]."""
  if are_logits:
    log_probs = tf.nn.log_softmax(scores)
    return -tf.reduce_sum(tf.exp(log_probs) * log_probs, 1)
  return -tf.reduce_sum(tf.math.multiply_no_nan(tf.math.log(scores), scores), 1)
