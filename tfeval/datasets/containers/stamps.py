"""Files that have to be the same when they are read as when they were opened."""

import contextlib
import os
import pathlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from tfeval.utils import errors, untrusted
from tfeval.utils.errors import UserError


class Stamp(NamedTuple):
  """A file as it was when it was opened first."""

  path: pathlib.Path
  size: int
  changed: int

  @classmethod
  def of(cls, path: pathlib.Path) -> 'Stamp':
    """Returns a file as it is.

    Raises:
      OSError: it cannot be looked at.
    """
    status = path.stat()
    return cls(path, status.st_size, status.st_mtime_ns)

  @contextlib.contextmanager
  def opened(self) -> Iterator[BinaryIO]:
    """Opens the file.

    Raises:
      OSError: it cannot be opened, or is another one by now.
    """
    with untrusted.open_file(self.path) as file:
      status = os.fstat(file.fileno())
      if (status.st_size, status.st_mtime_ns) != (self.size, self.changed):
        raise OSError(f'{self.path} has changed since it was opened')
      yield file

  def read(self, offset: int, size: int) -> bytes:
    """Returns a piece of the file.

    Raises:
      OSError: as `opened`.
    """
    with self.opened() as file:
      return os.pread(file.fileno(), size, offset)


@contextlib.contextmanager
def reading(path: pathlib.Path) -> Iterator[None]:
  """Where all that the system says of a file becomes one line.

  Raises:
    UserError: something was raised; says what.
  """
  try:
    yield
  except OSError as error:
    why = error.strerror or errors.one_line(error, 120)
    raise UserError(f'cannot read {path}: {why}') from error


@contextlib.contextmanager
def opened(path: pathlib.Path) -> Iterator[tuple[Stamp, BinaryIO]]:
  """Opens a file for the first time.

  Raises:
    UserError: it cannot be read, then or while it is open.
  """
  with reading(path):
    stamp = Stamp.of(path)
    with stamp.opened() as file:
      yield stamp, file
