"""Finds what would run code in a model file before the file is loaded.

A model file comes from a stranger. Layers of Keras itself only compute; a
Lambda layer or a custom object is code of the file's author, and TensorFlow
graphs can read and write files or call Python. Loading those needs
`--trust_model`.
"""

import json
import pathlib
import zipfile
from collections.abc import Iterator
from typing import Any

import h5py

from tfeval.errors import UserError

# Keras classes that run code of the file, or load another file that does.
_RUNS_CODE = frozenset({'Lambda', '__lambda__', 'TFSMLayer', 'TorchModuleWrapper',
                        'JaxLayer', 'FlaxLayer', 'lambda'})
_MODULES = ('keras.layers', 'keras.src.models', 'keras.models', 'keras.initializers',
            'keras.regularizers', 'keras.constraints', 'keras.activations',
            'keras.src.applications', 'keras.src.ops', 'keras.ops', 'keras.optimizers', 'keras.losses',
            'keras.metrics', 'keras.dtype_policies', 'keras.quantizers')
_MAX_CONFIG_BYTES = 64 << 20
# Stateful graph operations that touch nothing but the model's own variables.
_HARMLESS_STATEFUL = frozenset({
    'VarHandleOp', 'ReadVariableOp', 'AssignVariableOp', 'VarIsInitializedOp',
    'DestroyResourceOp', 'DisableCopyOnRead', 'StatefulPartitionedCall', 'PartitionedCall', 'RestoreV2',
    'SaveV2', 'MergeV2Checkpoints', 'Placeholder', 'Assert', 'If', 'While',
    'StatelessIf', 'StatelessWhile', 'RandomUniform', 'RandomStandardNormal',
    'VariableV2', 'Assign', 'HashTableV2', 'LookupTableFindV2',
})
# Not marked stateful, but they reach outside all the same.
_REACHES_OUT = frozenset({'ReadFile', 'PyFuncStateless', 'MatchingFiles'})


def check_keras_file(path: pathlib.Path) -> None:
  """Refuses a `.keras` or whole-model `.h5` file that would run code.

  Raises:
    UserError: names the first such object, or says why the file is unreadable.
  """
  config = _h5_config(path) if h5py.is_hdf5(path) else _zip_config(path)
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
    raise UserError(f'{path} is not a readable SavedModel: export it again'
                    ) from error
  for meta_graph in proto.meta_graphs:
    graph = meta_graph.graph_def
    functions = {f.signature.name for f in graph.library.function}
    nodes = [*graph.node, *(n for f in graph.library.function for n in f.node_def)]
    for node in nodes:
      if node.op in functions or node.op in _HARMLESS_STATEFUL:
        continue
      try:
        definition = _op_def(node.op)
      except KeyError:
        raise _refusal(path, f'uses the unknown operation {node.op}') from None
      if definition.is_stateful or node.op in _REACHES_OUT:
        raise _refusal(path, f'uses the operation {node.op}')


def _op_def(name: str):
  from tensorflow.python.framework import op_def_registry
  definition = op_def_registry.get(name)
  if definition is None:
    raise KeyError(name)
  return definition


def _refusal(path: pathlib.Path, what: str) -> UserError:
  return UserError(f'{path} {what}, which can run code of its author: give '
                   '--trust_model if you trust whoever made the file')


def _zip_config(path: pathlib.Path) -> Any:
  try:
    with zipfile.ZipFile(path) as archive:
      info = archive.getinfo('config.json')
      if info.file_size > _MAX_CONFIG_BYTES:
        raise UserError(f'{path}: its config.json has {info.file_size} bytes, '
                        f'expected at most {_MAX_CONFIG_BYTES}')
      return json.loads(archive.read(info))
  except (OSError, zipfile.BadZipFile, KeyError, ValueError, RecursionError) as error:
    raise UserError(f'{path} is not a whole Keras model file: expected what '
                    'model.save("x.keras") writes') from error


def _h5_config(path: pathlib.Path) -> Any:
  try:
    with h5py.File(path, 'r') as file:
      text = file.attrs['model_config']
    return json.loads(text)
  except (OSError, KeyError, ValueError, RecursionError) as error:
    raise UserError(
        f'{path} holds no model: if it holds weights, give the model it belongs to '
        f'as --model and this file as --weights') from error


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
        elif module is not None and not _is_keras(module):
          yield f'the custom object {module}.{name}'
      stack.extend(node.values())
    elif isinstance(node, list):
      stack.extend(node)


def _is_keras(module: Any) -> bool:
  return isinstance(module, str) and (
      module in ('builtins', 'keras') or any(
          module == known or module.startswith(known + '.') for known in _MODULES))
