"""What users hold their data in, as a `tf.data.Dataset`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfeval.utils import errors
from tfeval.utils.arguments import shown
from tfeval.utils.errors import UserError

# Parts of an element: of a tuple in this order without the id, of a dict by name.
KEYS = IMAGE, LABEL, WEIGHT, ID = ('image', 'label', 'sample_weight', 'id')
EXPECTED = '(image, label) or a dict with image, label and perhaps id'
# Images of arrays that are cut at once.
_CUT = 64


def as_dataset(given: Any) -> tf.data.Dataset | None:
  """Returns data of the user's as a `tf.data.Dataset`; None: it is none.

  Args:
    given: a `tf.data.Dataset`, which is returned as it is; a Keras `PyDataset`, or
      whatever else has a length and gives its batches or examples by their numbers,
      such as a list; or arrays (images, labels), perhaps with weights behind.

  Raises:
    UserError: it has no end, can be read only once, or its parts do not fit.
  """
  if isinstance(given, tf.data.Dataset):
    return given
  # A PyDataset may be one too, as the iterators of ImageDataGenerator are.
  is_numbered = hasattr(type(given), 'num_batches')
  if isinstance(given, Iterator) and not is_numbered:
    raise UserError(
      'dataset can be read only once, as generators and iterators are: give a list of '
      'batches, or tf.data.Dataset.from_generator'
    )
  if isinstance(given, tuple):
    return _of_arrays(given)
  if isinstance(given, str | bytes | Mapping | np.ndarray | type | tf.Tensor):
    return None
  # A PyDataset may have no `__len__`.
  if not (hasattr(given, '__getitem__') and (is_numbered or hasattr(given, '__len__'))):
    return None
  try:
    count = given.num_batches if is_numbered else len(given)
  except Exception as error:  # The user's own code may raise anything.
    raise UserError(
      f'dataset tells no length ({errors.one_line(error)}): give one that ends'
    ) from error
  if count is None:
    raise UserError('dataset never ends: give one whose `num_batches` is a number')
  return _indexed(given, int(count), int(getattr(given, 'workers', 1) or 1))


def labels_of(given: Any) -> list[np.ndarray] | None:
  """Returns all labels of arrays, with the weights behind, if there are any.

  Args:
    given: what `as_dataset` took.

  Returns:
    None of data whose labels are not at hand.
  """
  if not isinstance(given, tuple):
    return None
  return [
    _array(key, value)
    for key, value in zip((LABEL, WEIGHT), given[1:], strict=False)
    if value is not None
  ]


def _of_arrays(given: tuple[Any, ...]) -> tf.data.Dataset:
  expected = 'arrays (images, labels), perhaps with weights'
  if len(given) == 3 and given[2] is None:
    given = given[:2]
  if len(given) not in (2, 3) or not all(map(_is_array, given)):
    raise UserError(f'dataset is {_outline(given)}, expected {expected}')
  if len(np.shape(given[0])) != 4:
    shape = list(np.shape(given[0]))
    raise UserError(
      f'dataset has images of shape {shape}, expected [n, height, width, channels]: '
      'grey ones have one channel, images[..., None]'
    )
  lengths = [len(one) for one in given]
  if len(set(lengths)) > 1:
    raise UserError(
      f'dataset has {lengths[0]} images, but {lengths[1:]} labels or weights'
    )
  count = lengths[0]
  if not count:
    raise UserError('dataset has no examples')
  # They are not copied: they may be files that are mapped.
  found = _indexed(_Cuts(given, count), -(-count // _CUT), 1)
  return found.unbatch().apply(tf.data.experimental.assert_cardinality(count))


def _is_array(value: Any) -> bool:
  if isinstance(value, list):  # Of labels.
    return True
  return hasattr(value, 'shape') and hasattr(value, '__getitem__') and value.ndim > 0


class _Cuts:
  """Arrays as batches."""

  def __init__(self, arrays: Sequence[Any], count: int):
    self._arrays, self._count = arrays, count

  def __getitem__(self, index: int) -> tuple[Any, ...]:
    start = index * _CUT
    return tuple(one[start : min(start + _CUT, self._count)] for one in self._arrays)


def _indexed(given: Any, count: int, workers: int) -> tf.data.Dataset:
  """Returns batches, or examples, that are got by their numbers, in order."""
  if count < 1:
    raise UserError('dataset has no examples')
  try:
    first = _parts(given[0])
  except UserError:
    raise
  except Exception as error:  # The user's own code may raise anything.
    raise UserError(f'dataset cannot be read: {errors.one_line(error)}') from error
  is_batch = first[IMAGE].ndim == 4
  kinds = {key: tf.as_dtype(_kind(value)) for key, value in first.items()}
  shapes = {
    key: [None, *value.shape[1:]] if is_batch else value.shape
    for key, value in first.items()
  }

  def read(index: np.ndarray) -> list[np.ndarray]:
    found = _parts(given[int(index)])
    if set(found) != set(first):
      raise ValueError(f'element {int(index)} has {sorted(found)}, not {sorted(first)}')
    return [found[key] for key in first]

  @tf.autograph.experimental.do_not_convert
  def element(index):
    values = tf.numpy_function(read, [index], list(kinds.values()))
    return {
      key: tf.ensure_shape(value, shapes[key])
      for key, value in zip(first, values, strict=True)
    }

  return tf.data.Dataset.range(count).map(
    element, num_parallel_calls=workers, deterministic=True
  )


def _parts(item: Any) -> dict[str, np.ndarray]:
  """Returns the parts of a batch or an example as arrays of few types."""
  if isinstance(item, Mapping) and {IMAGE, LABEL} <= set(item):
    found = {key: item[key] for key in KEYS if key in item}
  elif isinstance(item, tuple | list) and len(item) in (2, 3):
    found = dict(zip(KEYS, item, strict=False))
  else:
    raise UserError(f'dataset has elements {_outline(item)}, expected {EXPECTED}')
  if found.get(WEIGHT, 0) is None:
    del found[WEIGHT]
  return {key: _array(key, value) for key, value in found.items()}


def _outline(value: Any) -> str:
  """Returns what a value is, for messages: arrays without what they hold."""
  if isinstance(value, tuple | list):
    return f'({", ".join(map(_outline, value[:4]))}{", ..." * (len(value) > 4)})'
  if hasattr(value, 'shape'):
    return f'{type(value).__name__} {list(value.shape)}'
  return shown(value)


def _array(key: str, value: Any) -> np.ndarray:
  try:
    array = np.asarray(value)
  except Exception as error:  # The user's own code may raise anything.
    raise UserError(f'dataset has {key} {shown(value)}, expected an array') from error
  if array.dtype.kind in 'USO':
    texts = [one if isinstance(one, bytes) else str(one).encode() for one in array.flat]
    return np.array([*texts, None], object)[:-1].reshape(array.shape)
  if array.dtype.kind not in 'biuf':
    raise UserError(f'dataset has {key} of type {array.dtype}, expected numbers')
  if array.dtype == np.uint8 and key == IMAGE:
    return array
  wide = array.dtype.kind == 'f' or key in (IMAGE, WEIGHT)
  return np.ascontiguousarray(array, np.float32 if wide else np.int64)


def _kind(array: np.ndarray) -> Any:
  return tf.string if array.dtype == object else array.dtype
