"""Arrays of images in `.npz` and `.npy` files, with their labels.

Pixels are made PNG when they are read, without loss, and go the way of all images.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from tfeval.datasets.containers import (
  array_files,
  array_values,
  classes,
  dataset,
  locations,
  proofs,
  stamps,
)
from tfeval.datasets.containers.array_values import Packed, Stored
from tfeval.datasets.containers.stamps import Stamp
from tfeval.datasets.options import DatasetConfig
from tfeval.utils import budgets
from tfeval.utils.errors import UserError

if TYPE_CHECKING:
  from tfeval.datasets.base import ImageDataset


def open_arrays(config: DatasetConfig) -> 'ImageDataset':
  """Opens an array of images.

  Args:
    config: its `name` is `npz:FILE`, an archive or an array by itself, see
      `array_files.find`; images are uint8 [n, height, width, 3 or 1].

  Returns:
    The dataset, in the order of the array. Ids are names where the archive has an
    array of such, else positions.

  Raises:
    UserError: the file is damaged, holds no such array or no labels for it, or labels
      are outside of the classes.
  """
  location = locations.find(config)
  if len(location.files) != 1:
    raise UserError(
      f'{location.name} is {len(location.files)} files, expected one .npz or .npy file'
    )
  found, location = array_files.find(location, config.split)
  count, shape = _checked(found.where, found.images.shape, found.images.dtype)
  with stamps.reading(location.files[0]):
    stamp = Stamp.of(location.files[0])
  names = [f'{position:08d}' for position in range(count)]
  if found.names is not None:
    names = array_values.texts(found.names)
    if len(names) != count:
      raise UserError(f'{found.where} has {count} images, and {len(names)} names')
  ids = proofs.ids(names, location.name)
  if location.labels is not None:
    labelled = classes.of_file(location, ids)
  else:
    labelled = _labelled(location, found, names)
  return dataset.make(
    config,
    dataset.Found(
      location,
      ids,
      labelled,
      [stamp.size] * count,
      _reader(stamp, found.images, count, shape),
      encoded=False,
      has_stride=isinstance(found.images, Stored),
    ),
  )


def _reader(
  stamp: Stamp, images: Stored | Packed, count: int, shape: tuple[int, int, int]
) -> Callable[[Any, Any, int], Any]:
  """Returns what `dataset.Found.images` is.

  Args:
    stamp: the file.
    images: where they are in it.
    count: how many.
    shape: height, width and channels of each.
  """
  size = int(np.prod(shape))

  def chunks(place: Any, skip: Any, take: Any, step: Any) -> Iterator[list[bytes]]:
    del place, step  # There is one, and none.
    return array_values.images(stamp, images, size, int(skip), int(take))

  def read(start: Any, stop: Any, step: int) -> Any:
    from tfeval.datasets.containers import reading

    if isinstance(images, Packed):
      counts = np.array([count], np.int64)
      raw = reading.in_chunks(chunks, (counts,), counts, start, stop, step)
    else:
      positions = np.arange(count, dtype=np.int64)
      raw = reading.pieces(
        [stamp],
        np.zeros_like(positions),
        images.offset + positions * size,
        np.full_like(positions, size),
        start,
        stop,
        step,
      )
    return reading.as_png(raw, shape)

  return read


def _checked(
  where: str, shape: tuple[int, ...], dtype: np.dtype
) -> tuple[int, tuple[int, int, int]]:
  """Returns how many images there are, and their height, width and channels.

  Raises:
    UserError: they are none.
  """
  full = (*shape, 1) if len(shape) == 3 else shape
  if dtype != np.uint8 or len(full) != 4 or full[3] not in (1, 3) or 0 in full:
    raise UserError(
      f'{where} is {dtype} {list(shape)}, expected images as uint8 [n, height, width, '
      '3]: store pixels from 0 to 255, channels last'
    )
  if full[0] > budgets.ROWS or int(np.prod(full[1:])) > budgets.DECODED:
    raise UserError(
      f'{where} is {list(shape)}, expected at most {budgets.ROWS:,} images of '
      f'{budgets.DECODED:,} bytes'
    )
  return full[0], (full[1], full[2], full[3])


def _labelled(
  location: locations.Location, found: array_files.Found, names: list[str]
) -> classes.Labelled:
  """Returns the labels of an array, numbers [n] or [n, 1], or names."""
  assert found.labels is not None
  labels = found.labels.read()
  labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
  if labels.ndim != 1 or labels.dtype.kind not in 'iuUS':
    raise UserError(
      f'{found.labels}: the labels are {labels.dtype} {list(labels.shape)}, '
      'expected one whole number or name for each image'
    )
  if len(labels) != len(names):
    more = 'label' if len(labels) < len(names) else 'image'
    raise UserError(
      f'{found.where} has {len(names)} images and {len(labels)} labels: '
      f'{abs(len(names) - len(labels))} are without {more}: store them together'
    )
  if labels.dtype.kind in 'US':
    return classes.of_texts(
      location, names, array_values.as_texts(str(found.labels), labels)
    )
  numbers = np.clip(labels.astype(object), -1, 1 << 40).astype(np.int64)
  named = (
    array_values.texts(found.classes)
    if found.classes and location.classes is None
    else None
  )
  return classes.of_numbers(location, names, numbers, named)
