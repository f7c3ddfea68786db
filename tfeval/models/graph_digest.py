"""What a traced function of TensorFlow does, as a digest, and whether that changes.

A function is its operations: what each computes, with which attributes and constants,
of which others. Names of nodes and functions, which count up in a process, are no part
of it, nor what nothing depends on. Of tensors and variables that it takes from outside
the values count. Where it calls Python, so does that code, and what comes out.
"""

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import attr_value_pb2, node_def_pb2
from tensorflow.python.ops import script_ops

from tfeval.utils.code_digest import code_sha256, joined

# Attributes that are of this process or its devices, and of no effect on values.
_PASSED_OVER = frozenset(
  ('config', 'config_proto', 'executor_type', 'container', 'shared_name', 'token')
)
_OF_PYTHON = frozenset(('EagerPyFunc', 'PyFunc', 'PyFuncStateless'))
# What these return is in no graph.
_OPAQUE = _OF_PYTHON | {'LookupTableFindV2', 'ReadFile'}
# Drawing numbers, or writing what is read the next time. `StatelessRandomUniform` does
# neither.
_WRITING = ('Assign', 'ResourceApply', 'ResourceScatter', 'ResourceSparse', 'Rng')
_CHANGING = (
  *_WRITING,
  'Multinomial',
  'ParameterizedTruncatedNormal',
  'Random',
  'StatefulRandom',
  'StatefulStandardNormal',
  'StatefulTruncated',
  'StatefulUniform',
  'TruncatedNormal',
)
_IMAGES, _SUMS, _DIGITS = 2, 8, 4


@dataclasses.dataclass(frozen=True)
class GraphDigest:
  """What there is to know of a function.

  Attributes:
    sha256: of what it does; None where nothing was looked at.
    changing: operations by which it does something else each time, or may: they draw
      numbers, write what they read, or call Python code that cannot be told. Sorted.
  """

  sha256: str | None
  changing: tuple[str, ...]


def graph_digest(function: Any) -> GraphDigest:
  """Returns what a traced function of images does.

  Args:
    function: what `tf.function(...).get_concrete_function(images)` returns, of one
      argument, float32 [n, side, side, 3].
  """
  graph = function.graph.as_graph_def()
  inputs = [one.op.name for one in function.graph.inputs]
  outside = {inside.op.name: value for value, inside in function.graph.captures}
  found = _Graphs(graph)
  of_inputs = {name: joined('argument', at) for at, name in enumerate(inputs)}
  # Of what it writes itself, the values of this moment are no part of it.
  writes = any(one.startswith(_WRITING) for one in found.operations)
  variables = {id(one.handle): one for one in function.graph.variables}
  for name, value in outside.items():
    of_inputs[name] = _value(value, variables, writes)
  outputs = [one.name for one in function.graph.outputs]
  sha256 = found.digest(graph.node, of_inputs, outputs)
  changing = {one for one in found.operations if one.startswith(_CHANGING)}
  changing |= found.unknown
  if found.operations & _OPAQUE and not changing:
    sums = [_sums(function) for _ in range(2)]
    if sums[0] != sums[1]:
      changing |= found.operations & _OPAQUE
    sha256 = joined(sha256, *sums[0])
  return GraphDigest(sha256.hex(), tuple(sorted(changing)))


