"""Finds what would run code in a model file before the file is loaded.

A model file comes from a stranger. Layers of Keras itself only compute; a
Lambda layer or a custom object is code of the file's author, and TensorFlow
graphs can read and write files or call Python. Loading those needs
`--trust_model`.
"""

import json
import pathlib
import re
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

import h5py

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
_MAX_CONFIG_BYTES = 64 << 20
# Stateful graph operations that touch nothing but the model's own variables.
_HARMLESS_STATEFUL = frozenset(
  {
    'VarHandleOp',
    'ReadVariableOp',
    'AssignVariableOp',
    'VarIsInitializedOp',
    'DestroyResourceOp',
    'DisableCopyOnRead',
    'StatefulPartitionedCall',
    'PartitionedCall',
    'Placeholder',
    'Assert',
    'If',
    'While',
    'StatelessIf',
    'StatelessWhile',
    'RandomUniform',
    'RandomStandardNormal',
    'HashTableV2',
    'LookupTableFindV2',
  }
)
# Every SavedModel saves and restores itself with these. They read and write files,
# so nothing that loading or predicting runs may use them.
_CHECKPOINT = frozenset({'SaveV2', 'RestoreV2', 'MergeV2Checkpoints'})
# Not marked stateful, but they reach outside all the same.
_REACHES_OUT = re.compile(
  'ReadFile|MatchingFiles|PyFuncStateless|Debug.*|.*Dataset.*|'
  'InitializeTableFromTextFile|GenerateVocabRemapping'
)


def check_keras_file(path: pathlib.Path) -> None:
  """Refuses a `.keras` or whole-model `.h5` file that would run code.

  Raises:
    UserError: names the first such object, or says why the file is unreadable.
  """
  # By the name, as Keras does: a file can be both.
  is_h5 = path.suffix in ('.h5', '.hdf5')
  config = _h5_config(path) if is_h5 else _zip_config(path)
  for name in _suspicious(config):
    raise _refusal(path, f'contains {name}')


def check_saved_model(path: pathlib.Path) -> None:
  """Refuses a SavedModel whose graphs do more than compute.

  Raises:
    UserError: names the first such operation, or says the file is unreadable.
  """
  from google.protobuf.message import DecodeError
  from tensorflow.core.protobuf import saved_model_pb2

  proto = saved_model_pb2.SavedModel()
  try:
    proto.ParseFromString((path / 'saved_model.pb').read_bytes())
  except (OSError, DecodeError) as error:
    raise UserError(f'{path} is not a readable SavedModel: export it again') from error
  # The condition on which TensorFlow runs its functions and not its whole graph.
  if len(proto.meta_graphs) != 1 or not proto.meta_graphs[0].HasField(
    'object_graph_def'
  ):
    raise _refusal(path, 'is in the format of TensorFlow 1')
  (meta_graph,) = proto.meta_graphs
  functions = {
    f.signature.name: f.node_def for f in meta_graph.graph_def.library.function
  }
  run = _functions_that_run(meta_graph.object_graph_def, functions)
  for name, nodes in [(None, meta_graph.graph_def.node), *functions.items()]:
    for node in nodes:
      what = _reaches_out(node.op, functions, name in run)
      if what:
        raise _refusal(path, f'uses the {what} {node.op}')


def _functions_that_run(object_graph, functions: dict[str, Any]) -> set[str]:
  """Returns the functions that loading and predicting run, and what these call."""
  pending = list(object_graph.concrete_functions)
  for saved in object_graph.nodes:
    pending += saved.function.concrete_functions
    pending.append(saved.bare_concrete_function.concrete_function_name)
  found: set[str] = set()
  while pending:
    name = pending.pop()
    if name in functions and name not in found:
      found.add(name)
      for node in functions[name]:
        pending.append(node.op)
        for value in node.attr.values():
          pending += [value.func.name, *(f.name for f in value.list.func)]
  return found


def _reaches_out(operation: str, functions: dict[str, Any], runs: bool) -> str | None:
  """Says what kind of operation it is, if it does more than compute."""
  from tensorflow.python.framework import op_def_registry

  if operation in _HARMLESS_STATEFUL:
    return None
  if operation in _CHECKPOINT:
    return 'operation' if runs else None
  definition = op_def_registry.get(operation)
  if definition is None:
    return None if operation in functions else 'unknown operation'
  if definition.is_stateful or _REACHES_OUT.fullmatch(operation):
    return 'operation'
  return None


def _refusal(path: pathlib.Path, what: str) -> UserError:
  return UserError(
    f'{path} {what}, which can run code of its author: give '
    '`trust_model` if you trust whoever made the file'
  )


def _zip_config(path: pathlib.Path) -> Any:
  try:
    with zipfile.ZipFile(path) as archive:
      info = archive.getinfo('config.json')
      # No more than it declares is ever read.
      size = info.file_size
      if size <= _MAX_CONFIG_BYTES:
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
    f'{path}: its config.json has {size} bytes, expected at most {_MAX_CONFIG_BYTES}'
  )


def _h5_config(path: pathlib.Path) -> Any:
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
