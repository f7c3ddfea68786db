"""The strategy that a model in memory was made under."""

import json

import tensorflow as tf

from tfeval.engine.cluster import Cluster, parse_tf_config
from tfeval.engine.options import DEFAULT, MIRRORED, MULTI_WORKER, TPU
from tfeval.utils.errors import UserError

_STRATEGIES = (
  (tf.distribute.MultiWorkerMirroredStrategy, MULTI_WORKER),
  (tf.distribute.MirroredStrategy, MIRRORED),
  (tf.distribute.TPUStrategy, TPU),
  (tf.distribute.OneDeviceStrategy, DEFAULT),
)


def check_outside() -> None:
  """Checks that no step is being run or traced.

  Raises:
    UserError: one is.
  """
  if tf.inside_function() or (
    tf.distribute.has_strategy() and not tf.distribute.in_cross_replica_context()
  ):
    raise UserError(
      'tfeval evaluates a whole dataset: call it outside of tf.function '
      'and of strategy.run'
    )


def name_of(strategy: tf.distribute.Strategy) -> str:
  """Returns what the command line calls a strategy.

  Raises:
    UserError: it is none that can evaluate.
  """
  for kind, name in _STRATEGIES:
    if isinstance(strategy, kind):
      return name
  if tf.distribute.get_strategy() is strategy and not tf.distribute.has_strategy():
    return DEFAULT
  raise UserError(
    f'{type(strategy).__name__} cannot evaluate: use MirroredStrategy, '
    'MultiWorkerMirroredStrategy, or none'
  )


def cluster_of(strategy: tf.distribute.Strategy) -> Cluster:
  """Returns the hosts that a strategy spans."""
  if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
    return Cluster()
  resolver = strategy.cluster_resolver
  addresses = resolver.cluster_spec().as_dict()
  if not addresses:
    return Cluster()
  # As it stands in TF_CONFIG, from where most strategies have it.
  return parse_tf_config(
    json.dumps(
      {
        'cluster': addresses,
        'task': {'type': resolver.task_type, 'index': resolver.task_id},
      }
    )
  )
