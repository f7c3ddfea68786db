"""A batch's pixels, padded to one size and brought to where replicas compute."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tfeval.engine import strategies

Pixels = tf.Tensor | dict[str, tf.Tensor]


@dataclasses.dataclass(frozen=True)
class Placed:
  """Images as a step takes them.

  Attributes:
    count: how many there are; what follows them is padding.
    shape: of all, padding included.
    inputs: [size, ...] of the one replica, or values for each.
    ids: of the images, where they are known.
  """

  count: int
  shape: tuple[int, ...]
  inputs: Any
  ids: Sequence[str] = ()


def place(
  strategy: tf.distribute.Strategy, size: int, inputs: Any, ids: Sequence[str] = ()
) -> Placed:
  """Pads a batch and copies it to the devices of a strategy.

  In a thread of its own this overlaps with what devices compute.

  Args:
    strategy: says how many replicas there are, and where.
    size: of every batch, a multiple of the replicas of this host.
    inputs: a tensor or a structure of them, of n images, 1 <= n <= size; the first is
      of their pixels.
    ids: what names them.
  """
  return _placed(strategy, size, inputs, ids, strategies.accelerators(strategy))


def left(
  strategy: tf.distribute.Strategy, size: int, inputs: Any, ids: Sequence[str] = ()
) -> Placed:
  """Does what `place` does, but for the copying: where a device has no room for it."""
  return _placed(strategy, size, inputs, ids, [])


def _placed(
  strategy: tf.distribute.Strategy,
  size: int,
  inputs: Any,
  ids: Sequence[str],
  devices: Sequence[str],
) -> Placed:
  count = len(tf.nest.flatten(inputs)[0])
  # One static shape for all batches: nothing is traced twice, and no replica gets an
  # empty batch, for which oneDNN returns wrong shapes.
  if count < size:
    inputs = tf.nest.map_structure(lambda values: _padded(values, size), inputs)
  shape = tuple(tf.nest.flatten(inputs)[0].shape)
  return Placed(count, shape, _per_replica(strategy, inputs, devices), ids)


def parts(strategy: tf.distribute.Strategy, placed: Placed, number: int) -> list[Any]:
  """Returns the inputs of so many smaller steps, in order.

  Args:
    strategy: of `placed`.
    placed: of at least as many images for each replica.
    number: of steps; their sizes differ by one image for each replica at most.
  """
  if number == 1:
    return [placed.inputs]
  local = strategy.experimental_local_results(placed.inputs)
  size = len(tf.nest.flatten(local[0])[0])
  bounds = [size * i // number for i in range(number + 1)]

  def part(start: int, stop: int) -> Any:
    cut = [
      tf.nest.map_structure(lambda values: values[start:stop], one) for one in local
    ]
    return cut[0] if len(cut) == 1 else _distributed(strategy, cut.__getitem__)

  return [part(*pair) for pair in zip(bounds, bounds[1:], strict=False)]


def _padded(values: tf.Tensor, size: int) -> tf.Tensor:
  n, *rest = values.shape
  if values.dtype == tf.string:  # An empty text is no image to decode.
    return tf.concat([values, tf.repeat(values[-1:], size - n, 0)], 0)
  return tf.concat([values, tf.zeros([size - n, *rest], values.dtype)], 0)


def _per_replica(
  strategy: tf.distribute.Strategy, inputs: Any, devices: Sequence[str]
) -> Any:
  """Splits a batch of this host into equal batches, one for each of its replicas."""
  replicas = strategies.local_replicas(strategy)

  def of_one(index: int) -> Any:
    def cut(values: tf.Tensor) -> tf.Tensor:
      size = values.shape[0] // replicas
      part = values if replicas == 1 else values[index * size :][:size]
      if not devices or values.dtype == tf.string:  # Which are of hosts alone.
        return part
      with tf.device(devices[index]):
        return tf.identity(part)

    return tf.nest.map_structure(cut, inputs)

  return of_one(0) if replicas == 1 else _distributed(strategy, of_one)


def _distributed(strategy: tf.distribute.Strategy, of_one: Any) -> Any:
  replicas = strategies.local_replicas(strategy)
  return strategy.experimental_distribute_values_from_function(
    # Replicas are numbered over all hosts.
    lambda context: of_one(context.replica_id_in_sync_group % replicas)
  )
