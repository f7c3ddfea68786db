"""A `tf.data.Dataset` of the user's own, as `tfeval.evaluate(dataset=...)` takes it."""

import hashlib
import itertools
import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfeval.datasets import base
from tfeval.datasets.labels import resolution
from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.utils import errors
from tfeval.utils.errors import UserError

_LOG = logging.getLogger('tfeval')
NAME = 'tf.data'
# Elements that are looked at twice, to see whether their order stays.
_COMPARED = 64
# Seconds of counting.
_PATIENCE = 10.0
_KEYS = ('image', 'label', 'id')


def open_dataset(
  given: tf.data.Dataset,
  classes: Sequence[str] | LabelSpace | int,
  limit: int | None = None,
  encoded: bool = False,
) -> base.ImageDataset:
  """Returns a dataset whose images are pixels already.

  Args:
    given: elements (image, label), or dicts of `image`, `label` and, if there is one,
      `id`; batched or not. Images are [height, width, 3] of one size, of any real
      dtype; labels integers, negative for none, or one-hot.
    classes: names of the classes in the order of the labels, or how many there are.
    limit: only so many examples are taken.
    encoded: whether images are uint8 that a protocol is to resize: they are handed on
      as PNG, which loses nothing.

  Returns:
    The dataset; without ids, positions are ids. Unless encoded, images are serialized
    tensors, as the protocol `given` reads them.

  Raises:
    UserError: its elements are something else, or come in another order each time.
  """
  spec = _named(given.element_spec)
  image = spec['image']
  if image.shape.rank == 4:
    given = given.unbatch()
    spec = _named(given.element_spec)
    image = spec['image']
  if image.shape.rank != 3 or image.shape[-1] != 3:
    raise UserError(
      f'dataset has images of shape {image.shape}, expected [height, width, 3] of a '
      'known rank, or batches of these'
    )
  if encoded and image.dtype != tf.uint8:
    raise UserError(
      f'dataset has images of {image.dtype.name}, a protocol resizes uint8: leave '
      '`protocol` out, or give uint8'
    )
  space, indices = _space(classes)
  element = _element(spec, encoded, indices)
  elements = given.map(element)
  # Where all have to be looked at, labels that are no class are found too.
  labels = tf.autograph.experimental.do_not_convert(lambda *one: element(*one)['label'])
  count = _count(given.map(labels), limit)
  digest = _compare_looks(elements.take(count))
  return base.ImageDataset(
    name=NAME,
    config=None,
    version=None,
    split='',
    label_space=space,
    competing=sorted(indices) if len(indices) < len(space) else None,
    listed=resolution.listed(space, indices),
    num_examples=count,
    limit=limit,
    size_digest=digest,
    examples=lambda start=0, stop=None: _examples(
      elements, start, count if stop is None else stop
    ),
  )


def side_of(given: tf.data.Dataset) -> int | None:
  """Returns the side of its square images in pixels; None if that is not known."""
  shape = _named(given.element_spec)['image'].shape
  known = shape.rank is not None and shape.rank >= 3
  return shape[-2] if known and shape[-2] == shape[-3] else None


def class_names(given: tf.data.Dataset) -> Sequence[str] | int | None:
  """Returns what a dataset tells of its classes; None: nothing.

  That is `class_names`, which `keras.utils.image_dataset_from_directory` sets, or the
  width of its one-hot labels.
  """
  if names := getattr(given, 'class_names', None):
    return list(map(str, names))
  spec = _named(given.element_spec)
  label, batched = spec['label'], spec['image'].shape.rank == 4
  if label.shape.rank == 1 + batched and (label.shape[-1] or 0) > 1:
    return int(label.shape[-1])
  return None


def _named(spec: Any) -> dict[str, tf.TensorSpec]:
  """Returns the parts of an element by what they are."""
  found: dict[str, Any] = {}
  if isinstance(spec, Mapping) and {'image', 'label'} <= set(spec):
    found = {key: spec[key] for key in _KEYS if key in spec}
  elif isinstance(spec, tuple) and len(spec) in (2, 3):
    # The third are Keras' sample weights.
    found = dict(zip(_KEYS, spec[:2], strict=False))
  if not found or not all(isinstance(one, tf.TensorSpec) for one in found.values()):
    raise UserError(
      f'dataset has elements {str(spec)[:120]}, expected (image, label) or a dict with '
      'image, label and perhaps id'
    )
  return found


