"""Finds what does more than compute in a SavedModel before TensorFlow reads it.

A graph is a program. `operations.tsv` says of every operation of TensorFlow's registry
what it does: it `computes` with what it is given and the model's own variables and
tables, saves or restores a `checkpoint`, or `acts`: reads, writes, calls, sends,
prints, waits, ends the process, or changes what others see. Only what is known to
compute is loaded without trust, and nothing that a later TensorFlow brings.
"""

import csv
import functools
import math
import os
import pathlib
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tfeval.utils import budgets, untrusted
from tfeval.utils.errors import UserError

COMPUTES, CHECKPOINT, ACTS = 'computes', 'checkpoint', 'acts'
# Of functions: what TensorFlow notes of them. Others have it swap a function for
# another (`api_implements`), or compile or run it elsewhere.
_FUNCTION_ATTRIBUTES = frozenset(
  {
    # XLA, on the same device: Keras exports depthwise convolutions so.
    '_XlaMustCompile',
    '_construction_context',
    '_disable_acd',
    '_input_shapes',
    '_noinline',
    '_output_shapes',
    # Of training: which functions belong together.
    'backward_function_name',
    'forward_function_name',
  }
)
# Of nodes, beside those that the operation itself defines.
_NODE_ATTRIBUTES = frozenset(
  {
    '_XlaMustCompile',
    '_class',
    '_cloned',
    '_collective_manager_ids',
    # The gradient, which nobody asks for.
    '_gradient_op_type',
    '_has_manual_control_dependencies',
    '_input_shapes',
    '_lower_using_switch_merge',
    '_num_original_outputs',
    '_output_shapes',
    '_read_only_resource_inputs',
    '_stateful_parallelism',
  }
)
# What a call may say of how it is run, of `tensorflow.ConfigProto`.
_CALL_CONFIG = frozenset(
  {
    'allow_soft_placement',
    'device_count',
    'gpu_options',
    'graph_options',
    'inter_op_parallelism_threads',
    'intra_op_parallelism_threads',
    'pluggable_device_options',
  }
)
_OWN_DEVICE = re.compile(
  r'(/job:localhost)?(/replica:0)?(/task:0)?(/device:(CPU|GPU|TPU):[\d*]+)?',
  re.IGNORECASE,
)


@functools.cache
def operation_classes() -> dict[str, str]:
  """Returns what each known operation does: `COMPUTES`, `CHECKPOINT` or `ACTS`."""
  text = pathlib.Path(__file__).with_name('operations.tsv').read_text('utf-8')
  rows = csv.DictReader(text.splitlines(), delimiter='\t')
  return {row['operation']: row['class'] for row in rows}


def check_saved_model(
  path: pathlib.Path, refusal: Callable[[pathlib.Path, str], UserError]
) -> None:
  """Refuses a SavedModel whose graphs do more than compute.

  Args:
    path: of its folder.
    refusal: makes the error, given what of it cannot be trusted.

  Raises:
    UserError: names the first such thing, or says the file is unreadable.
  """
  check_files(path)
  proto = read_proto(path)
  # The condition on which TensorFlow runs its functions and not its whole graph.
  if len(proto.meta_graphs) != 1 or not proto.meta_graphs[0].HasField(
    'object_graph_def'
  ):
    raise refusal(path, 'is in the format of TensorFlow 1')
  for found in _reaching_out(proto.meta_graphs[0]):
    raise refusal(path, found)
  declared = sum(_constant_bytes(proto.meta_graphs[0].graph_def))
  if declared > proto.ByteSize() + budgets.DECODED:
    raise UserError(
      f'{path}: its constants unpack to {declared:,} bytes, expected at most '
      f'{budgets.DECODED:,} more than the file has'
    )


def check_files(folder: pathlib.Path) -> None:
  """Checks that a folder holds files and folders only, which links may lead to.

  Raises:
    UserError: there is a pipe, a device or what cannot be read.
  """
  try:
    for above, _, names in os.walk(folder):
      for name in names:
        untrusted.check_file(pathlib.Path(above, name))
  except OSError as error:
    raise UserError(f'cannot read {folder}: {error.strerror}') from error


def read_proto(path: pathlib.Path) -> Any:
  """Returns the `SavedModel` message of a folder.

  Raises:
    UserError: it is unreadable.
  """
  from google.protobuf.message import DecodeError
  from tensorflow.core.protobuf import saved_model_pb2

  proto = saved_model_pb2.SavedModel()
  try:
    proto.ParseFromString(
      untrusted.read_bytes(path / 'saved_model.pb', budgets.GRAPH_FILE)
    )
  except (OSError, DecodeError) as error:
    raise UserError(f'{path} is not a readable SavedModel: export it again') from error
  return proto


