"""Data of the user's own, as `tfeval.evaluate(dataset=...)` takes them."""

import hashlib
import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfeval.datasets import base, looks, own_labels
from tfeval.datasets.labels import resolution
from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.datasets.own_forms import EXPECTED, ID, IMAGE, KEYS, LABEL, WEIGHT
from tfeval.utils import errors
from tfeval.utils.errors import UserError

_LOG = logging.getLogger('tfeval')
NAME = 'tf.data'
# Examples that tell a dataset from others, and are looked at twice at the beginning.
_COMPARED = 64
# Labels that are looked at together.
_AT_ONCE = 4096
# Seconds of counting.
_PATIENCE = 10.0


def open_dataset(
  given: tf.data.Dataset,
  classes: Sequence[str] | LabelSpace | int,
  limit: int | None = None,
  encoded: bool = False,
  labels: Sequence[np.ndarray] | None = None,
) -> base.ImageDataset:
  """Returns a dataset whose images are pixels already.

  Args:
    given: elements (image, label), perhaps with a sample weight behind, or dicts of
      `image`, `label` and, if there are any, `sample_weight` and `id`; batched or not.
      Images are [height, width, channels] of one size, of any real dtype; labels as
      `own_labels.reader` takes them. What weighs 0 has no label.
    classes: names of the classes in the order of the labels, or how many there are.
    limit: only so many examples are taken.
    encoded: whether images are uint8 that a protocol is to resize: they are handed on
      as PNG, which loses nothing.
    labels: all of them, perhaps with the weights behind, where they are at hand: they
      are looked at now. Of others only the first ones are.

  Returns:
    The dataset; without ids, positions are ids. Unless encoded, images are serialized
    tensors, as the protocol `given` reads them. Its `looks` know what was read here.

  Raises:
    UserError: its elements are something else, come in another order each time, or
      without an end.
  """
  cardinality = int(given.cardinality())
  if cardinality == tf.data.INFINITE_CARDINALITY and limit is None:
    raise UserError('dataset never ends: give one without repeat, or `limit`')
  spec = _named(given.element_spec)
  if spec[IMAGE].shape.rank == 4:
    given = given.unbatch()
    cardinality = int(given.cardinality())
    spec = _named(given.element_spec)
  _check_images(spec[IMAGE], encoded)
  space, indices = own_labels.space_of(NAME, classes)
  read_label = own_labels.reader(spec[LABEL], classes, indices)
  elements = given.map(_element(spec, encoded, read_label))
  if limit is not None:
    elements = elements.take(limit)
    cardinality = min(limit, cardinality) if cardinality >= 0 else cardinality
  seen = looks.Looks()
  try:
    if labels is not None:
      _check(labels, limit, spec, read_label)
    # Of those that tell no length all are read, and so looked at.
    count = cardinality if cardinality >= 0 else _look(_patient(elements), seen)[0]
    _, digest = _look(elements.take(_COMPARED), seen)
    _look(elements.take(_COMPARED), seen)
  except tf.errors.OpError as error:
    raise _unreadable(error) from error
  if not count:
    raise UserError('dataset has no examples')
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
    looks=seen,
    encoded=False,
    examples=lambda start=0, stop=None: _examples(
      elements, start, count if stop is None else stop
    ),
  )


def shape_of(given: tf.data.Dataset) -> tuple[int | None, int | None, int | None]:
  """Returns height, width and channels of its images; None for what is not known."""
  shape = _named(given.element_spec)[IMAGE].shape
  if shape.rank not in (3, 4):
    return None, None, None
  return tuple(shape[-3:])


def class_names(given: tf.data.Dataset) -> Sequence[str] | int | None:
  """Returns what a dataset tells of its classes; None: nothing.

  That is `class_names`, which `keras.utils.image_dataset_from_directory` sets, or the
  width of its one-hot labels.
  """
  if names := getattr(given, 'class_names', None):
    return list(map(str, names))
  spec = _named(given.element_spec)
  label, batched = spec[LABEL], spec[IMAGE].shape.rank == 4
  if label.shape.rank == 1 + batched and (label.shape[-1] or 0) > 1:
    return int(label.shape[-1])
  return None


def _named(spec: Any) -> dict[str, tf.TensorSpec]:
  """Returns the parts of an element by what they are."""
  found: dict[str, Any] = {}
  if isinstance(spec, Mapping) and {IMAGE, LABEL} <= set(spec):
    found = {key: spec[key] for key in KEYS if key in spec}
  elif isinstance(spec, tuple) and len(spec) in (2, 3):
    found = dict(zip(KEYS, spec, strict=False))
  if not found or not all(isinstance(one, tf.TensorSpec) for one in found.values()):
    raise UserError(f'dataset has elements {str(spec)[:120]}, expected {EXPECTED}')
  return found


