"""Finds what would run code in a model file before the file is loaded.

A model file comes from a stranger. Layers of Keras itself only compute; a
Lambda layer or a custom object is code of the file's author, and TensorFlow
graphs can read and write files or call Python. Loading those needs
`trust_model`.
"""

import csv
import functools
import pathlib
import zipfile
from collections.abc import Collection, Iterator
from typing import Any

import h5py

from tfeval.models.keras import (
  graph_trust,
  legacy_files,
  legacy_trust,
  size_budget,
  tensor_bundle,
)
from tfeval.models.keras.uncompiled import COMPILED
from tfeval.utils import budgets, errors, json_text, untrusted
from tfeval.utils.errors import Lasting, UserError
from tfeval.utils.numpy_files import BROKEN_ARCHIVE

# What loads code by other names than those of classes.
_RUNS_CODE = frozenset({'__lambda__', 'lambda'})
_CUSTOM = 'the custom object '
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


def check_keras_file(path: pathlib.Path, own: Collection[str] = ()) -> int:
  """Refuses a `.keras` or whole-model `.h5` file that would run code, or is a bomb.

  Args:
    path: of the file.
    own: names of classes and functions that the user has imported: they may be used.

  Returns:
    How many bytes its arrays have.

  Raises:
    UserError: names the first such object, or says why the file is unreadable.
  """
  # By the name, as Keras does: a file can be both.
  untrusted.check_file(path)
  is_h5 = path.suffix in ('.h5', '.hdf5')
  stored = size_budget.check_hdf5(path) if is_h5 and h5py.is_hdf5(path) else 0
  is_legacy = legacy_files.version(path) is not None
  for name in _suspicious(read_config(path), own, is_legacy):
    further = ''
    if _CUSTOM in name:
      further = ', or `import_module`=MODULE that defines it if it is yours'
    raise _refusal(path, f'contains {name}', further)
  return stored if is_h5 else size_budget.check_archive(path)


def read_config(path: pathlib.Path) -> Any:
  """Returns the configuration of the model in a `.keras` or whole-model `.h5` file.

  Raises:
    UserError: it has none, or is unreadable.
  """
  return _h5_config(path) if path.suffix in ('.h5', '.hdf5') else _zip_config(path)


def check_saved_model(path: pathlib.Path) -> None:
  """Refuses a SavedModel whose graphs do more than compute, or that is a bomb.

  See `graph_trust` and `tensor_bundle`.

  Raises:
    UserError: names the first such thing, or says the file is unreadable.
  """
  graph_trust.check_saved_model(path, _refusal)
  _check_fingerprint(path)
  values = path / 'variables' / 'variables'
  if not values.with_name('variables.index').exists():
    return  # It has none.
  try:
    tensor_bundle.reader(values)
  except Exception as error:  # What a strange file makes TensorFlow raise is open.
    raise UserError(
      f'cannot load the SavedModel {path}: {errors.one_line(error)}'
    ) from error


def _check_fingerprint(path: pathlib.Path) -> None:
  """Checks a file of which TensorFlow says in a traceback that it is damaged."""
  from google.protobuf.message import DecodeError
  from tensorflow.core.protobuf import fingerprint_pb2

  file = path / 'fingerprint.pb'
  if not file.exists():
    return  # Before TensorFlow 2.12 there was none.
  try:
    content = untrusted.read_bytes(file, budgets.GRAPH_FILE)
    fingerprint_pb2.FingerprintDef.FromString(content)
  except (OSError, DecodeError) as error:
    raise UserError(f'{file} is damaged: copy or export {path} again') from error


def _refusal(path: pathlib.Path, what: str, further: str = '') -> UserError:
  return Lasting(
    f'{path} {what}, which can run code of its author: give '
    f'`trust_model` if you trust whoever made the file{further}'
  )