def _reaching_out(meta_graph: Any) -> Iterator[str]:
  """Yields what in a graph is more than a computation on this host."""
  graph = meta_graph.graph_def
  functions = {f.signature.name: f for f in graph.library.function}
  of_saver = _functions_of_saver(meta_graph, functions)
  for name, nodes in [
    ('', graph.node),
    *((name, function.node_def) for name, function in functions.items()),
  ]:
    yield from _of_nodes(nodes, functions, name in of_saver)
  for function in functions.values():
    for name in function.attr.keys() - _FUNCTION_ATTRIBUTES:
      yield f'has a function with the attribute {name}'
  for saved in meta_graph.object_graph_def.nodes:
    for device in (saved.variable.device, saved.resource.device):
      if not _OWN_DEVICE.fullmatch(device):
        yield f'has a variable on {device}'


def _of_nodes(
  nodes: Iterable[Any], functions: dict[str, Any], saves: bool
) -> Iterator[str]:
  classes = operation_classes()
  for node in nodes:
    kind = classes.get(node.op)
    if kind is None:
      if node.op not in functions:
        yield f'uses the unknown operation {node.op}'
    elif kind == ACTS or (kind == CHECKPOINT and not saves):
      yield f'uses the operation {node.op}'
    if node.device and not _OWN_DEVICE.fullmatch(node.device):
      yield f'runs the operation {node.op} on {node.device}'
    for name, value in node.attr.items():
      if value.WhichOneof('value') == 'placeholder':
        yield f'leaves an attribute of the operation {node.op} open'
      elif name[:1] == '_':
        if name not in _NODE_ATTRIBUTES:
          yield f'uses the operation {node.op} with the attribute {name}'
      elif name == 'executor_type' and value.s:
        yield 'chooses the executor of a function'
      elif name in ('config', 'config_proto') and not _is_plain_config(value.s):
        yield 'configures how a function is run'
      elif value.HasField('func') or value.list.func:
        for function in [value.func, *value.list.func]:
          for attribute in function.attr.keys() - _NODE_ATTRIBUTES:
            yield f'calls a function with the attribute {attribute}'


@functools.cache
def _is_plain_config(content: bytes) -> bool:
  from google.protobuf.message import DecodeError
  from tensorflow.core.protobuf import config_pb2

  try:
    config = config_pb2.ConfigProto.FromString(content)
  except DecodeError:
    return False
  for field, value in config.ListFields():
    # TensorFlow writes this one too where it says nothing.
    empty = field.name == 'experimental' and not value.ByteSize()
    if field.name not in _CALL_CONFIG and not empty:
      return False
  graph = {field.name for field, _ in config.graph_options.ListFields()}
  return (
    graph <= {'rewrite_options'}
    and not config.graph_options.rewrite_options.custom_optimizers
  )


def _functions_of_saver(meta_graph: Any, functions: dict[str, Any]) -> set[str]:
  """Returns the functions that only saving and restoring the model can call."""
  saver, nodes = meta_graph.saver_def, meta_graph.graph_def.node
  own = {saver.save_tensor_name.partition(':')[0], saver.restore_op_name}
  of_saver, others = [], []
  for node in nodes:
    (of_saver if node.name in own else others).extend(_called(node))
  for saved in meta_graph.object_graph_def.nodes:
    others += saved.function.concrete_functions
    others.append(saved.bare_concrete_function.concrete_function_name)
  others += meta_graph.object_graph_def.concrete_functions
  others += [
    gradient.gradient_func for gradient in meta_graph.graph_def.library.gradient
  ]
  return _reachable(of_saver, functions) - _reachable(others, functions)


def _reachable(names: list[str], functions: dict[str, Any]) -> set[str]:
  pending, found = list(names), set()
  while pending:
    name = pending.pop()
    if name in functions and name not in found:
      found.add(name)
      for node in functions[name].node_def:
        pending += _called(node)
  return found


def _called(node: Any) -> Iterator[str]:
  yield node.op
  for value in node.attr.values():
    if value.HasField('func'):
      yield value.func.name
    for function in value.list.func:
      yield function.name


def _constant_bytes(graph: Any) -> Iterator[int]:
  """Yields the size that each constant declares; one value can stand for all."""
  attributes = [
    node.attr
    for nodes in [graph.node, *(f.node_def for f in graph.library.function)]
    for node in nodes
  ]
  # What is loaded is not only of nodes that are called constants.
  for attribute in [*attributes, *(f.attr for f in graph.library.function)]:
    for value in attribute.values():
      if value.HasField('tensor'):
        yield _tensor_bytes(value.tensor)
      elif value.HasField('list'):
        yield from map(_tensor_bytes, value.list.tensor)


def _tensor_bytes(tensor: Any) -> int:
  values = math.prod(max(0, dimension.size) for dimension in tensor.tensor_shape.dim)
  # Each text that lacks is a copy of the last one.
  text = max(map(len, tensor.string_val), default=0)
  return values * (_bytes_of(tensor.dtype) + text)


@functools.cache
def _bytes_of(dtype: int) -> int:
  """Returns the size of a value; of texts and what is unknown that of its object."""
  from tensorflow.python.framework import dtypes

  try:
    return dtypes.as_dtype(dtype).size or 24
  except TypeError:
    return 24
