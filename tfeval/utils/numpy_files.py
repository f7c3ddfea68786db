"""NumPy's files of strangers: nothing in them is unpickled.

Arrays in archives are read from front to back: nothing is unpacked to a disk, and no
more than is asked for is in memory.
"""

import contextlib
import io
import pathlib
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO

import numpy as np

from tfeval.utils import errors, untrusted
from tfeval.utils.errors import UserError, listed
from tfeval.utils.paths import Path

# NumPy reads headers of 10,000 bytes, with what stands before.
_HEADER = 12_000
# NumPy's own; others take memory that nothing tells beforehand.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# What Python raises at a zip archive that is cut, changed or no such.
BROKEN_ARCHIVE = (
  zipfile.BadZipFile,
  zlib.error,
  struct.error,
  EOFError,
  NotImplementedError,
  RuntimeError,
  UnicodeDecodeError,
)
# And at the header of an array, which it parses as an expression.
_NO_HEADER = (
  ValueError,
  KeyError,
  EOFError,
  SyntaxError,
  TypeError,
  OverflowError,
  MemoryError,
  RecursionError,
  tokenize.TokenError,
)


def load_npy(path: pathlib.Path) -> np.ndarray:
  """Opens an npy file without reading it and without running what it holds.

  Raises:
    UserError: it cannot be read, is cut off, or holds Python objects.
  """
  try:
    untrusted.check_file(path)
    with warnings.catch_warnings():
      # Of shapes that overflow, beside the error that comes of them.
      warnings.simplefilter('ignore')
      found = np.load(path, mmap_mode='r', allow_pickle=False)
  except UserError:
    raise
  except OSError as error:
    raise UserError(f'cannot read {path}: {error.strerror or error}') from error
  except _NO_HEADER as error:
    raise UserError(
      f'{path} is not a whole .npy file of numbers (Python objects are '
      f'never loaded): {errors.one_line(error, 120)}'
    ) from error
  if not isinstance(found, np.ndarray):
    found.close()
    raise UserError(f'{path} is an .npz archive: name it so')
  return found


class Array:
  """An array in an archive, whose header was read.

  Attributes:
    name: what it is called.
    shape: of the array.
    dtype: of its values, which are no objects.
    fortran: whether its first index runs fastest.
  """

  def __init__(self, path: Path, name: str, file: IO[bytes]):
    self.name = name
    self._path, self._file = path, file
    start = file.read(_HEADER)
    header = io.BytesIO(start)
    try:
      version = np.lib.format.read_magic(header)
      read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
      }[version]
      self.shape, self.fortran, self.dtype = read(header)
    except _NO_HEADER as error:
      raise UserError(
        f'{path}: {name} is not a NumPy array: {errors.one_line(error, 80)}'
      ) from error
    if self.dtype.hasobject:
      raise UserError(f'{path}: {name} has Python objects, which are never loaded')
    if not all(0 <= n < 1 << 40 for n in self.shape):
      raise UserError(f'{path}: {name} has the shape {str(list(self.shape))[:80]}')
    self._ahead = start[header.tell() :]

  def read(self, count: int) -> np.ndarray:
    """Returns the next values, [count], as they stand in the file.

    Raises:
      UserError: there are fewer.
    """
    size = count * self.dtype.itemsize
    content = self._ahead[:size]
    self._ahead = self._ahead[size:]
    if len(content) < size:
      content += self._file.read(size - len(content))
    if len(content) != size:
      raise UserError(f'{self._path} ends too early: get it again')
    return np.frombuffer(content, self.dtype, count)

  def finish(self) -> None:
    """Checks that no values are left, and the checksum of all.

    Raises:
      UserError: some are left.
    """
    if self._ahead or self._file.read(1):
      raise UserError(f'{self._path}: {self.name} is longer than its shape')


@contextlib.contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
  """Opens an archive.

  Raises:
    UserError: it is missing or no archive; while it is open, anything in it is damaged.
  """
  try:
    with untrusted.open_file(path) as file, zipfile.ZipFile(file) as archive:
      yield archive
  except UserError:
    raise
  except OSError as error:
    raise UserError(f'cannot read {path}: {error.strerror or error}') from error
  except BROKEN_ARCHIVE as error:
    raise UserError(
      f'{path} is not a readable .npz file: {errors.one_line(error, 120)}'
    ) from error


@contextlib.contextmanager
def array(path: Path, archive: zipfile.ZipFile, name: str) -> Iterator[Array]:
  """Opens an array.

  Args:
    path: of the archive.
    archive: see `opened`.
    name: of the array.

  Raises:
    UserError: it is not there, or is none.
  """
  if f'{name}.npy' not in archive.namelist():
    raise UserError(
      f'{path} holds no array {name}: it holds '
      f'{listed(archive.namelist(), none="nothing")}'
    )
  if archive.getinfo(f'{name}.npy').compress_type not in _METHODS:
    raise UserError(f'{path}: {name} is packed otherwise than NumPy does it')
  with archive.open(f'{name}.npy') as file:
    yield Array(path, name, file)
