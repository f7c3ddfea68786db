"""From what a model returns to 1000 values in the order of the sorted wnids.

Several heads, 1001 outputs and other class orders are the usual reasons why these
are not the same.
"""

import collections
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfeval.datasets.labels import imagenet
from tfeval.datasets.labels.spaces import LabelMap, LabelSpace
from tfeval.models.backend import Backend
from tfeval.models.model import wrong_outputs
from tfeval.utils import budgets, errors, files, paths, untrusted
from tfeval.utils.errors import UserError

BACKGROUND = ('background_first', 'background_last')
CLASS_MAPS = (*BACKGROUND, 'ilsvrc_id', 'name')


def label_map(class_map: str) -> LabelMap:
  """Returns which of a model's outputs mean each of the classes.

  Args:
    class_map: `background_first` (1001 outputs, as TF-Slim's), `background_last`,
      `ilsvrc_id` (in the order of the development kit's ids), `name` (in the order
      of the readable names, those of two classes each by their wnids), or the path
      of a text file with a wnid for each output, a line each; lines that are no
      wnid of the 1000 classes are outputs that are left out.

  Raises:
    UserError: no such map or file, or the file does not have every class once.
  """
  space = imagenet.label_space()
  if class_map == 'background_first':
    return _one_each(len(space) + 1, space, range(1, len(space) + 1))
  if class_map == 'background_last':
    return _one_each(len(space) + 1, space, range(len(space)))
  if class_map in ('ilsvrc_id', 'name'):
    order = imagenet.other_class_orders()[class_map]
    return _one_each(len(space), space, np.argsort(order).tolist())
  path = paths.path(class_map)
  if not path.is_file():
    raise errors.unknown(
      'class map',
      class_map,
      CLASS_MAPS,
      'or the path of a file with a wnid for each output',
    )
  return _from_file(path, space)


def _one_each(outputs: int, space: LabelSpace, indices: Iterable[int]) -> LabelMap:
  return LabelMap(outputs, space, tuple((index,) for index in indices))


def identity(class_map: str | None) -> str | None:
  """Returns what tells two class maps apart: the name, or the hash of a file."""
  if class_map is None or class_map in CLASS_MAPS:
    return class_map
  return f'sha256:{files.sha256_of(paths.path(class_map))}'


def _from_file(path: paths.Path, space: LabelSpace) -> LabelMap:
  try:
    content = untrusted.read_bytes(path, budgets.CLASS_MAP)
    lines = [line.strip() for line in content.decode().splitlines()]
  except (OSError, UnicodeDecodeError) as error:
    raise UserError(
      f'cannot read class map {path}: {errors.one_line(error)}'
    ) from error
  wnids = space.class_ids
  place = {line: i for i, line in enumerate(lines)}
  missing = [wnid for wnid in wnids if wnid not in place]
  times = collections.Counter(lines)
  double = [wnid for wnid in wnids if times[wnid] > 1]
  if missing or double:
    what, names = ('lacks', missing) if missing else ('has twice', double)
    raise UserError(
      f'class map {path} {what} {len(names)} of the 1000 wnids, such as '
      f'{names[0]}: expected a wnid for each output, a line each'
    )
  return _one_each(len(lines), space, (place[wnid] for wnid in wnids))


def select(
  function: Callable[[tf.Tensor], Any],
  name: str,
  output_name: str | None,
  output_names: tuple[str, ...] = (),
) -> Callable[[tf.Tensor], tf.Tensor]:
  """Returns a function that returns one of a model's outputs.

  Args:
    function: returns a tensor, several in a list, or several by name.
    name: the model's, for errors.
    output_name: which output, None where there is only one.
    output_names: of the outputs, where `function` returns a list.

  Raises:
    UserError: when called: there is no such output, or several and none is named.
  """

  def one(x):
    outputs = function(x)
    if isinstance(outputs, (list, tuple)):
      names = (
        output_names
        if len(output_names) == len(outputs)
        else tuple(str(i) for i in range(len(outputs)))
      )
      outputs = dict(zip(names, outputs, strict=True))
    if not isinstance(outputs, Mapping):
      if output_name is None:
        return outputs
      outputs = {key: outputs for key in output_names}
    if output_name is None and len(outputs) == 1:
      return next(iter(outputs.values()))
    if output_name is None:
      raise UserError(
        f'{name} has the outputs {", ".join(map(str, outputs))}: give `output_name`'
      )
    if output_name not in outputs:
      raise errors.unknown(f'output of {name}', output_name, map(str, outputs))
    return outputs[output_name]

  return one


def chosen(backend: Backend, name: str, output_name: str | None) -> Any:
  """Returns the output that is the classifier's, None if a model tells nothing.

  Raises:
    UserError: as `select`, before an image is seen.
  """
  outputs = backend.outputs()
  return select(lambda x: x, name, output_name)(outputs) if outputs else None


def check_shape(shape: tf.TensorShape, name: str, class_map: str | None) -> None:
  """Checks that an output is one value for each class.

  Args:
    shape: of the output, as far as it is known.
    name: the model's, for errors.
    class_map: see `label_map`.

  Raises:
    UserError: it has another number of values.
  """
  space = imagenet.label_space()
  count = len(space) if class_map is None else label_map(class_map).outputs
  if tf.TensorShape(shape).is_compatible_with((None, count)):
    return
  if class_map is None and shape[1:] == (count + 1,):
    return  # Preflight tells which of them is the background class.
  if class_map is None:
    raise wrong_outputs(name, shape, space)
  raise UserError(
    f'{name} returns {shape[-1]} outputs, `class_map={class_map}` is for {count}'
  )


def mapped(
  function: Callable[[tf.Tensor], tf.Tensor],
  name: str,
  class_map: str,
  are_probabilities: bool,
) -> Callable[[tf.Tensor], tf.Tensor]:
  """Returns a function whose outputs stand in the order of the sorted wnids.

  Args:
    function: returns [batch, outputs].
    name: the model's, for errors.
    class_map: see `label_map`.
    are_probabilities: those of the classes are then made to sum to 1 again,
      which is what leaving an output out before a softmax gives.

  Raises:
    UserError: as `label_map`; when called: the number of outputs is another.
  """
  classes = label_map(class_map)

  def reordered(x):
    outputs = function(x)
    check_shape(outputs.shape, name, class_map)
    chosen = tf.gather(outputs, classes.indices, axis=-1)
    if are_probabilities and classes.outputs != len(classes.classes):
      chosen /= tf.reduce_sum(chosen, axis=-1, keepdims=True)
    return chosen

  return reordered
