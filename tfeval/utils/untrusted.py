"""Opens files of strangers: regular ones, of a bounded size, and no other."""

import io
import os
import pathlib
import stat

from tfeval.utils.errors import UserError
from tfeval.utils.paths import Path
from tfeval.utils.remote_path import RemotePath

# Python makes room for as much as it is asked to read.
_PIECE = 1 << 20
_KINDS = {
  stat.S_IFIFO: 'a named pipe',
  stat.S_IFSOCK: 'a socket',
  stat.S_IFCHR: 'a device',
  stat.S_IFBLK: 'a device',
  stat.S_IFDIR: 'a directory',
}


def open_file(
  path: Path, limit: int | None = None, within: Path | None = None
) -> io.BufferedReader:
  """Opens a file to be read, if it is a regular one.

  Args:
    path: of the file; links are followed.
    limit: how many bytes it may have; None: any number.
    within: the directory that links may not lead out of; None: they may lead anywhere.

  Raises:
    OSError: it is missing or may not be read.
    UserError: it is a pipe, a device or a directory, too large, or elsewhere.
  """
  if isinstance(path, RemotePath):
    # An object store has neither links nor special files.
    return path.open('rb')
  if within is not None:
    check_inside(path, within)
  # Who opens a pipe waits for somebody to write to it; who opens a device starts it.
  _check_status(path, os.stat(path), limit)
  descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
  file = os.fdopen(descriptor, 'rb')
  try:
    # Again, since it may have been replaced in between.
    _check_status(path, os.fstat(descriptor), limit)
  except UserError:
    file.close()
    raise
  return file


def read_bytes(path: Path, limit: int, within: Path | None = None) -> bytes:
  """Reads a file whole; see `open_file`, which says what is raised."""
  parts, size = [], 0
  with open_file(path, limit, within) as file:
    # It may grow while it is read; of a URL nothing was known before.
    while part := file.read(_PIECE):
      size += len(part)
      if size > limit:
        raise _too_large(path, size, limit)
      parts.append(part)
  return b''.join(parts)


def check_file(
  path: Path, limit: int | None = None, within: Path | None = None
) -> None:
  """Checks a file that a library opens by its name; see `open_file`."""
  if not isinstance(path, RemotePath):
    if within is not None:
      check_inside(path, within)
    _check_status(path, os.stat(path), limit)


def check_inside(path: Path, directory: Path) -> None:
  """Checks that links do not lead out of a directory.

  Raises:
    UserError: they do.
  """
  if isinstance(path, RemotePath) or isinstance(directory, RemotePath):
    return
  real = os.path.realpath(path)
  root = os.path.realpath(directory)
  if os.path.commonpath([real, root]) != root:
    raise UserError(
      f'{path} is a link out of {directory}, to {real}: put the file itself there'
    )


def is_own(directory: pathlib.Path) -> bool:
  """Returns whether nobody but this user and root can write into a directory.

  Raises:
    OSError: it cannot be looked at.
  """
  status = directory.stat()
  return not status.st_mode & 0o022 and status.st_uid in (os.geteuid(), 0)


def _check_status(path: Path, status: os.stat_result, limit: int | None) -> None:
  kind = _KINDS.get(stat.S_IFMT(status.st_mode))
  if kind:
    raise UserError(f'{path} is {kind}, expected a file')
  if limit is not None and status.st_size > limit:
    raise _too_large(path, status.st_size, limit)


def _too_large(path: Path, size: int, limit: int) -> UserError:
  return UserError(f'{path} has {size:,} bytes or more, expected at most {limit:,}')
