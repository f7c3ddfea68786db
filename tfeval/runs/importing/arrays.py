"""NumPy's files of predictions; no pickles, so nothing in them is ever run."""

import pathlib
import shutil
import zipfile
from collections.abc import Iterator

import numpy as np

from tfeval.datasets.labels import files
from tfeval.runs.importing.blocks import BLOCK, Block, Table
from tfeval.runs.predictions import label_space
from tfeval.utils import errors
from tfeval.utils.errors import UserError

# A bound on what an archive may unpack to: float64 outputs of 134,000 images.
_LARGEST_MEMBER = 2**30


def from_npy(
  shown: pathlib.Path, predictions: pathlib.Path, probabilities: pathlib.Path | None
) -> Table:
  """Opens an array of classes or of all outputs.

  Args:
    shown: what messages call it.
    predictions, probabilities: `.npy` files, see `readers.opened`.

  Raises:
    UserError: they hold something else.
  """
  paths = [predictions]
  if probabilities is not None:
    paths.append(probabilities)
  shapes = [_matrix(path).shape for path in paths]
  floats = _matrix(predictions).dtype.kind == 'f'
  (rows, width), classes = shapes[0], len(label_space())
  if floats and probabilities is not None:
    raise UserError(
      f'{shown} holds floats {list(shapes[0])}: expected whole numbers, '
      'the classes, beside probabilities'
    )
  if len(set(shapes)) > 1:
    raise UserError(
      f'{shown} has the shape {list(shapes[0])} and its probabilities '
      f'{list(shapes[1])}: expected the same'
    )
  if floats and width != classes:
    hint = (
      ': leave the background class out'
      if width == classes + 1
      else '; classes are whole numbers'
    )
    raise UserError(
      f'{shown} holds floats {list(shapes[0])}, expected all outputs, '
      f'[n, {classes}]{hint}'
    )
  if not (rows and 1 <= width <= classes):
    raise UserError(
      f'{shown} has the shape {list(shapes[0])}, expected [n, k], k best '
      'classes of n images'
    )

  def blocks() -> Iterator[Block]:
    step = max(1, BLOCK // width)
    for start in range(0, rows, step):
      # Opened for each block: what stays mapped counts as memory.
      parts = [np.array(_matrix(path)[start : start + step]) for path in paths]
      if floats:
        yield Block(None, None, parts[0])
      else:
        yield Block(None, parts[0], parts[1] if len(parts) > 1 else None)

  return Table(rows, False, width, blocks)


def _matrix(path: pathlib.Path) -> np.ndarray:
  found = files.load_npy(path)
  if found.dtype.kind not in 'iuf' or found.ndim not in (1, 2):
    raise UserError(
      f'{path} holds {found.dtype} {list(found.shape)}, expected whole '
      f'numbers [n, k] or floats [n, {len(label_space())}]'
    )
  return found.reshape(len(found), -1) if found.ndim == 1 else found


def from_npz(path: pathlib.Path, scratch: pathlib.Path) -> Table:
  """Opens an archive, unpacked so that it can be read block by block.

  Args:
    path: an `.npz`, see `readers.opened`.
    scratch: a folder for the arrays, which is read as long as the table is.

  Raises:
    UserError: it is no archive, or holds something else.
  """
  unpacked = []
  try:
    with zipfile.ZipFile(path) as archive:
      members = archive.infolist()
      names = ', '.join(m.filename.removesuffix('.npy') for m in members[:10])
      if len(members) not in (1, 2):
        raise UserError(
          f'{path} holds {len(members)} arrays ({names}), expected one, '
          'or classes and probabilities'
        )
      for i, member in enumerate(members):
        if member.file_size > _LARGEST_MEMBER:
          raise UserError(
            f'{path}: {member.filename} unpacks to {member.file_size} '
            f'bytes, expected at most {_LARGEST_MEMBER}'
          )
        unpacked.append(scratch / f'{i}.npy')
        with archive.open(member) as source, open(unpacked[-1], 'wb') as target:
          shutil.copyfileobj(source, target)
  except (OSError, *files.BROKEN_ARCHIVE) as error:
    raise UserError(
      f'{path} is not a whole .npz archive: {errors.one_line(error, 120)}'
    ) from error
  try:
    # Classes are whole numbers, and come first.
    unpacked.sort(key=lambda file: _matrix(file).dtype.kind == 'f')
    return from_npy(path, *unpacked, *[None] * (2 - len(unpacked)))
  except UserError as error:
    raise UserError(str(error).replace(f'{scratch}/', f'{path}: array ')) from error
