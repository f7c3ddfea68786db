"""Models of other frameworks as the engine sees them."""

import hashlib
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfeval.models.backend import Backend, InputSpec
from tfeval.models.worker.failures import OutOfMemory
from tfeval.models.worker.process import SLOTS, Process
from tfeval.utils import files
from tfeval.utils.errors import UserError


class WorkerBackend(Backend):
  """A model in a process of its own.

  Inside of a graph it is a call of Python: batches are copied once, into memory that
  both processes see.
  """

  calls_at_once = SLOTS

  def __init__(self, process: Process, told: Mapping[str, Any], side: int | None):
    """Takes a model that is loaded.

    Args:
      process: has it.
      told: what it tells of itself, see the modules of `tfeval_worker`.
      side: of its input in pixels, where it does not tell.

    Raises:
      UserError: it cannot run.
    """
    self._process, self.told = process, dict(told)
    batch, height, width, channels = told['input']
    self.input_spec = InputSpec(
      (batch, height or side, width or side, channels),
      # Its process rounds; what is rounded is checked here.
      dtype=told['dtype'] if told.get('whole_numbers') else 'float32',
    )
    self.parameters = told.get('parameters')
    self.dtype = told.get('dtype', 'unknown')
    self.told_protocol = told.get('protocol')
    self.activations = told.get('activations') or {}
    self.no_protocol = told.get('no_protocol', '')
    self._outputs = self._probed()
    # Not before: a function may import when it is called first.
    self._code = process.code_sha256()
    if version := told.get('version'):
      self._code = hashlib.sha256(f'{self._code} {version}'.encode()).hexdigest()

  def _probed(self) -> dict[str, tf.TensorSpec]:
    """Runs two images, which tells shapes that files do not.

    Raises:
      UserError: it cannot, or there is no room for them.
    """
    _, height, width, channels = self.input_spec.shape
    if None in (height, width):
      return {}
    images = np.zeros((2, height, width, channels or 3), np.float32)
    try:
      found = self._process.run(images)
    except OutOfMemory as error:
      raise UserError(
        f'{error}: there is no room for two images of {height} x {width}: give a '
        'smaller `input_size`, or another device'
      ) from error
    return {
      name: tf.TensorSpec([None, *one.shape[1:]], tf.float32)
      for name, one in found.items()
    }

  def __call__(self, images: Any) -> dict[str, tf.Tensor]:
    if not self._outputs:
      return self._run(np.asarray(images))
    names = list(self._outputs)
    specs = list(self._outputs.values())

    def call(images: np.ndarray) -> list[np.ndarray]:
      found = self._process.run(images)
      return [found[name] for name in names]

    found = tf.numpy_function(call, [images], [tf.float32] * len(names))
    outputs = [found] if tf.is_tensor(found) else found  # Of a single one it is that.
    count = images.shape[0]
    for output, spec in zip(outputs, specs, strict=True):
      output.set_shape([count, *spec.shape[1:]])
    return dict(zip(names, outputs, strict=True))

  def _run(self, images: np.ndarray) -> dict[str, tf.Tensor]:
    return {k: tf.constant(v) for k, v in self._process.run(images).items()}

  def describe(self) -> dict[str, Any]:
    return {
      'versions': {
        'tensorflow': tf.__version__,
        'keras': keras.__version__,
        **self.told['versions'],
      },
      'devices': list(self.told['devices']),
    }

  def hardware(self) -> Mapping[str, Any] | None:
    if found := self.told.get('hardware'):
      return found
    is_cpu = all('cpu' in one.lower() for one in self.told['devices'])
    return {'kind': 'CPU'} if is_cpu else None

  def cpu_seconds(self) -> float:
    return self._process.cpu_seconds

  def outputs(self) -> Mapping[str, tf.TensorSpec]:
    return dict(self._outputs)

  def architecture_sha256(self) -> str | None:
    return self._code

  def fingerprint(self, sources: Sequence[pathlib.Path] = ()) -> str | None:
    # What a function reads may change; only its author knows, and tells a version.
    values = self.told.get('sha256') or self.told.get('version')
    if values is None:
      return None
    sha256 = hashlib.sha256(f'{values} {self._code}'.encode())
    if self.told.get('classes'):  # They say which class a value is of.
      sha256.update(json.dumps(self.told['classes']).encode())
    for path in sources:
      sha256.update(bytes.fromhex(files.sha256_of(path)))
    return sha256.hexdigest()
