"""Which models run in a process of their own, and how they are loaded."""

import dataclasses
import os
import pathlib
import re
from typing import Any

from tfeval.models.keras.files import described
from tfeval.models.model import Model
from tfeval.models.options import ModelOptions
from tfeval.models.worker import kinds, told_classes
from tfeval.models.worker.backend import WorkerBackend
from tfeval.models.worker.process import Process
from tfeval.utils import files, paths
from tfeval.utils.errors import UserError
from tfeval.utils.spec import Spec

# What a model may tell of itself, as options have it.
_TOLD = ('preprocess', 'input_size', 'output')


def load(spec: Spec, weights: str, known: ModelOptions) -> Model:
  """Loads a model of another framework.

  Args:
    spec: one that `kinds.kind_of` knows.
    weights: `'imagenet'` for those that it brings or that its framework downloads,
      `'none'`, or the path of a state dict of PyTorch.
    known: what it does not tell.

  Raises:
    UserError: one line that says what is wrong and what to do.
  """
  kind = kinds.kind_of(spec)
  assert kind is not None  # Whoever calls has looked.
  path = kinds.file_of(spec, kind)
  if known.dtype != 'float32':
    raise UserError(
      f'{spec.text}: dtype is of Keras models: leave it out'
      + ', or give :autocast=bfloat16' * (kind.module == 'torch')
    )
  state = weights if weights not in ('imagenet', 'none') else None
  if state is not None and (kind.module != 'torch' or path is not None):
    raise UserError(f'{spec.text} brings its weights: leave weights={weights} out')
  if state is not None and not paths.path(state).is_file():
    raise UserError(f'weights {state} do not exist')
  process = Process(spec.text, known.model_python, known.batch_timeout)
  told = process.load(
    {
      'kind': kind.module,
      'source': kind.source,
      'target': kind.target if path is None else os.fspath(path),
      'options': dict(spec.options),
      'weights': weights,
      'state': state and os.path.abspath(state),
      'trust': known.trust_model,
    }
  )
  known = _with_told(spec, known, told)
  backend = WorkerBackend(process, told, known.input_size)
  source, sha256 = weights, None
  if path is not None:
    source, sha256 = spec.target, _sha256(path)
  elif state is not None:
    sha256 = files.sha256_of(paths.path(state))
  elif kind.module == 'function':
    source = 'model'
  model = described(backend, spec.text, known, source, sha256)
  return told_classes.named(model, told.get('classes'), known.class_map)


# A key of external data in ONNX' protobuf, and what is behind it (onnx.proto3,
# StringStringEntryProto), a text of up to 127 bytes.
_LOCATION = re.compile(rb'\n\x08location\x12([\x01-\x7f])')


def _sha256(path: pathlib.Path) -> str:
  """Returns the hash of a file, with those that an ONNX file has its weights in."""
  sha256 = files.sha256_of(path)
  if path.suffix.lower() != '.onnx':
    return sha256
  content = path.read_bytes()
  names = {
    content[one.end() :][: one[1][0]].decode(errors='replace')
    for one in _LOCATION.finditer(content)
  }
  if not names:
    return sha256
  beside = [(name, files.sha256_of(path.parent / name)) for name in sorted(names)]
  return files.digest_of_pairs([(path.name, sha256), *beside])


def _with_told(spec: Spec, known: ModelOptions, told: dict[str, Any]) -> ModelOptions:
  """Returns what is known, with what a model tells of itself.

  Raises:
    UserError: they contradict each other.
  """
  found = {}
  for key in _TOLD:
    value, given = told.get(key), getattr(known, key)
    if value is None:
      if given is None and f'no_{key}' in told:
        raise UserError(f'{spec.text}: {told[f"no_{key}"]}: give `{key}`')
      continue
    if given not in (None, value) and key != 'input_size':
      raise UserError(
        f'{spec.text} says {key}={value}, and {given} was given (`{key}`): leave it out'
      )
    found[key] = value if given is None else given
  return dataclasses.replace(known, **found)
