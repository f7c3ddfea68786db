"""Finds what would run code in a model file before the file is loaded.

A model file comes from a stranger. Layers of Keras itself only compute; a
Lambda layer or a custom object is code of the file's author, and TensorFlow
graphs can read and write files or call Python. Loading those needs
`trust_model`.
"""

import json
import pathlib
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

import h5py

from tfeval.models.keras import graph_trust, size_budget
from tfeval.utils import budgets, untrusted
from tfeval.utils.errors import UserError

# Keras classes that run code of the file, or load another file that does.
_RUNS_CODE = frozenset(
  {
    'Lambda',
    '__lambda__',
    'TFSMLayer',
    'TorchModuleWrapper',
    'JaxLayer',
    'FlaxLayer',
    'lambda',
  }
)
_MODULES = (
  'keras.layers',
  'keras.src.models',
  'keras.models',
  'keras.initializers',
  'keras.regularizers',
  'keras.constraints',
  'keras.activations',
  'keras.src.applications',
  'keras.src.ops',
  'keras.ops',
  'keras.optimizers',
  'keras.losses',
  'keras.metrics',
  'keras.dtype_policies',
  'keras.quantizers',
)


def check_keras_file(path: pathlib.Path) -> int:
  """Refuses a `.keras` or whole-model `.h5` file that would run code, or is a bomb.

  Returns:
    How many bytes its arrays have.

  Raises:
    UserError: names the first such object, or says why the file is unreadable.
  """
  # By the name, as Keras does: a file can be both.
  untrusted.check_file(path)
  is_h5 = path.suffix in ('.h5', '.hdf5')
  stored = size_budget.check_hdf5(path) if is_h5 and h5py.is_hdf5(path) else 0
  config = _h5_config(path) if is_h5 else _zip_config(path)
  for name in _suspicious(config):
    raise _refusal(path, f'contains {name}')
  return stored if is_h5 else size_budget.check_archive(path)


def check_saved_model(path: pathlib.Path) -> None:
  """Refuses a SavedModel whose graphs do more than compute; see `graph_trust`.

  Raises:
    UserError: names the first such thing, or says the file is unreadable.
  """
  graph_trust.check_saved_model(path, _refusal)


def _refusal(path: pathlib.Path, what: str) -> UserError:
  return UserError(
    f'{path} {what}, which can run code of its author: give '
    '`trust_model` if you trust whoever made the file'
  )


def _zip_config(path: pathlib.Path) -> Any:
  untrusted.check_file(path)
  try:
    with zipfile.ZipFile(path) as archive:
      info = archive.getinfo('config.json')
      # No more than it declares is ever read.
      size = info.file_size
      if size <= budgets.MODEL_CONFIG:
        return json.loads(archive.read(info))
  # RuntimeError: encrypted, or of an unknown compression, or nested too deep.
  except (
    OSError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    KeyError,
    ValueError,
    RuntimeError,
  ) as error:
    raise UserError(
      f'{path} is not a whole Keras model file: expected what '
      'model.save("x.keras") writes'
    ) from error
  raise UserError(
    f'{path}: its config.json has {size} bytes, expected at most {budgets.MODEL_CONFIG}'
  )


def _h5_config(path: pathlib.Path) -> Any:
  untrusted.check_file(path)
  try:
    with h5py.File(path, 'r') as file:
      text = file.attrs['model_config']
    return json.loads(text)
  except OSError as error:
    raise UserError(f'{path} is empty, truncated or not HDF5: copy it again') from error
  except (KeyError, ValueError, TypeError, RecursionError) as error:
    raise UserError(
      f'{path} holds no model: if it holds weights, give the model it belongs to '
      f'as `model` and this file as `weights`'
    ) from error


def _suspicious(node: Any) -> Iterator[str]:
  """Yields what in a Keras config is not a plain object of Keras itself."""
  stack = [node]
  while stack:
    node = stack.pop()
    if isinstance(node, dict):
      name, module = node.get('class_name'), node.get('module')
      if isinstance(name, str) and 'config' in node:
        if name.rsplit('>', 1)[-1] in _RUNS_CODE:
          yield f'a {name} layer'
        elif '>' in name or (module is None and node.get('registered_name')):
          yield f'the custom object {node.get("registered_name") or name}'
        elif name == 'function' and '>' in str(node['config']):
          yield f'the custom object {node["config"]}'
        elif module is not None and not _is_keras(module):
          yield f'the custom object {module}.{name}'
      stack.extend(node.values())
    elif isinstance(node, list):
      stack.extend(node)


def _is_keras(module: Any) -> bool:
  return isinstance(module, str) and (
    module in ('builtins', 'keras')
    or any(module == known or module.startswith(known + '.') for known in _MODULES)
  )
