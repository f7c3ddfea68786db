"""Which object of a `tf.train.Checkpoint` is a model: it is called as one likes.

tf.train.Checkpoint(model=model), tf.train.Checkpoint(model)
tf.train.Checkpoint(step=step, optimizer=optimizer, net=net)
tf.train.Checkpoint(training=tf.train.Checkpoint(student=student))
"""

import collections
import pathlib
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf
from tensorflow.core.protobuf import trackable_object_graph_pb2

from tfeval.models.keras import tensor_bundle
from tfeval.utils.errors import Lasting, listed

_USUAL, _ROOT = 'model', ''
_DEEPEST = 3


def restore(model: keras.Model, prefix: pathlib.Path, chosen: str | None) -> None:
  """Reads the values of a model from a checkpoint that is whole.

  Args:
    model: built.
    prefix: of the checkpoint.
    chosen: what the model is called in it, parts joined by dots, None to look: it is
      `model`, or the root, or the only one that has all of the model's values.

  Raises:
    Lasting: none is the model, several could be, or there is none of that name.
    Exception: TensorFlow's, of a file that is damaged.
  """
  reader = tensor_bundle.reader(prefix)
  nodes = trackable_object_graph_pb2.TrackableObjectGraph.FromString(
    reader.get_tensor('_CHECKPOINTABLE_OBJECT_GRAPH')
  ).nodes
  there = list(_objects(nodes, len(model.weights)))
  if chosen is not None:
    if chosen not in there:
      raise Lasting(
        f'checkpoint {prefix} has no object {chosen!r} as large as the model: '
        + _listed(there)
      )
    why = _read(model, prefix, chosen)
    if why is not None:
      raise Lasting(f'checkpoint {prefix}: its {chosen} is of another model: {why}')
    return
  faults = []
  for name in (_USUAL, _ROOT):
    if name in there or name == _ROOT:
      why = _read(model, prefix, name)
      if why is None:
        return
      faults.append(why)
  found: list[str] = []
  for name in there:
    if name == _USUAL or any(name.startswith(f'{one}.') for one in found):
      continue
    why = _read(model, prefix, name)
    if why is None:
      found.append(name)
    else:
      faults.insert(0, why)
  if not found:
    raise Lasting(
      f'checkpoint {prefix} is of another model: {faults[0]}: ' + _listed(there)
    )
  if len(found) > 1:
    raise Lasting(
      f'checkpoint {prefix}: the model could be any of {listed(found)}: give '
      f'`checkpoint_object={found[0]}` or another of them'
    )
  _read(model, prefix, found[0])  # The last one that was tried may be another one.


def _listed(names: list[str]) -> str:
  return f'it holds {listed(names)}' if names else 'it holds nothing as large'


def _objects(nodes: Any, least: int) -> Iterator[str]:
  """Yields names of objects that hold so many values, those of the root first."""
  waiting, seen = collections.deque([(0, ())]), {0}
  while waiting:
    node, path = waiting.popleft()
    if path:
      yield '.'.join(path)
    for child in nodes[node].children if len(path) < _DEEPEST else ():
      name, number = child.local_name, child.node_id
      if name.startswith('_') or '.' in name or number in seen:
        continue  # Of Keras, or another name of the same.
      seen.add(number)
      if _values(nodes, number) >= least:
        waiting.append((number, (*path, name)))


def _values(nodes: Any, start: int) -> int:
  """Returns how many values an object holds, those of its parts with them."""
  waiting, seen, count = [start], {start}, 0
  while waiting:
    node = nodes[waiting.pop()]
    count += bool(node.attributes)
    for child in node.children:
      if child.node_id not in seen:
        seen.add(child.node_id)
        waiting.append(child.node_id)
  return count


def _read(model: keras.Model, prefix: pathlib.Path, name: str) -> str | None:
  """Reads an object's values into a model; returns why it is another one, or None."""
  root: Any = model
  for part in reversed(name.split('.') if name else ()):
    root = tf.train.Checkpoint(**{part: root})
  if root is model:
    root = tf.train.Checkpoint(model)
  try:
    # The optimizer's are not looked for.
    root.read(str(prefix)).expect_partial().assert_existing_objects_matched()
  except (AssertionError, ValueError, tf.errors.InvalidArgumentError) as error:
    return ' '.join(str(error).split())[:200]
  return None
