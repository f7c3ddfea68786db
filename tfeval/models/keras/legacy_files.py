"""Model files that Keras 2 has written and Keras 3 does not read: by `tf_keras`."""

import contextlib
import json
import math
import pathlib
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

import h5py

from tfeval.models.keras import own_code, size_budget, uncompiled, weights
from tfeval.utils import budgets, errors
from tfeval.utils.errors import UserError

_EXTRA = "pip install 'tfeval[legacy]'"


def version(path: pathlib.Path) -> str | None:
  """Returns which Keras before 3 a file says that it was written by; None: a later one.

  Args:
    path: of a `.keras` or whole-model `.h5` file.
  """
  try:
    found = _stated(path)
  except Exception:  # What a strange file holds instead is open.
    return None
  return found if found.startswith(('0.', '1.', '2.')) else None


def _stated(path: pathlib.Path) -> str:
  if zipfile.is_zipfile(path):
    with zipfile.ZipFile(path) as archive:
      info = archive.getinfo('metadata.json')
      if info.file_size > budgets.MODEL_CONFIG:
        return ''
      return str(json.loads(archive.read(info))['keras_version'])
  with h5py.File(path, 'r') as file:
    stated = file.attrs['keras_version']
    return stated.decode() if isinstance(stated, bytes) else str(stated)


def load(
  path: pathlib.Path,
  config: Any,
  own: Mapping[str, Any],
  trusted: bool,
  most: int,
  why: Exception,
) -> Any:
  """Loads a file by `tf_keras`.

  Args:
    path: of the file; unless it is trusted, `trust` has checked it.
    config: its configuration.
    own: what the user has imported for it.
    trusted: whether it may run code of its author.
    most: bytes of variables that a file may have that is not trusted.
    why: what Keras 3 said of it.

  Returns:
    A `tf_keras.Model`.

  Raises:
    UserError: `tf_keras` is not installed, or cannot read it either.
  """
  reason = ' and '.join(sorted(_unread(config))) or errors.one_line(why, 120)
  try:
    import tf_keras
    from tf_keras.src.engine import base_layer_utils
    from tf_keras.src.engine.training import Model
  except ImportError as error:
    raise UserError(
      f'{path} was written by Keras {version(path)}; Keras 3 does not read {reason}: '
      f'{_EXTRA} (tf_keras), or save it again as a SavedModel'
    ) from error

  def size_of(name, shape=None, dtype=None, *_, **__):
    return math.prod(shape or ()) * getattr(dtype, 'size', 4)

  bounded: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
  if not trusted:
    bounded = size_budget.bounded_calls(
      path, most, base_layer_utils, 'make_variable', size_of
    )
  try:
    with (
      uncompiled.loading(Model),
      bounded,
      weights.none_missing(),
      tf_keras.saving.custom_object_scope(dict(own)),
    ):
      return tf_keras.models.load_model(path, compile=False, safe_mode=not trusted)
  except UserError:
    raise
  except Exception as error:  # What a strange file makes Keras raise is open.
    if (missing := own_code.missing(path, error)) is not None:
      raise missing from error
    raise UserError(
      f'cannot load {path}, written by Keras {version(path)}, by tf_keras '
      f'{tf_keras.__version__}: {errors.one_line(error)}'
    ) from error


def _unread(config: Any) -> Iterator[str]:
  """Yields what Keras 3 is known not to read in a configuration, perhaps repeatedly."""
  stack, found = [config], set()
  while stack:
    node = stack.pop()
    if isinstance(node, dict):
      name, inner = node.get('class_name'), node.get('config')
      if name == 'DepthwiseConv2D' and isinstance(inner, dict) and 'groups' in inner:
        found.add('`groups` of DepthwiseConv2D')
      if name in ('TFOpLambda', 'SlicingOpLambda', 'TensorFlowOpLayer'):
        found.add(str(name))
      if str(node.get('module')).startswith('tf_keras'):
        found.add('module names of tf_keras')
      stack.extend(node.values())
    elif isinstance(node, list):
      stack.extend(node)
  yield from found
