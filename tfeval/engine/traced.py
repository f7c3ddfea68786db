"""Protocols as functions in a graph, traced once: in a process, and for the next one.

Tracing takes as long as decoding a thousand images. A traced function is kept with
the user (`start_cache`), under a key of everything that it is made of, and imported.
"""

import functools
import hashlib
import json
import pathlib
from collections.abc import Callable
from typing import Any

import tensorflow as tf
from google.protobuf import message

from tfeval import preprocess
from tfeval.preprocess import apply, device_canvas, limits
from tfeval.preprocess.protocol import LIBRARIES, Protocol
from tfeval.utils import files, start_cache

# Of the user's cache.
_DIRECTORY = 'graphs'
# Operations that `tf.debugging` adds to each graph of a process.
_OF_DEBUGGING = frozenset(
  {
    'CheckNumerics',
    'CheckNumericsV2',
    'DebugIdentityV2',
    'DebugNumericSummaryV2',
    'EagerPyFunc',
    'PyFunc',
  }
)
_INPUT = tf.TensorSpec([], tf.string, 'image')


@functools.cache
def pixels(protocol: Protocol, jit_compile: bool) -> Callable[[tf.Tensor], tf.Tensor]:
  """Returns `apply.apply` for a protocol, as a function of an encoded image."""
  own = LIBRARIES[protocol.library].__module__.startswith(preprocess.__name__)
  return _function(
    lambda image: apply.apply(protocol, image, jit_compile),
    # Nothing is known of the code of others.
    f'{protocol!r} {jit_compile}' if own else None,
  )


@functools.cache
def several(
  protocols: tuple[Protocol, ...], jit_compile: bool
) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
  """Returns `apply.apply_all` for protocols by number, as a function of an image."""
  return _function(
    lambda image: {
      str(i): one
      for i, one in enumerate(apply.apply_all(protocols, image, jit_compile))
    },
    f'{protocols!r} {jit_compile}',
  )


@functools.cache
def canvas(
  protocol: Protocol, side: int, jit_compile: bool
) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
  """Returns `device_canvas.decode` for a protocol, as a function of an image."""
  return _function(
    lambda image: device_canvas.decode(protocol, image, side, jit_compile),
    f'{protocol!r} {side} {jit_compile}',
  )


def _function(make: Callable[[tf.Tensor], Any], what: str | None) -> Callable:
  """Returns what is made of an encoded image, within what one image may cost.

  Args:
    make: makes it.
    what: tells it from all else that the same code makes; None not to keep it.
  """
  if what is None:
    return _traced(make)
  key = hashlib.sha256(f'{what} {_code_sha256()}'.encode()).hexdigest()
  kept = start_cache.read(_DIRECTORY, key)
  if kept is not None and (imported := _imported(kept)) is not None:
    return imported
  function = _traced(make)
  graph = function.graph.as_graph_def()
  # What the process asked to be told of its operations is none of the next one's.
  if not _OF_DEBUGGING.intersection(_operations(graph)):
    start_cache.write(_DIRECTORY, key, _exported(function, graph, key))
  return function


def _traced(make: Callable[[tf.Tensor], Any]) -> Any:
  # No Python control flow depends on a tensor, and AutoGraph doubles the seconds
  # that tracing takes.
  return tf.function(
    lambda image: limits.with_limits(image, make), autograph=False
  ).get_concrete_function(_INPUT)


@functools.cache
def _code_sha256() -> str:
  """Returns the digest of what traces and of what is traced."""
  package = pathlib.Path(preprocess.__file__).parent
  return files.digest_of_pairs(
    [
      ('tensorflow', tf.version.VERSION),
      ('compiler', tf.version.COMPILER_VERSION),
      *(
        (path.name, files.sha256_of(path))
        for path in [*sorted(package.glob('*.py')), pathlib.Path(__file__)]
      ),
    ]
  )


def _exported(function: Any, graph: Any, key: str) -> bytes:
  """Returns a traced function for `_imported`: a line of JSON and a GraphDef."""
  _rename_functions(graph, key[:16])
  outputs = function.structured_outputs
  named = {
    'input': function.inputs[0].name,
    'outputs': {name: value.name for name, value in outputs.items()}
    if isinstance(outputs, dict)
    else outputs.name,
  }
  return json.dumps(named).encode() + b'\n' + graph.SerializeToString()


def _operations(graph: Any) -> set[str]:
  bodies = [graph.node, *(function.node_def for function in graph.library.function)]
  return {node.op for body in bodies for node in body}


def _rename_functions(graph: Any, prefix: str) -> None:
  """Gives the functions of a graph names that no other graph has."""
  names = {
    function.signature.name: f'{prefix}_{function.signature.name}'
    for function in graph.library.function
  }
  for function in graph.library.function:
    function.signature.name = names[function.signature.name]
  bodies = [graph.node, *(function.node_def for function in graph.library.function)]
  for node in (node for body in bodies for node in body):
    node.op = names.get(node.op, node.op)
    for value in node.attr.values():
      called = [value.func] if value.HasField('func') else value.list.func
      for one in called:
        one.name = names[one.name]


def _imported(kept: bytes) -> Callable | None:
  """Returns the function that was kept, None if it is none."""
  # Nothing public tells the eager context of a function without building it anew,
  # which takes half as long as tracing.
  from tensorflow.python.eager import context

  head, _, content = kept.partition(b'\n')
  try:
    named = json.loads(head)
    graph = tf.compat.v1.GraphDef.FromString(content)
    _ = named['input'], named['outputs']
  except (ValueError, TypeError, KeyError, message.DecodeError):
    return None
  for function in graph.library.function:
    context.context().add_function_def(function)

  def call(image):
    flat = tf.graph_util.import_graph_def(
      graph,
      {named['input']: image},
      tf.nest.flatten(named['outputs']),
      name='',
    )
    return tf.nest.pack_sequence_as(named['outputs'], flat)

  return tf.function(call, autograph=False).get_concrete_function(_INPUT)
