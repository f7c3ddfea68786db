"""From what a model returns to 1000 values in the order of the sorted wnids.

Several heads, 1001 outputs and other class orders are the usual reasons why these
are not the same.
"""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfeval.datasets.labels import imagenet
from tfeval.models.model import wrong_outputs
from tfeval.utils import errors, files, paths
from tfeval.utils.errors import UserError

BACKGROUND = ('background_first', 'background_last')
CLASS_MAPS = (*BACKGROUND, 'ilsvrc_id', 'name')


def class_indices(class_map: str) -> tuple[np.ndarray, int]:
  """Returns where a model's outputs stand.

  Args:
    class_map: `background_first` (1001 outputs, as TF-Slim's), `background_last`,
      `ilsvrc_id` (in the order of the development kit's ids), `name` (in the order
      of the readable names, those of two classes each by their wnids), or the path
      of a text file with a wnid for each output, a line each; lines that are no
      wnid of the 1000 classes are outputs that are left out.

  Returns:
    int64 [1000], the index of each class's output, and how many outputs there are.

  Raises:
    UserError: no such map or file, or the file does not have every class once.
  """
  count = imagenet.NUM_CLASSES
  if class_map == 'background_first':
    return np.arange(count) + 1, count + 1
  if class_map == 'background_last':
    return np.arange(count), count + 1
  if class_map in ('ilsvrc_id', 'name'):
    return np.argsort(imagenet.other_class_orders()[class_map]), count
  path = paths.path(class_map)
  if not path.is_file():
    raise errors.unknown(
      'class map',
      class_map,
      CLASS_MAPS,
      'or the path of a file with a wnid for each output',
    )
  return _from_file(path)


def identity(class_map: str | None) -> str | None:
  """Returns what tells two class maps apart: the name, or the hash of a file."""
  if class_map is None or class_map in CLASS_MAPS:
    return class_map
  return f'sha256:{files.sha256_of(paths.path(class_map))}'


def _from_file(path: paths.Path) -> tuple[np.ndarray, int]:
  try:
    lines = [line.strip() for line in path.read_text('utf-8').splitlines()]
  except (OSError, UnicodeDecodeError) as error:
    raise UserError(
      f'cannot read class map {path}: {errors.one_line(error)}'
    ) from error
  wnids = imagenet.classes().wnids
  place = {line: i for i, line in enumerate(lines)}
  missing = [wnid for wnid in wnids if wnid not in place]
  double = [wnid for wnid in wnids if lines.count(wnid) > 1] if not missing else []
  if missing or double:
    what, names = ('lacks', missing) if missing else ('has twice', double)
    raise UserError(
      f'class map {path} {what} {len(names)} of the 1000 wnids, such as '
      f'{names[0]}: expected a wnid for each output, a line each'
    )
  return np.asarray([place[wnid] for wnid in wnids]), len(lines)


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


def outputs_of(model: Any) -> dict[str, Any]:
  """Returns the outputs that a model tells before it runs, by name.

  Args:
    model: a `keras.Model`, or the function of a SavedModel.

  Returns:
    Symbolic tensors, or specifications; empty for a subclass of `keras.Model` and for
    a model that has not seen its first image.
  """
  if not isinstance(model, keras.Model):
    return dict(model.structured_outputs)
  model = getattr(model, '_functional', None) or model  # A Sequential has no names.
  outputs = getattr(model, 'outputs', None) or []
  # The keys of what it returns, where `output_names` are those of its layers.
  structure = getattr(model, '_outputs_struct', None)
  if isinstance(structure, Mapping) and len(structure) == len(outputs):
    return dict(structure)
  return dict(zip(model.output_names, outputs, strict=True)) if outputs else {}


def chosen(model: Any, name: str, output_name: str | None) -> Any:
  """Returns the output that is the classifier's, None if the model tells nothing.

  Raises:
    UserError: as `select`, before an image is seen.
  """
  outputs = outputs_of(model)
  return select(lambda x: x, name, output_name)(outputs) if outputs else None


def check_shape(shape: tf.TensorShape, name: str, class_map: str | None) -> None:
  """Holds that an output is one value for each class.

  Args:
    shape: of the output, as far as it is known.
    name: the model's, for errors.
    class_map: see `class_indices`.

  Raises:
    UserError: it has another number of values.
  """
  count = imagenet.NUM_CLASSES if class_map is None else class_indices(class_map)[1]
  if tf.TensorShape(shape).is_compatible_with((None, count)):
    return
  if class_map is None and shape[1:] == (count + 1,):
    return  # Preflight tells which of them is the background class.
  if class_map is None:
    raise wrong_outputs(name, shape)
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
    function: returns [batch, n].
    name: the model's, for errors.
    class_map: see `class_indices`.
    are_probabilities: those of the 1000 classes are then made to sum to 1 again,
      which is what leaving an output out before a softmax gives.

  Raises:
    UserError: as `class_indices`; when called: the number of outputs is not `n`.
  """
  indices, count = class_indices(class_map)

  def reordered(x):
    outputs = function(x)
    check_shape(outputs.shape, name, class_map)
    chosen = tf.gather(outputs, indices, axis=-1)
    if are_probabilities and count != imagenet.NUM_CLASSES:
      chosen /= tf.reduce_sum(chosen, axis=-1, keepdims=True)
    return chosen

  return reordered
