"""Statistics of batch normalisation over a whole target: AdaBN (Li et al. 2016)."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfeval.engine import batches, placement, strategies
from tfeval.engine.steps import Step
from tfeval.evaluation.runtime import Runtime
from tfeval.models.keras import batch_norm
from tfeval.models.model import Model
from tfeval.preprocess.protocol import Protocol

# Images that are normalised together while statistics are gathered.
BATCH = 64


class Moments:
  """Mean and variance over batches that come one after the other, in float64.

  Attributes:
    count: of the values so far.
    mean: float64 [channels].
  """

  def __init__(self) -> None:
    self.count, self.mean = 0.0, np.zeros(1)
    self._squares = np.zeros(1)

  def add(self, count: float, mean: np.ndarray, variance: np.ndarray) -> None:
    """Adds a batch (Chan, Golub and LeVeque 1983).

    Args:
      count: of its values, 0 for none.
      mean, variance: [channels], over them; the variance is the biased one.
    """
    if not count:
      return
    total = self.count + count
    difference = mean.astype(np.float64) - self.mean
    between = difference**2 * (self.count * count / total)
    self.mean = self.mean + difference * (count / total)
    self._squares = self._squares + variance.astype(np.float64) * count + between
    self.count = total

  @property
  def variance(self) -> np.ndarray:
    """float64 [channels], the biased one."""
    return self._squares / self.count


def gather(
  model: Model,
  layers: Sequence[keras.layers.BatchNormalization],
  protocol: Protocol,
  runtime: Runtime,
  skip_errors: bool = False,
  jit: bool = False,
) -> dict[int, tuple[np.ndarray, np.ndarray]]:
  """Returns the statistics of all images.

  Each batch is normalised by its own statistics on its way, since those of all are not
  known yet, and what a layer is given is pooled over all images, means and squares
  (Wu and Johnson 2021, "Rethinking Batch in BatchNorm", section 3).

  Args:
    model: the model.
    layers: its batch normalisation.
    protocol: makes pixels.
    runtime: where; its dataset in the order that batches are made in.
    skip_errors: whether images that cannot be decoded are skipped.
    jit: whether XLA compiles it.

  Returns:
    By the `id` of each layer mean and biased variance, float32 [channels] each.

  Raises:
    UserError: the data or the model are at fault.
  """
  dataset, strategy = runtime.dataset, runtime.strategy
  count = dataset.num_examples
  # Of about one size: no batch of a few images at the end.
  each = math.ceil(count / math.ceil(count / BATCH))
  size = each * strategies.local_replicas(strategy)
  step = Step(lambda inputs: _of_batch(model, layers, *inputs), strategy, jit)
  pooled = [Moments() for _ in layers]
  with runtime.progress(f'{model.name}: statistics', count) as advance:
    for batch in batches.read_batches(dataset, protocol, size, skip_errors):
      weights = tf.ones([len(batch.ids)], tf.float32)
      placed = placement.place(strategy, size, (batch.pixels, weights))
      with model.in_time():
        _add(pooled, step(placed.inputs), strategy)
      advance(len(batch.ids))
  return {
    id(layer): (np.float32(one.mean), np.float32(one.variance))
    for layer, one in zip(layers, pooled, strict=True)
  }


def _add(pooled: list[Moments], found: Any, strategy: tf.distribute.Strategy) -> None:
  """Adds what the replicas found, in their order."""
  for moments, calls in zip(pooled, found, strict=True):
    for call in calls:
      local = (strategy.experimental_local_results(values) for values in call)
      for count, mean, variance in zip(*local, strict=True):
        moments.add(float(count), mean.numpy(), variance.numpy())


def _of_batch(
  model: Model,
  layers: Sequence[keras.layers.BatchNormalization],
  pixels: tf.Tensor,
  weights: tf.Tensor,
) -> list[list[tuple[tf.Tensor, tf.Tensor, tf.Tensor]]]:
  """Returns count, mean and variance of each call of each layer."""
  found: dict[int, list[Any]] = {id(layer): [] for layer in layers}

  def call(layer, inputs):
    mean, variance = batch_norm.moments(layer, inputs, weights)
    values = tf.size(inputs) // (tf.shape(inputs)[0] * tf.shape(mean)[0])
    count = tf.reduce_sum(weights) * tf.cast(values, tf.float32)
    found[id(layer)].append((count, mean, variance))
    return batch_norm.normalised(layer, inputs, mean, variance)

  with batch_norm.calling(layers, model.name, call):
    model(pixels)
  return list(found.values())


def fixed(values: Mapping[int, tuple[np.ndarray, np.ndarray]]) -> batch_norm.Call:
  """Returns what layers compute with given statistics.

  Args:
    values: what `gather` returns, once there is something; before that layers compute
      with their own.
  """

  def call(layer, inputs):
    own = layer.moving_mean, layer.moving_variance
    return batch_norm.normalised(layer, inputs, *values.get(id(layer), own))

  return call


def mixed(n: int, source_images: int) -> batch_norm.Call:
  """Returns what layers compute with those of a batch and of the source.

  mean = N / (N + n) mean_source + n / (N + n) mean_batch, the variance likewise
  (Schneider et al. 2020, equation 1).

  Args:
    n: images in each batch.
    source_images: N, how many images those of the source count for.
  """
  share = n / (source_images + n)

  def call(layer, inputs):
    mean, variance = batch_norm.moments(layer, inputs)
    own = layer.moving_mean, layer.moving_variance
    return batch_norm.normalised(
      layer,
      inputs,
      *(
        (1 - share) * tf.cast(source, tf.float32) + share * batch
        for source, batch in zip(own, (mean, variance), strict=True)
      ),
    )

  return call
