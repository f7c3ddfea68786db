"""Arrays in `.npz` and `.npy` files: where values are, and those of small ones."""

import pathlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tfeval.datasets.containers.stamps import Stamp
from tfeval.utils import budgets, numpy_files
from tfeval.utils.errors import UserError


class Stored(NamedTuple):
  """An array whose values stand in a file as they are, from a byte on."""

  offset: int
  shape: tuple[int, ...]
  dtype: np.dtype


class Packed(NamedTuple):
  """An array that has to be unpacked from its beginning."""

  name: str
  shape: tuple[int, ...]
  dtype: np.dtype


class Array(NamedTuple):
  """A small array: a file of its own, or one of an archive."""

  path: pathlib.Path
  name: str | None = None

  def __str__(self) -> str:
    return str(self.path) if self.name is None else f'{self.path}: {self.name}'

  def read(self) -> np.ndarray:
    """Returns the array.

    Raises:
      UserError: it is damaged, too large, or not in NumPy's own order.
    """
    if self.name is None:
      found = numpy_files.load_npy(self.path)
      _check_size(str(self), found.shape, found.dtype)
      return np.asarray(found)
    with numpy_files.opened(self.path) as archive:
      with numpy_files.array(self.path, archive, self.name) as array:
        count = _check_size(str(self), array.shape, array.dtype)
        values = array.read(count)
        array.finish()
        return values.reshape(array.shape, order='F' if array.fortran else 'C')


def images(
  stamp: Stamp, array: Packed, size: int, skip: int, take: int
) -> Iterator[list[bytes]]:
  """Yields images of a packed array one by one, from one on and so many.

  Args:
    stamp: the archive.
    array: of images.
    size: bytes of an image.
    skip, take: how many are before these, and how many these are.

  Raises:
    UserError: the archive is damaged.
    OSError: it has changed.
  """
  with stamp.opened(), numpy_files.opened(stamp.path) as archive:
    with numpy_files.array(stamp.path, archive, array.name) as found:
      for position in range(skip + take):
        image = found.read(size)
        if position >= skip:
          yield [image.tobytes()]
      if skip + take == array.shape[0]:
        found.finish()


def texts(array: Array) -> list[str]:
  """Returns an array of names, [n].

  Raises:
    UserError: it is none.
  """
  return as_texts(str(array), array.read())


def as_texts(where: str, found: np.ndarray) -> list[str]:
  """Returns names that are in memory as texts, [n]; see `texts`."""
  if found.ndim != 1 or found.dtype.kind not in 'US' or not len(found):
    raise UserError(
      f'{where} is {found.dtype} {list(found.shape)}, expected names: store it by '
      'np.array(names), without Python objects'
    )
  try:
    return [one.decode() if isinstance(one, bytes) else one for one in found.tolist()]
  except UnicodeDecodeError as error:
    raise UserError(f'{where} has names that are not UTF-8: store them as such') from (
      error
    )


def _check_size(where: str, shape: tuple[int, ...], dtype: np.dtype) -> int:
  """Returns how many values there are, if they may be in memory at once."""
  count = int(np.prod(shape, dtype=object))
  if count * max(1, dtype.itemsize) > budgets.IDS:
    raise UserError(
      f'{where} has {count * dtype.itemsize:,} bytes, expected at most {budgets.IDS:,}'
    )
  return count
