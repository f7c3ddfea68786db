"""How many images are in a step."""

import logging

import numpy as np
import tensorflow as tf

from tfeval.engine import placement, strategies
from tfeval.engine.forward import ForwardPass
from tfeval.engine.options import AUTO, DeviceConfig
from tfeval.models.model import Model
from tfeval.preprocess.protocol import Protocol

_LOG = logging.getLogger('tfeval')
# Of a replica. More images do not make devices faster, and fill the host's memory; a
# CPU is as fast with its default.
_MOST_ON_ACCELERATOR, _MOST_ON_CPU = 1024, 64
# Of encoded images: as large as those of ImageNet mostly are.
_PHOTO = (375, 500, 3)


def of_host(
  config: DeviceConfig,
  model: Model,
  protocol: Protocol,
  strategy: tf.distribute.Strategy,
) -> int:
  """Returns the batch size of a host, the same for each of its replicas.

  Args:
    config: what is asked for: a number, which is rounded up to a multiple of the
      replicas, or `auto`.
    model: loaded under the strategy's scope.
    protocol: makes its pixels.
    strategy: where it runs.

  Raises:
    UserError: not one image fits, or the model cannot run on images.
  """
  replicas = strategies.local_replicas(strategy)
  if config.batch_size != AUTO:
    return -(-int(config.batch_size) // replicas) * replicas
  found = _largest(config, model, protocol, strategy)
  _LOG.info('%s: batches of %d images fit into memory', model.name, found)
  return found


def _largest(
  config: DeviceConfig,
  model: Model,
  protocol: Protocol,
  strategy: tf.distribute.Strategy,
) -> int:
  """Returns the largest power of two for each replica, times the replicas."""
  on_cpu = not tf.config.list_logical_devices('GPU') and not strategies.always_compiles(
    strategy
  )
  each = _MOST_ON_CPU if on_cpu else _MOST_ON_ACCELERATOR
  size = each * strategies.local_replicas(strategy)
  step = ForwardPass(
    model, strategy, size, config.jit, announces=False, tta=protocol.tta
  )
  if protocol.is_encoded:
    photo = tf.io.encode_jpeg(tf.zeros(_PHOTO, tf.uint8))
    black = np.full([size], photo.numpy(), object)
  else:
    black = np.zeros([size, *protocol.shape], protocol.dtype)
  # Twice, as while one batch is computed the next one is there already.
  placed = [placement.place(strategy, size, (tf.constant(black),)) for _ in range(2)]
  started = [step.submit(one) for one in placed]
  return min(step.result(one).step_size for one in started)
