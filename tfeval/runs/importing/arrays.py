"""NumPy's files of predictions; no pickles, so nothing in them is ever run."""

import contextlib
import dataclasses
import pathlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from tfeval.runs.importing.blocks import BLOCK, OR_NAMED, Block, Table
from tfeval.utils import budgets, numpy_files
from tfeval.utils.errors import UserError, listed
from tfeval.utils.numpy_files import Array

# A bound on what an archive may unpack to: float64 outputs of 134,000 images.
_LARGEST_MEMBER = 2**30


@dataclasses.dataclass(frozen=True)
class _Matrix:
  """An array of classes or scores.

  Attributes:
    dtype: of its values.
    shape: n and k; k is 1 where there is none.
    rows: returns the rows from one to before another, a copy; asked for in order.
  """

  dtype: np.dtype
  shape: tuple[int, int]
  rows: Callable[[int, int], np.ndarray]


def from_npy(
  predictions: pathlib.Path, probabilities: pathlib.Path | None, classes: int
) -> Table:
  """Opens an array of classes or of all outputs.

  Args:
    predictions, probabilities: `.npy` files, see `readers.opened`.
    classes: how many there are.

  Raises:
    UserError: they hold something else.
  """
  paths = [path for path in (predictions, probabilities) if path is not None]
  return _table(predictions, [_of_file(path) for path in paths], classes)


@contextlib.contextmanager
def from_npz(path: pathlib.Path, classes: int) -> Iterator[Table]:
  """Opens an archive.

  Args:
    path: an `.npz`, see `readers.opened`.
    classes: how many there are.

  Raises:
    UserError: it is no archive, or holds something else.
  """
  with contextlib.ExitStack() as stack:
    archive = stack.enter_context(numpy_files.opened(path))
    members = archive.infolist()
    names = [member.filename.removesuffix('.npy') for member in members]
    if len(members) not in (1, 2):
      raise UserError(
        f'{path} holds {len(members)} arrays ({listed(names)}), expected '
        'one, or classes and probabilities'
      )
    for member in members:
      if member.file_size > _LARGEST_MEMBER:
        raise UserError(
          f'{path}: {member.filename} unpacks to {member.file_size} bytes, expected at '
          f'most {_LARGEST_MEMBER}'
        )
    matrices = [
      _of_archive(path, stack.enter_context(numpy_files.array(path, archive, name)))
      for name in names
    ]
    # Classes are whole numbers, and come first.
    matrices.sort(key=lambda one: one.dtype.kind == 'f')
    yield _table(path, matrices, classes)


def _table(path: pathlib.Path, matrices: Sequence[_Matrix], classes: int) -> Table:
  """Makes a table of classes, of all outputs, or of classes and probabilities."""
  shapes = [one.shape for one in matrices]
  floats = matrices[0].dtype.kind == 'f'
  rows, width = shapes[0]
  if floats and len(matrices) > 1:
    raise UserError(
      f'{path} holds floats {list(shapes[0])}: expected whole numbers, '
      'the classes, beside probabilities'
    )
  if len(set(shapes)) > 1:
    raise UserError(
      f'{path} has the shape {list(shapes[0])} and its probabilities '
      f'{list(shapes[1])}: expected the same'
    )
  if floats and width != classes:
    hint = (
      ': leave the background class out'
      if width == classes + 1
      else f'{OR_NAMED}; best classes are whole numbers'
    )
    raise UserError(
      f'{path} holds floats {list(shapes[0])}, expected all outputs, '
      f'[n, {classes}]{hint}'
    )
  if not (rows and 1 <= width <= classes):
    raise UserError(
      f'{path} has the shape {list(shapes[0])}, expected [n, k], k best '
      'classes of n images'
    )
  if rows > budgets.ROWS:
    raise UserError(f'{path} has {rows:,} rows, expected at most {budgets.ROWS:,}')

  def blocks() -> Iterator[Block]:
    step = max(1, BLOCK // width)
    for start in range(0, rows, step):
      parts = [one.rows(start, min(rows, start + step)) for one in matrices]
      if floats:
        yield Block(None, None, parts[0])
      else:
        yield Block(None, parts[0], parts[1] if len(parts) > 1 else None)

  return Table(rows, False, width, blocks)


def _of_file(path: pathlib.Path) -> _Matrix:
  # Opened for each block: what stays mapped counts as memory.
  def rows(start: int, stop: int) -> np.ndarray:
    return np.array(numpy_files.load_npy(path)[start:stop]).reshape(stop - start, -1)

  found = numpy_files.load_npy(path)
  return _Matrix(found.dtype, _shape(str(path), found.dtype, found.shape), rows)


def _of_archive(path: pathlib.Path, array: Array) -> _Matrix:
  name = f'{path}: array {array.name}'
  shape = _shape(name, array.dtype, array.shape)
  n, k = shape
  if array.fortran and k > 1:
    limit = budgets.decoded(path.stat().st_size)
    if n * k * array.dtype.itemsize > limit:
      raise UserError(
        f'{name} in Fortran order has {n * k * array.dtype.itemsize} bytes, '
        f'expected at most {limit}: save it in C order'
      )
    whole = array.read(n * k).reshape(shape, order='F')
    return _Matrix(array.dtype, shape, lambda start, stop: whole[start:stop])

  def rows(start: int, stop: int) -> np.ndarray:
    found = array.read((stop - start) * k).reshape(stop - start, k)
    if stop == n:
      array.finish()
    return found

  return _Matrix(array.dtype, shape, rows)


def _shape(name: str, dtype: np.dtype, shape: tuple[int, ...]) -> tuple[int, int]:
  """Returns n and k of an array that can be classes or scores."""
  if dtype.kind not in 'iuf' or len(shape) not in (1, 2):
    raise UserError(
      f'{name} holds {dtype} {list(shape)}, expected whole '
      'numbers [n, k] or floats [n, classes]'
    )
  return shape[0], shape[1] if len(shape) > 1 else 1
