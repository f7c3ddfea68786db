"""tf.distribute strategies by name."""

import os
from collections.abc import Callable

import tensorflow as tf

from tfeval.engine import deadline
from tfeval.engine.options import AUTO, DEFAULT, MIRRORED, MULTI_WORKER, STRATEGIES, TPU
from tfeval.utils import errors
from tfeval.utils.errors import UserError
from tfeval.utils.registry import Registry

# NVIDIA's compute capability from which GPUs know TensorFloat-32: Ampere, see
# tf.config.experimental.enable_tensor_float_32_execution.
_AMPERE = (8, 0)
# A TPU that is there answers within seconds; one that boots is not waited for.
TPU_SECONDS = 60


def choose(name: str, devices: int | None = None, tpu: str | None = None) -> str:
  """Returns the strategy that a host runs: `default`, `mirrored` or `tpu`.

  Args:
    name: one of `options.STRATEGIES`; `auto` and `multi_worker` take what is there:
      a TPU, several GPUs, or as many devices as were asked for.
    devices: how many devices to use, None for all GPUs or one CPU.
    tpu: name or address of a TPU.

  Raises:
    UserError: the name is not known, or the flags contradict each other.
  """
  if name not in STRATEGIES:
    raise errors.unknown('strategy', name, STRATEGIES)
  if tpu is not None and name in (DEFAULT, MIRRORED):
    raise UserError(f'`tpu={tpu}` contradicts `strategy={name}`: leave one out')
  if name in (AUTO, MULTI_WORKER):
    if (
      tpu is not None
      or 'TPU_NAME' in os.environ
      or (tf.config.list_physical_devices('TPU'))
    ):
      name = TPU
    elif (devices or len(tf.config.list_physical_devices('GPU'))) > 1:
      name = MIRRORED
    else:
      name = DEFAULT
  if devices is not None and (name == TPU or (name == DEFAULT and devices > 1)):
    raise UserError(f'`devices={devices}` contradicts `strategy={name}`: leave one out')
  return name


def make_strategy(
  name: str, devices: int | None = None, tpu: str | None = None
) -> tf.distribute.Strategy:
  """Returns a strategy over the devices of this host.

  Args:
    name: `default` (one device), `mirrored` (GPUs of this host, or logical devices
      of its CPU) or `tpu`.
    devices: how many GPUs, or logical devices to make of the CPU where there is no
      GPU; None for all GPUs, or the logical devices that there are.
    tpu: name or address of a TPU; None for that of this host.

  Raises:
    UserError: there are fewer devices, TensorFlow has started with others, or the
      TPU does not answer.
  """
  return MAKERS[name](devices, tpu)


def _default(devices: int | None, tpu: str | None) -> tf.distribute.Strategy:
  _local_devices(devices)
  return tf.distribute.get_strategy()


def _mirrored(devices: int | None, tpu: str | None) -> tf.distribute.Strategy:
  kind = _local_devices(devices)
  count = devices or len(tf.config.list_logical_devices(kind))
  # Named: by itself MirroredStrategy would take the devices of TF_CONFIG's hosts.
  return tf.distribute.MirroredStrategy([f'{kind}:{i}' for i in range(count)])


def _local_devices(devices: int | None) -> str:
  """Returns the kind of the devices of this host, of which there are so many."""
  gpus = tf.config.list_physical_devices('GPU')
  if gpus and devices is not None and devices > len(gpus):
    raise UserError(f'`devices={devices}`: this host has {len(gpus)} GPUs')
  if not gpus and devices is not None:
    _split_cpu(devices)
  return 'GPU' if gpus else 'CPU'


def _split_cpu(devices: int) -> None:
  (cpu,) = tf.config.list_physical_devices('CPU')
  try:
    tf.config.set_logical_device_configuration(
      cpu, [tf.config.LogicalDeviceConfiguration()] * devices
    )
  except RuntimeError as error:
    # TensorFlow decides once in a process.
    if len(tf.config.list_logical_devices('CPU')) != devices:
      raise UserError(
        f'`devices={devices}`: TensorFlow has already started with '
        'another number of devices in this process'
      ) from error


