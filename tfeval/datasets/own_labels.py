"""Labels of users' own data, in whatever form, as indices of classes."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfeval.datasets.labels import resolution
from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.utils.errors import UserError

_NONE = np.int64(-1)


def space_of(
  name: str, classes: Sequence[str] | LabelSpace | int
) -> tuple[LabelSpace, list[int]]:
  """Returns the classes of a dataset, and which of them each label is.

  Args:
    name: of the dataset.
    classes: a label space, names in the order of the labels, or how many there are.

  Raises:
    UserError: the names are not one for each class.
  """
  if isinstance(classes, LabelSpace):
    return classes, list(range(len(classes)))
  if isinstance(classes, int):
    names = tuple(map(str, range(classes)))
    return LabelSpace(name, names, names), list(range(classes))
  return resolution.resolve(name, classes)


def reader(
  spec: tf.TensorSpec, classes: Sequence[str] | LabelSpace | int, indices: Sequence[int]
) -> Callable[[tf.Tensor], tf.Tensor]:
  """Returns a function from a label to the index of its class, int64; -1 for none.

  Args:
    spec: of a label: an integer, also as a float or in a vector of one, negative for
      none; one-hot, where all zeros are none; or a name of a class, '' for none.
    classes: as for `space_of`.
    indices: which class each label is.

  Raises:
    UserError: labels are none of these.
  """
  rank = spec.shape.rank
  one_hot = rank == 1 and spec.shape[0] != 1
  if rank not in (0, 1) or (one_hot and spec.dtype == tf.string):
    raise UserError(
      f'dataset has labels of {spec.dtype.name} {spec.shape}, expected an integer, '
      'one-hot or a name'
    )
  class_of = np.array(indices, np.int64)
  if spec.dtype == tf.string:
    return _named(classes, class_of)

  def read(label: tf.Tensor) -> tf.Tensor:
    label = _largest(label) if one_hot else _whole(tf.reshape(label, []))
    beyond = tf.strings.format(
      'label {} is none of the ' + str(len(class_of)) + ' classes', [label]
    )
    with _checked(label < len(class_of), beyond):
      return tf.where(label < 0, _NONE, tf.gather(class_of, tf.maximum(label, 0)))

  return read


def weighted(
  label: tf.Tensor, weight: tf.Tensor, read: Callable[[tf.Tensor], tf.Tensor]
) -> tf.Tensor:
  """Returns the index of a label's class; -1 where it weighs nothing, whatever it is.

  Args:
    label: as `read` takes it.
    weight: a number.
    read: what `reader` returns.
  """
  weight = tf.cast(tf.reshape(weight, []), tf.float32)
  nan = tf.constant('a sample weight is NaN')
  with _checked(~tf.math.is_nan(weight), nan):
    is_none = weight == 0
  # Of padding nobody has to know a class.
  found = read(tf.where(is_none, tf.zeros_like(label), label))
  return tf.where(is_none, _NONE, found)


def _named(
  classes: Sequence[str] | LabelSpace | int, class_of: np.ndarray
) -> Callable[[tf.Tensor], tf.Tensor]:
  if isinstance(classes, int):
    raise UserError(
      'dataset has names for labels: give `classes`, their names in the order of the '
      "model's outputs"
    )
  names = list(classes.class_ids if isinstance(classes, LabelSpace) else classes)
  numbers = class_of.tolist()
  if isinstance(classes, LabelSpace):  # What people read, where that is one class.
    readable = list(classes.class_names)
    for number, name in zip(class_of.tolist(), readable, strict=True):
      if name not in names and readable.count(name) == 1:
        names.append(name)
        numbers.append(number)
  table = tf.lookup.StaticHashTable(
    tf.lookup.KeyValueTensorInitializer(
      tf.constant(['', *names]), tf.constant([-1, *numbers], tf.int64)
    ),
    -2,
  )

  def read(label: tf.Tensor) -> tf.Tensor:
    label = tf.reshape(label, [])
    found = table.lookup(label)
    words = f' is none of the {len(class_of)} classes'
    with _checked(found > -2, tf.strings.join(['label ', label, words])):
      return tf.identity(found)

  return read


def _checked(right: tf.Tensor, message: tf.Tensor) -> Any:
  """Returns a context in which an error with the message is raised unless right."""
  return tf.control_dependencies([tf.debugging.Assert(right, [message])])


def _largest(label: tf.Tensor) -> tf.Tensor:
  """Returns which value of a one-hot label is the largest, int64; -1 of all zeros."""
  label = tf.cast(label, tf.float32)
  largest = tf.reduce_max(label)
  # NaN equals nothing.
  several = tf.strings.format('label {} is not one-hot', [label])
  with _checked(
    (largest <= 0) | (tf.reduce_sum(tf.cast(label == largest, tf.int32)) == 1), several
  ):
    return tf.where(largest > 0, tf.argmax(label), _NONE)


def _whole(label: tf.Tensor) -> tf.Tensor:
  """Returns a label as int64."""
  if not label.dtype.is_floating:
    return tf.cast(label, tf.int64)
  odd = tf.strings.format('label {} is no whole number', [label])
  with _checked(tf.floor(label) == label, odd):
    return tf.cast(label, tf.int64)
