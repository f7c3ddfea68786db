"""On which devices and hosts models run, and where their input comes from."""

import dataclasses
import re

from tfeval.utils.errors import UserError
from tfeval.utils.options import PREPROCESSING, option

STRATEGIES = AUTO, DEFAULT, MIRRORED, MULTI_WORKER, TPU = (
  'auto',
  'default',
  'mirrored',
  'multi_worker',
  'tpu',
)
MOST_BATCH_SIZE = 1 << 16
# Threads that rank: each does 20,000 images/s.
RANKING_THREADS = 2
PLACES = HOST, DEVICE = ('host', 'device')


@dataclasses.dataclass(frozen=True)
class DeviceConfig:
  """The devices of this host, and what runs on them."""

  GROUP = 'Devices'

  batch_size: int | str = option(
    64,
    'Images in a step, over all replicas; auto: the largest power of two that fits '
    'into the memory of the devices.',
    least=1,
    most=MOST_BATCH_SIZE,
    words=(AUTO,),
  )
  resize_on: str = option(
    HOST,
    'device: the host only decodes, and the resizing of opencv runs where the model '
    'does, if a self-test finds it to be exact there.',
    choices=PLACES,
    in_python=False,
    group=PREPROCESSING,
  )
  rank_on: str = option(
    HOST,
    'device: outputs are ranked where the model computes, and only the ranks leave '
    'it; the same classes as on the host.',
    choices=PLACES,
    in_python=False,
  )
  canvas: int | None = option(
    None,
    'Side of what `resize_on=device` gives to the device: 256, 384, 512 (the default), '
    '640, 768 or 1024; larger photos the host resizes.',
    in_python=False,
    group=PREPROCESSING,
  )
  strategy: str = option(
    AUTO,
    'default: one device; mirrored: all GPUs of this host, or `devices`; multi_worker: '
    'several hosts, from TF_CONFIG or `num_hosts`; auto: what is there.',
    choices=STRATEGIES,
    in_python=False,
  )
  devices: int | None = option(
    None,
    'How many GPUs to use, or logical devices to make of the CPU where there is no '
    'GPU.',
    least=1,
    most=256,
    in_python=False,
  )
  tpu: str | None = option(
    None, 'Name or address of a TPU; local: that of this host.', in_python=False
  )
  jit: bool = option(False, 'Compile the model with XLA. A TPU always does.')
  tf32: bool = option(
    False,
    'Let GPUs multiply float32 in TensorFloat-32: faster, with 10 bits of mantissa; '
    'compare counts the answers that flip.',
    in_python=False,
  )


@dataclasses.dataclass(frozen=True)
class InputConfig:
  """Who decodes, and what is kept of it. Neither changes a number."""

  GROUP = 'Data'

  cache_dir: str | None = option(
    None,
    'Keep preprocessed images in here, and take them from here where they are of the '
    'same content and protocol: tfeval cache.',
    is_path=True,
    repeated=False,
  )
  tf_data_service: str | None = option(
    None,
    'HOST:PORT of the dispatcher of a tf.data service whose workers read and decode '
    'the images: configs/tf_data_service.py. They have to see the same files.',
    repeated=False,
    in_python=False,
  )

  frost_textures: str | None = option(
    None,
    'The folder of the five photos that the corruption frost takes (default: that of '
    'the installed package imagecorruptions).',
    is_path=True,
    group=PREPROCESSING,
  )


@dataclasses.dataclass(frozen=True)
class HostsConfig:
  """This host among others; None for what TF_CONFIG says."""

  GROUP = 'Hosts'

  num_hosts: int | None = option(
    None,
    'How many hosts evaluate a share each, all with the same flags and `output_dir`.',
    least=1,
    repeated=False,
    in_python=False,
  )
  host_index: int | None = option(
    None,
    'Which of `num_hosts` this is, from 0, which joins what all have done.',
    least=0,
    repeated=False,
    in_python=False,
  )
  host_timeout: int = option(
    3600,
    'Seconds that host 0 waits for hosts of which nothing new comes.',
    least=1,
    repeated=False,
  )


def check_devices(devices: DeviceConfig, inputs: InputConfig) -> None:
  """Checks that options do not contradict each other.

  Raises:
    UserError: two do, or an address is none.
  """
  if devices.canvas is not None and devices.resize_on == HOST:
    raise UserError(
      f'`canvas={devices.canvas}` is for `resize_on=device`: give both or none'
    )
  if devices.resize_on == DEVICE:
    for name in ('tf_data_service', 'cache_dir'):
      if getattr(inputs, name) is not None:
        raise UserError(
          f'`{name}` gives images that have their size already, which contradicts '
          '`resize_on=device`: leave one out'
        )
  if inputs.tf_data_service is not None:
    service_address(inputs.tf_data_service)
    if inputs.cache_dir is not None:
      raise UserError(
        '`cache_dir` keeps what this host decodes, and with `tf_data_service` others '
        'do: leave one of them out'
      )


def service_address(text: str) -> tuple[str, int]:
  """Returns the host and the port that HOST:PORT names.

  Raises:
    UserError: it is malformed.

  >>> service_address('[::1]:5050')
  ('::1', 5050)
  """
  found = re.fullmatch(r'(?:\[([\d:A-Fa-f.]+)\]|([^\s:/]+)):(\d{1,5})', text)
  if not found or not 0 < int(found[3]) < 1 << 16:
    raise UserError(
      f'`tf_data_service={text}` is no address: give HOST:PORT of the '
      'dispatcher, such as 10.0.0.2:5050'
    )
  return found[1] or found[2], int(found[3])