class _Graphs:
  """The operations of a graph and of the functions that it calls.

  Attributes:
    operations: which there are.
    unknown: those that call Python code which cannot be told.
  """

  def __init__(self, graph: tf.compat.v1.GraphDef):
    self._functions = {one.signature.name: one for one in graph.library.function}
    self._found: dict[str, bytes] = {}
    self.unknown: set[str] = set()
    self.operations = {node.op for node in graph.node}
    for function in graph.library.function:
      self.operations |= {node.op for node in function.node_def}

  def digest(
    self,
    nodes: Iterable[node_def_pb2.NodeDef],
    inputs: Mapping[str, bytes],
    outputs: Sequence[str],
  ) -> bytes:
    """Returns the digest of what outputs are computed by, 32 bytes.

    Args:
      nodes: of a graph, or of a function.
      inputs: digests of what is given to it, by name.
      outputs: as nodes name what they take: `name`, `name:1`, `name:output:1`.
    """
    there, found = {node.name: node for node in nodes}, dict(inputs)
    waiting = [_node(one) for one in reversed(outputs)]
    while waiting:
      name = waiting[-1]
      if name in found:
        waiting.pop()
        continue
      node = there[name]
      if node.op == 'NextIteration':  # Goes round, in graphs of TensorFlow 1.
        self.unknown.add(node.op)
        found[name] = joined(node.op)
        continue
      needed = [one for one in map(_node, node.input) if one not in found]
      waiting += reversed(needed)
      if not needed:
        found[name] = self._operation(node, found)
    return joined(*(_reference(one, found) for one in outputs))

  def _operation(self, node: node_def_pb2.NodeDef, found: Mapping[str, bytes]) -> bytes:
    taken = [_reference(one, found) for one in node.input if not one.startswith('^')]
    after = [_reference(one, found) for one in node.input if one.startswith('^')]
    attributes = [
      joined(key, self._attribute(value))
      for key, value in sorted(node.attr.items())
      if key not in _PASSED_OVER and not key.startswith('_')
    ]
    if node.op in _OF_PYTHON:
      attributes.append(self._python(node))
    return joined(node.op, *attributes, *taken, 'after', *sorted(after))

  def _attribute(self, value: attr_value_pb2.AttrValue) -> bytes:
    called = [value.func] if value.HasField('func') else value.list.func
    if called:
      return joined(*(self._function(one.name) for one in called))
    return value.SerializeToString(deterministic=True)

  def _function(self, name: str) -> bytes:
    if name not in self._found:
      function = self._functions[name]
      arguments = [one.name for one in function.signature.input_arg]
      inputs = {one: joined('argument', at) for at, one in enumerate(arguments)}
      returned = [function.ret[one.name] for one in function.signature.output_arg]
      self._found[name] = self.digest(
        function.node_def, inputs, [*returned, *sorted(function.control_ret.values())]
      )
    return self._found[name]

  def _python(self, node: node_def_pb2.NodeDef) -> bytes:
    """Returns the digest of the Python code that a node calls."""
    function = script_ops._py_funcs._funcs.get(node.attr['token'].s.decode())
    function = getattr(function, '_func', function)
    sha256 = code_sha256(function)
    if sha256 is None or function is None:
      self.unknown.add(node.op)
      return b''
    return bytes.fromhex(sha256)


def _node(reference: str) -> str:
  return reference.removeprefix('^').partition(':')[0]


def _reference(reference: str, found: Mapping[str, bytes]) -> bytes:
  """Returns the digest of an output of a node; `name` is `name:0`."""
  which = reference.partition(':')[2]
  return joined(found[_node(reference)], '' if which == '0' else which)


def _value(value: Any, variables: Mapping[int, Any], writes: bool) -> bytes:
  """Returns the digest of what a function takes from outside."""
  if value.dtype == tf.resource:
    variable = variables.get(id(value))
    if variable is None:  # Of a table, such as of words.
      return joined('resource')
    if writes:
      return joined('variable', variable.dtype.name, variable.shape)
    value = variable
  array = np.asarray(value.numpy())
  if array.dtype.hasobject:
    return joined('value', repr(array.tolist()))
  content = hashlib.sha256(np.ascontiguousarray(array).data).digest()
  return joined('value', array.dtype.str, array.shape, content)


def _sums(function: Any) -> list[str]:
  """Returns sums of what a function makes of two images, to a few digits.

  Processors differ in the last ones.
  """
  side = function.inputs[0].shape[1]
  pixels = np.random.RandomState(0).randint(0, 256, (_IMAGES, side, side, 3))
  made = np.asarray(function(tf.constant(pixels, tf.float32)), np.float64)
  random, values = np.random.RandomState(1), np.abs(made).ravel()
  sums = [random.uniform(1, 2, values.size) @ values for _ in range(_SUMS)]
  return [f'{one:.{_DIGITS}g}' for one in sums]