def _zip_config(path: pathlib.Path) -> Any:
  try:
    with zipfile.ZipFile(path) as archive:
      info = archive.getinfo('config.json')
      # No more than it declares is ever read.
      size = info.file_size
      if size <= budgets.MODEL_CONFIG:
        return json_text.loads(path, archive.read(info))
  except (OSError, KeyError, ValueError, *BROKEN_ARCHIVE) as error:
    raise UserError(
      f'{path} is not a whole Keras model file: expected what '
      'model.save("x.keras") writes'
    ) from error
  raise UserError(
    f'{path}: its config.json has {size} bytes, expected at most {budgets.MODEL_CONFIG}'
  )


def _h5_config(path: pathlib.Path) -> Any:
  try:
    with h5py.File(path, 'r') as file:
      text = file.attrs['model_config']
    content = text if isinstance(text, bytes) else text.encode()
  except OSError as error:
    raise UserError(f'{path} is empty, truncated or not HDF5: copy it again') from error
  except Exception as error:  # What it holds instead is open.
    raise _no_model(path) from error
  if len(content) > budgets.MODEL_CONFIG:
    raise UserError(
      f'{path}: its model_config has {len(content)} bytes, expected at most '
      f'{budgets.MODEL_CONFIG}'
    )
  try:
    return json_text.loads(path, content)
  except UserError as error:
    raise _no_model(path) from error


def _no_model(path: pathlib.Path) -> UserError:
  return UserError(
    f'{path} holds no model: if it holds weights, give the model it belongs to '
    f'as `model` and this file as `weights`'
  )


def _suspicious(
  node: Any, own: Collection[str], is_legacy: bool = False
) -> Iterator[str]:
  """Yields what in a Keras config is neither a plain object of Keras nor the user's.

  What models in it were compiled with is not loaded: `uncompiled.loading`.
  """
  stack = [node]
  while stack:
    node = stack.pop()
    if isinstance(node, dict):
      name, module = node.get('class_name'), node.get('module')
      if isinstance(name, str) and 'config' in node:
        short = name.rsplit('>', 1)[-1]
        if short in _RUNS_CODE or class_kinds().get(short) == graph_trust.ACTS:
          yield f'a {name} layer'
        elif _is_own(node, own):
          pass
        elif is_legacy:
          found = legacy_trust.found(node, class_kinds(), _MODULES, _CUSTOM)
          if found is not None:
            yield found
        elif '>' in name or (module is None and node.get('registered_name')):
          yield f'{_CUSTOM}{node.get("registered_name") or name}'
        elif name == 'function' and '>' in str(node['config']):
          yield f'{_CUSTOM}{node["config"]}'
        elif module is not None and not _is_keras(module):
          yield f'{_CUSTOM}{module}.{name}'
        elif _is_unknown(module, name):
          yield f'the unknown class {name}'
      # Beside these alone nothing else loads it.
      is_object = isinstance(name, str) and 'config' in node
      stack.extend(
        value for key, value in node.items() if not (is_object and key == COMPILED)
      )
    elif isinstance(node, list):
      stack.extend(node)


def _is_own(node: dict[str, Any], own: Collection[str]) -> bool:
  """Whether what a config names is what Keras then finds among the user's own."""
  name = node.get('registered_name') or node['class_name']
  if node['class_name'] == 'function':
    name = node['config']
  return isinstance(name, str) and name in own


@functools.cache
def class_kinds() -> dict[str, str]:
  """Returns what each class of Keras does: `graph_trust.COMPUTES` or `ACTS`."""
  text = pathlib.Path(__file__).with_name('classes.tsv').read_text('utf-8')
  rows = csv.DictReader(text.splitlines(), delimiter='\t')
  return {row['class']: row['does'] for row in rows}


def _is_unknown(module: Any, name: str) -> bool:
  """Whether a name of a module of Keras is a class that nobody has classed.

  Those of functions, which begin with a small letter, stand for nothing else.
  """
  return (
    module not in (None, 'builtins')
    and name[:1].isupper()
    and name not in class_kinds()
  )


def _is_keras(module: Any) -> bool:
  return isinstance(module, str) and (
    module in ('builtins', 'keras')
    or any(module == known or module.startswith(known + '.') for known in _MODULES)
  )
