"""What a model's outputs mean: named orders, or a file with an id or name for each.

1001 outputs, other class orders and other classes are the usual reasons why they are
not those of the dataset, in its order.
"""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from tfeval.datasets.labels import class_lists, imagenet, orders
from tfeval.datasets.labels.spaces import LabelMap
from tfeval.models.model import wrong_outputs
from tfeval.models.options import CLASS_MAPS, read_class_map
from tfeval.utils import files, paths
from tfeval.utils.errors import UserError


def label_map(class_map: str) -> LabelMap:
  """Returns which of a model's outputs mean each of the classes that a map names.

  Args:
    class_map: `background_first` (1001 outputs, as TF-Slim's), `background_last`,
      `ilsvrc_id` (in the order of the development kit's ids), `name` (in the order
      of the readable names, those of two classes each by their wnids), all of them of
      the ILSVRC2012 classes; or the path of a file with an id or name for each output,
      see `class_lists.read_class_map`.

  Raises:
    UserError: no such map or file, or the file is not as it should be.
  """
  space = imagenet.label_space()
  if class_map == 'background_first':
    return class_lists.one_each(len(space) + 1, space, range(1, len(space) + 1))
  if class_map == 'background_last':
    return class_lists.one_each(len(space) + 1, space, range(len(space)))
  if class_map in ('ilsvrc_id', 'name'):
    order = orders.other_class_orders(space)[class_map]
    return class_lists.one_each(len(space), space, np.argsort(order).tolist())
  return read_class_map(class_map)


def identity(class_map: str | None) -> str | None:
  """Returns what tells two class maps apart: the name, or the hash of a file."""
  if class_map is None or class_map in CLASS_MAPS:
    return class_map
  return f'sha256:{files.sha256_of(paths.path(class_map))}'


def check_shape(
  shape: tf.TensorShape | Sequence[int | None], name: str, class_map: str | None
) -> None:
  """Checks that an output has a value for each output that a class map names.

  Args:
    shape: of the output, as far as it is known.
    name: the model's, for errors.
    class_map: see `label_map`; None: only that they are one value for each class.

  Raises:
    UserError: it has another number of values.
  """
  count = None if class_map is None else label_map(class_map).outputs
  if tf.TensorShape(shape).is_compatible_with((None, count)):
    return
  if class_map is None:
    raise wrong_outputs(name, shape, None)
  raise UserError(
    f'{name} returns {shape[-1]} outputs, `class_map={class_map}` is for {count}'
  )


def mapped(
  function: Callable[[tf.Tensor], tf.Tensor],
  name: str,
  class_map: str,
  are_probabilities: bool,
) -> Callable[[tf.Tensor], tf.Tensor]:
  """Returns a function whose outputs are the classes of a map, in their order.

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

  def checked(x):
    outputs = function(x)
    check_shape(outputs.shape, name, class_map)
    return outputs

  left_out = classes.outputs != len(classes.classes)
  return gathered(checked, classes.indices, are_probabilities and left_out)


def gathered(
  function: Callable[[tf.Tensor], tf.Tensor], indices: np.ndarray, renormalised: bool
) -> Callable[[tf.Tensor], tf.Tensor]:
  """Returns a function of some of the outputs of another, in an order."""

  def reordered(x):
    chosen = tf.gather(function(x), indices, axis=-1)
    if renormalised:
      chosen /= tf.reduce_sum(chosen, axis=-1, keepdims=True)
    return chosen

  return reordered
