"""tf.distribute strategies by name."""

import tensorflow as tf

from tfeval import errors
from tfeval.settings import STRATEGIES


def make_strategy(name: str) -> tf.distribute.Strategy:
  """Returns a strategy.

  Args:
    name: `default` (one device) or `mirrored` (every GPU of this host, or its CPU).

  Raises:
    UserError: the name is not known.
  """
  if name not in STRATEGIES:
    raise errors.unknown('strategy', name, STRATEGIES)
  if name == 'mirrored':
    return tf.distribute.MirroredStrategy()
  return tf.distribute.get_strategy()


def per_replica(strategy: tf.distribute.Strategy, images: tf.Tensor):
  """Splits a global batch into equal batches, one for each replica.

  Args:
    strategy: says how many replicas there are.
    images: [global batch, ...]; the batch is a multiple of the replicas.
  """
  replicas = strategy.num_replicas_in_sync
  if replicas == 1:
    return images
  size = images.shape[0] // replicas
  return strategy.experimental_distribute_values_from_function(
      lambda context: images[context.replica_id_in_sync_group * size:]
      [:size])