def _check_images(image: tf.TensorSpec, encoded: bool) -> None:
  if image.shape.rank != 3 or image.shape[-1] is None or image.dtype == tf.string:
    raise UserError(
      f'dataset has images of {image.dtype.name} {image.shape}, expected [height, '
      'width, channels] of a known rank, or batches of these'
    )
  if encoded and (image.dtype != tf.uint8 or image.shape[-1] != 3):
    raise UserError(
      f'dataset has images of {image.dtype.name} {image.shape}, a protocol resizes '
      'uint8 [height, width, 3]: leave `protocol` out, or give these'
    )


def _element(
  spec: Mapping[str, tf.TensorSpec],
  encoded: bool,
  read_label: Callable[[tf.Tensor], tf.Tensor],
) -> Callable[..., Any]:
  _check_weight(spec)

  @tf.autograph.experimental.do_not_convert
  def element(*parts):
    if isinstance(parts[0], Mapping):
      (given,) = parts
    else:
      given = dict(zip(KEYS, parts, strict=False))
    label = _label(given, read_label)
    if encoded:
      content = tf.io.encode_png(given[IMAGE], compression=0)
    else:
      content = tf.io.serialize_tensor(tf.cast(given[IMAGE], tf.float32))
    found = {'image': content, 'label': label}
    if ID in spec:
      name = given[ID]
      found['id'] = name if name.dtype == tf.string else tf.strings.as_string(name)
    return found

  return element


def _label(
  given: Mapping[str, tf.Tensor], read_label: Callable[[tf.Tensor], tf.Tensor]
) -> tf.Tensor:
  if WEIGHT in given:
    return own_labels.weighted(given[LABEL], given[WEIGHT], read_label)
  return read_label(given[LABEL])


def _check(
  labels: Sequence[np.ndarray],
  limit: int | None,
  spec: Mapping[str, tf.TensorSpec],
  read_label: Callable[[tf.Tensor], tf.Tensor],
) -> None:
  """Reads labels, and the weights behind them if there are any.

  Raises:
    OpError: one is wrong.
  """
  _check_weight(spec)
  parts = {
    key: value[:limit] for key, value in zip((LABEL, WEIGHT), labels, strict=False)
  }
  read = tf.data.Dataset.from_tensor_slices(parts).map(
    tf.autograph.experimental.do_not_convert(lambda one: _label(one, read_label))
  )
  for _ in read.batch(_AT_ONCE):
    pass


def _check_weight(spec: Mapping[str, tf.TensorSpec]) -> None:
  if WEIGHT in spec and spec[WEIGHT].shape.as_list() not in ([], [1]):
    raise UserError(
      f'dataset has sample weights of shape {spec[WEIGHT].shape}, expected one for '
      'each image'
    )


def _look(elements: Iterable[Any], seen: looks.Looks) -> tuple[int, str]:
  """Reads examples, and tells of them.

  Returns:
    How many there are, and the digest of the first of them.
  """
  sha256, count = hashlib.sha256(), 0
  for count, one in enumerate(elements, 1):
    if count <= _COMPARED:
      for key in sorted(one):
        value = one[key].numpy()
        sha256.update(value.tobytes() if key == 'label' else value)
    name = one['id'].numpy().decode() if 'id' in one else ''
    image = hashlib.sha256(one['image'].numpy()).digest()
    seen.tell([count - 1], [name or str(count - 1)], [image], [one['label']])
  return count, sha256.hexdigest()


def _patient(elements: tf.data.Dataset) -> Iterator[Any]:
  """Yields examples; says so where it takes long: there may be no end."""
  begun, is_told = time.monotonic(), False
  for count, one in enumerate(elements):
    if not is_told and time.monotonic() - begun > _PATIENCE:
      _LOG.warning(
        f'dataset tells no length, {count:,} examples are counted so far: if it never '
        'ends give `limit`'
      )
      is_told = True
    yield one


def _unreadable(error: tf.errors.OpError) -> UserError:
  told = re.search(r'assertion failed: \[(.*?)\](?: \[Op|$|\n)', error.message)
  if told:
    return UserError(f'dataset cannot be read: {told[1]}')
  text = re.sub(
    r'Error in user-defined function passed to .*? iterator: \S+: ', '', error.message
  )
  why = errors.one_line(ValueError(text))
  return UserError(f'dataset cannot be read: {why}')


def _examples(elements: tf.data.Dataset, start: Any, stop: Any) -> tf.data.Dataset:
  start, stop = tf.cast(start, tf.int64), tf.cast(stop, tf.int64)
  found = elements.skip(start).take(stop - start)
  if 'id' in elements.element_spec:
    return found
  return found.enumerate(start).map(
    lambda position, one: {**one, 'id': tf.strings.as_string(position)}
  )
