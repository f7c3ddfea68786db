"""What models are computed on: for people who compare speeds."""

import os
import pathlib
import platform
import re
from typing import Any

import tensorflow as tf

from tfeval.models.backend import Backend

# The NVIDIA driver's own file: "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535..."
_DRIVER = pathlib.Path('/proc/driver/nvidia/version')


def describe() -> dict[str, Any]:
  """Returns the devices of this host that compute, for JSON.

  Returns:
    `kind`: `'TPU'`, `'GPU'` or `'CPU'`; `name`: of the device, such as `'NVIDIA H200'`;
    `cores`: of the CPU that this process may use; of GPUs `driver`, `cuda` and `cudnn`,
    versions, as far as they are known.
  """
  cores = len(os.sched_getaffinity(0))
  kinds = {device.device_type for device in tf.config.list_logical_devices()}
  if 'TPU' in kinds:
    return {'kind': 'TPU', 'name': _tpu(), 'cores': cores}
  if 'GPU' in kinds:
    return {'kind': 'GPU', 'name': _gpu(), 'cores': cores, **_versions()}
  return {'kind': 'CPU', 'name': cpu(), 'cores': cores}


def of(backend: Backend) -> dict[str, Any] | None:
  """Returns what `describe` does of the devices that compute a model.

  None where they are those of another process, and nobody knows which.
  """
  told = backend.hardware()
  if told is None:
    return None
  if not told:
    return describe()
  found = {'kind': told['kind'], 'name': told.get('name') or cpu()}
  found['cores'] = len(os.sched_getaffinity(0))
  if told['kind'] != 'GPU':
    return found
  versions = {'driver': _driver(), 'cuda': told.get('cuda'), 'cudnn': told.get('cudnn')}
  return found | {name: str(version) for name, version in versions.items() if version}


def cpu() -> str:
  """Returns the model of the CPU, such as `'AMD EPYC 9654 96-Core Processor'`."""
  try:
    text = pathlib.Path('/proc/cpuinfo').read_text(encoding='utf-8', errors='replace')
  except OSError:
    text = ''
  found = re.search(r'^(?:model name|Model)\s*:\s*(.+)$', text, re.MULTILINE)
  return found[1].strip() if found else platform.processor() or platform.machine()


def _gpu() -> str:
  details = [
    tf.config.experimental.get_device_details(gpu)
    for gpu in tf.config.list_physical_devices('GPU')
  ]
  return ', '.join(sorted({one.get('device_name', 'GPU') for one in details}))


def _tpu() -> str:
  # As Cloud TPU hosts and GKE name it, such as `v5litepod-8`.
  kind = os.environ.get('TPU_ACCELERATOR_TYPE')
  return f'TPU {kind}' if kind else 'TPU'


def _versions() -> dict[str, str]:
  build = tf.sysconfig.get_build_info()
  found = {
    'driver': _driver(),
    'cuda': build.get('cuda_version'),
    'cudnn': build.get('cudnn_version'),
  }
  return {name: str(version) for name, version in found.items() if version}


def _driver() -> str | None:
  try:
    text = _DRIVER.read_text(encoding='utf-8', errors='replace')
  except OSError:
    return None
  found = re.search(r'Kernel Module.*?\s(\d+(?:\.\d+)+)', text)
  return found[1] if found else None