def _element(
  spec: Mapping[str, tf.TensorSpec], encoded: bool, indices: list[int]
) -> Callable[..., Any]:
  label_spec = spec['label']
  one_hot = label_spec.shape.rank == 1 and label_spec.shape[0] != 1
  if label_spec.shape.rank not in (0, 1) or label_spec.dtype == tf.string:
    raise UserError(
      f'dataset has labels of {label_spec.dtype.name} {label_spec.shape}, expected an '
      'integer or one-hot'
    )

  class_of, none = np.array(indices, np.int64), np.int64(-1)

  @tf.autograph.experimental.do_not_convert
  def element(*parts):
    parts = (
      parts[0]
      if isinstance(parts[0], Mapping)
      else dict(zip(_KEYS, parts[:2], strict=False))
    )
    image, label = parts['image'], parts['label']
    label = _index(label) if one_hot else _whole(tf.reshape(label, []))
    beyond = tf.strings.format(
      'label {} is none of the ' + str(len(class_of)) + ' classes', [label]
    )
    with _checked(label < len(class_of), beyond):
      label = tf.where(label < 0, none, tf.gather(class_of, tf.maximum(label, 0)))
    if encoded:
      content = tf.io.encode_png(image, compression=0)
    else:
      content = tf.io.serialize_tensor(tf.cast(image, tf.float32))
    found = {'image': content, 'label': label}
    if 'id' in spec:
      name = parts['id']
      found['id'] = name if name.dtype == tf.string else tf.strings.as_string(name)
    return found

  return element


def _checked(right: tf.Tensor, message: tf.Tensor) -> Any:
  """Returns a context in which an error with the message is raised unless right."""
  return tf.control_dependencies([tf.debugging.Assert(right, [message])])


def _index(label: tf.Tensor) -> tf.Tensor:
  """Returns which value of a one-hot label is the largest, int64; -1 of all zeros."""
  label = tf.cast(label, tf.float32)
  largest = tf.reduce_max(label)
  # NaN equals nothing.
  several = tf.strings.format('label {} is not one-hot', [label])
  with _checked(
    (largest <= 0) | (tf.reduce_sum(tf.cast(label == largest, tf.int32)) == 1), several
  ):
    return tf.where(largest > 0, tf.argmax(label), np.int64(-1))


def _whole(label: tf.Tensor) -> tf.Tensor:
  """Returns a label as int64."""
  if not label.dtype.is_floating:
    return tf.cast(label, tf.int64)
  odd = tf.strings.format('label {} is no whole number', [label])
  with _checked(tf.floor(label) == label, odd):
    return tf.cast(label, tf.int64)


def _count(given: tf.data.Dataset, limit: int | None) -> int:
  """Returns how many examples there are, looking at all if nothing else tells."""
  count = int(given.cardinality())
  if count == tf.data.INFINITE_CARDINALITY and limit is None:
    raise UserError('dataset never ends: give one without repeat, or `limit`')
  if count < 0:
    try:
      count = _counted(given if limit is None else given.take(limit))
    except tf.errors.OpError as error:
      raise _unreadable(error) from error
  count = count if limit is None else min(limit, count)
  if not count:
    raise UserError('dataset has no examples')
  return count


def _counted(given: tf.data.Dataset) -> int:
  """Counts examples; says so where it takes long: the dataset may have no end."""
  count, begun, is_told = 0, time.monotonic(), False
  for some in given.batch(64):
    count += len(some)
    if not is_told and time.monotonic() - begun > _PATIENCE:
      _LOG.warning(
        f'dataset tells no length, {count:,} examples are counted so far: if it never '
        'ends give `limit`'
      )
      is_told = True
  return count


def _space(classes: Sequence[str] | LabelSpace | int) -> tuple[LabelSpace, list[int]]:
  """Returns the classes, and which of them each label is."""
  if isinstance(classes, LabelSpace):
    return classes, list(range(len(classes)))
  if isinstance(classes, int):
    names = tuple(map(str, range(classes)))
    return LabelSpace(NAME, names, names), list(range(classes))
  return resolution.resolve(NAME, classes)


def _compare_looks(elements: tf.data.Dataset) -> str:
  """Returns the digest of the first examples.

  Raises:
    UserError: at a second look they are others.
  """
  looks = [_digest(elements) for _ in range(2)]
  if looks[0] != looks[1]:
    raise UserError(
      'dataset comes in another order or with other values each time: give one without '
      'shuffle and without random augmentation'
    )
  return looks[0]


def _digest(elements: tf.data.Dataset) -> str:
  sha256 = hashlib.sha256()
  try:
    for one in itertools.islice(elements, _COMPARED):
      for key in sorted(one):
        sha256.update(
          one[key].numpy().tobytes() if key == 'label' else one[key].numpy()
        )
  except tf.errors.OpError as error:
    raise _unreadable(error) from error
  return sha256.hexdigest()


def _unreadable(error: tf.errors.OpError) -> UserError:
  told = re.search(r'assertion failed: \[(.*?)\](?: \[Op|$|\n)', error.message)
  why = told[1] if told else errors.one_line(error)
  return UserError(f'dataset cannot be read: {why}')


def _examples(elements: tf.data.Dataset, start: Any, stop: Any) -> tf.data.Dataset:
  start, stop = tf.cast(start, tf.int64), tf.cast(stop, tf.int64)
  found = elements.skip(start).take(stop - start)
  if 'id' in elements.element_spec:
    return found
  return found.enumerate(start).map(
    lambda position, one: {**one, 'id': tf.strings.as_string(position)}
  )