def _tpu(devices: int | None, tpu: str | None) -> tf.distribute.Strategy:
  name = tpu or os.environ.get('TPU_NAME') or 'local'

  def connect():
    resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=name)
    if name != 'local':
      tf.config.experimental_connect_to_cluster(resolver)
    tf.tpu.experimental.initialize_tpu_system(resolver)
    return tf.distribute.TPUStrategy(resolver)

  try:
    return deadline.within(TPU_SECONDS, connect)
  except (Exception, SystemExit) as error:  # TensorFlow and its transports raise many.
    raise UserError(
      f'TPU {name!r} cannot be used: {errors.one_line(error)}: give '
      '`tpu=NAME` of one that is ready, or another `strategy`'
    ) from error


# By name: (devices, tpu) -> strategy, as `make_strategy` documents them.
MAKERS: Registry[Callable[..., tf.distribute.Strategy]] = Registry(
  'strategy', {DEFAULT: _default, MIRRORED: _mirrored, TPU: _tpu}
)


def allow_tf32(allowed: bool) -> None:
  """Lets GPUs multiply float32 in TensorFloat-32, or sees to it that they do not.

  TensorFlow's own default is to let them, which changes answers unasked.

  Raises:
    UserError: it is asked for, and no GPU here knows it.
  """
  if allowed and not any(
    tf.config.experimental.get_device_details(gpu).get('compute_capability', (0, 0))
    >= _AMPERE
    for gpu in tf.config.list_physical_devices('GPU')
  ):
    raise UserError(
      '`tf32`: TensorFloat-32 is of NVIDIA GPUs of compute capability '
      '8.0 (Ampere) or later, and there is none here: leave it out'
    )
  tf.config.experimental.enable_tensor_float_32_execution(allowed)


def grow_memory() -> None:
  """Has TensorFlow take the memory of GPUs as it needs it, and not all of it at once.

  Whoever set `TF_FORCE_GPU_ALLOW_GROWTH` has what that says.
  """
  if 'TF_FORCE_GPU_ALLOW_GROWTH' in os.environ:
    return
  for gpu in tf.config.list_physical_devices('GPU'):
    try:
      tf.config.experimental.set_memory_growth(gpu, True)
    except (RuntimeError, ValueError):
      return  # They have started, or have a limit of their own.


def always_compiles(strategy: tf.distribute.Strategy) -> bool:
  """Returns whether a strategy compiles every step, asked or not, as on TPUs."""
  return isinstance(strategy, tf.distribute.TPUStrategy)


def local_replicas(strategy: tf.distribute.Strategy) -> int:
  """Returns how many replicas of a strategy are on this host."""
  if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
    return len(strategy.extended.worker_devices)
  return strategy.num_replicas_in_sync


def describe(strategy: tf.distribute.Strategy) -> str:
  """Returns how many replicas of which kind compute, such as `2 x GPU`."""
  kinds = {device.device_type for device in tf.config.list_logical_devices()}
  kind = next((kind for kind in ('TPU', 'GPU') if kind in kinds), 'CPU')
  return f'{local_replicas(strategy)} x {kind}'


def accelerators(strategy: tf.distribute.Strategy) -> list[str]:
  """Returns the devices of this host's replicas to copy their input to.

  Args:
    strategy: where models run.

  Returns:
    A name for each replica; empty where nothing is to be copied: on CPUs, and on TPUs,
    which take their input by themselves.
  """
  if always_compiles(strategy):
    return []
  gpus = [device.name for device in tf.config.list_logical_devices('GPU')]
  if isinstance(strategy, tf.distribute.MirroredStrategy):
    workers = list(strategy.extended.worker_devices)
    return workers if all('GPU' in worker for worker in workers) else []
  return gpus[:1] if local_replicas(strategy) == 1 else []
