"""Files that have to be the same when they are read as when they were opened."""

import contextlib
import os
import pathlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from tfeval.utils import untrusted


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
        raise OSError(f'{self.path} has changed since it was opened: start again')
      yield file

  def read(self, offset: int, size: int) -> bytes:
    """Returns a piece of the file.

    Raises:
      OSError: as `opened`.
    """
    with self.opened() as file:
      return os.pread(file.fileno(), size, offset)
