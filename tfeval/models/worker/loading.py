"""Which models run in a process of their own, and how they are loaded."""

import dataclasses
import os
import pathlib
import re
from collections.abc import Sequence
from typing import Any

from tfeval.models.keras import saved_model
from tfeval.models.keras.files import described
from tfeval.models.model import Model, check_options
from tfeval.models.options import ModelOptions
from tfeval.models.worker import kinds, told_classes
from tfeval.models.worker.backend import WorkerBackend
from tfeval.models.worker.process import Process
from tfeval.utils import errors, files, paths
from tfeval.utils.errors import UserError
from tfeval.utils.spec import Spec

# What a model may tell of itself, as options have it.
_TOLD = ('preprocess', 'input_size', 'output')
# What the user's own code may say too: a name for each output, and what changes when
# what it reads does.
_OWN = (*_TOLD, 'classes', 'version')


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
  saved_model.check_options(spec.text, known, is_one=False)
  state = weights if weights not in ('imagenet', 'none') else None
  if state is not None and (kind.module != 'torch' or path is not None):
    raise UserError(f'{spec.text} brings its weights: leave weights={weights} out')
  if state is not None and not paths.path(state).is_file():
    raise UserError(f'weights {state} do not exist')
  process = Process(spec.text, known.model_python, known.batch_timeout)
  told = _checked(
    spec,
    process.load(
      {
        'kind': kind.module,
        'source': kind.source,
        'target': kind.target if path is None else os.fspath(path),
        'options': dict(spec.options),
        'weights': weights,
        'state': state and os.path.abspath(state),
        'trust': known.trust_model,
      }
    ),
  )
  known = _with_told(spec, known, told)
  backend = WorkerBackend(process, told, known.input_size)
  source, sha256 = weights, None
  if path is not None:
    source, sha256 = spec.target, _sha256(path, _libraries(spec))
  elif state is not None:
    sha256 = files.sha256_of(paths.path(state))
  elif kind.module == 'function':
    source = 'model'
  model = described(backend, spec.text, known, source, sha256)
  return told_classes.named(model, told.get('classes'), known.class_map)


# A key of external data in ONNX' protobuf, and what is behind it (onnx.proto3,
# StringStringEntryProto), a text of up to 127 bytes.
_LOCATION = re.compile(rb'\n\x08location\x12([\x01-\x7f])')


def _sha256(path: pathlib.Path, libraries: Sequence[pathlib.Path]) -> str:
  """Returns the hash of a file, with those that an ONNX file needs.

  Args:
    path: of the file.
    libraries: of operators; those of its weights it names itself.
  """
  sha256 = files.sha256_of(path)
  if path.suffix.lower() != '.onnx':
    return sha256
  content = path.read_bytes()
  names = {
    content[one.end() :][: one[1][0]].decode(errors='replace')
    for one in _LOCATION.finditer(content)
  }
  beside = [(name, files.sha256_of(path.parent / name)) for name in sorted(names)]
  beside += [(one.name, files.sha256_of(one)) for one in libraries]
  if not beside:
    return sha256
  return files.digest_of_pairs([(path.name, sha256), *beside])


def _libraries(spec: Spec) -> list[pathlib.Path]:
  """Returns the files of operators that a specification names."""
  given = dict(spec.options).get('ops', ())
  several = given if isinstance(given, tuple) else (given,)
  return [path for one in several if (path := pathlib.Path(str(one))).is_file()]


def _with_told(spec: Spec, known: ModelOptions, told: dict[str, Any]) -> ModelOptions:
  """Returns what is known, with what a model tells of itself.

  Args:
    spec: the model.
    known: options that were given.
    told: what its process tells.

  Raises:
    UserError: they contradict each other.
  """
  found: dict[str, Any] = {}
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


def _checked(spec: Spec, told: dict[str, Any]) -> dict[str, Any]:
  """Returns what a process tells, with what the user's code says: `own`, as it is.

  Raises:
    UserError: that is nothing that can be said, or not as options may be.
  """
  own = told.get('own', {})
  for key in own:
    if key not in _OWN:
      found = errors.unknown('key', key, _OWN)
      raise UserError(f'{spec.text} tells of itself the {found}')
  told = told | own
  version = told.get('version')
  if version is not None and not (isinstance(version, str) and version):
    raise UserError(
      f'{spec.text} tells of itself: version is {version!r}, expected a text'
    )
  try:
    check_options(ModelOptions(**{key: told.get(key) for key in _TOLD}))
  except UserError as error:
    raise UserError(f'{spec.text} tells of itself: {error}') from error
  return told
