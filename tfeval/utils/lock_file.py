"""Lock files: the system lets go of one when its process ends, however that happens."""

import contextlib
import errno
import fcntl
import os
import pathlib
import stat
from collections.abc import Callable

from tfeval.utils.errors import UserError

# A link could lead to a file of somebody else; who opens a pipe waits for a writer.
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def open_file(path: pathlib.Path, must_be_new: bool = False) -> int:
  """Returns the descriptor of a lock file, made where there is none.

  It is open for writing: NFS locks neither folders nor what is only read.

  Raises:
    UserError: what is there is a link, a pipe or anything else than a file.
    OSError: it cannot be made; FileExistsError where it must be new.
  """
  # Who opens a device starts it.
  with contextlib.suppress(FileNotFoundError):
    if not must_be_new and not stat.S_ISREG(os.lstat(path).st_mode):
      raise _no_file(path)
  try:
    descriptor = os.open(path, _FLAGS | os.O_EXCL * must_be_new, 0o666)
  except OSError as error:
    if error.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR) and not must_be_new:
      raise _no_file(path) from error
    raise
  if not stat.S_ISREG(os.fstat(descriptor).st_mode):
    os.close(descriptor)
    raise _no_file(path)
  return descriptor


def _no_file(path: pathlib.Path) -> UserError:
  return UserError(
    f'{path} is a link, a pipe or a directory, expected a lock file: delete it'
  )


def take(path: pathlib.Path, must_be_new: bool = False) -> int:
  """Returns the descriptor of a lock file that no other process has locked.

  File systems that know no locks go without.

  Raises:
    BlockingIOError: another process has it.
    UserError, OSError: as `open_file`.
  """
  while True:
    descriptor = open_file(path, must_be_new)
    try:
      fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      os.close(descriptor)
      raise
    except OSError:
      return descriptor
    # Who had it before may have removed it in between.
    if is_at(path, descriptor):
      return descriptor
    os.close(descriptor)


def is_at(path: pathlib.Path, descriptor: int) -> bool:
  """Returns whether a path still names an open file."""
  with contextlib.suppress(OSError):
    return os.path.samestat(os.lstat(path), os.fstat(descriptor))
  return False


def remove(path: pathlib.Path, descriptor: int) -> None:
  """Removes a file that this process has locked, if it still has that name."""
  with contextlib.suppress(OSError):
    if is_at(path, descriptor):
      os.unlink(path)


def remove_empty(path: pathlib.Path, descriptor: int) -> None:
  """Removes it if nothing is in it, as in lock files of tfeval."""
  if not os.fstat(descriptor).st_size:
    remove(path, descriptor)


def is_locked(path: pathlib.Path) -> bool:
  """Returns whether a process holds the lock of a file, as far as that can be known."""
  try:
    os.close(_take_existing(path))
  except BlockingIOError:
    return True
  except OSError:
    pass
  return False


def remove_abandoned(
  path: pathlib.Path, remove: Callable[[pathlib.Path, int], None] = remove
) -> None:
  """Removes a file that its process had locked, once that is dead."""
  # Where there are no locks, nobody can tell.
  with contextlib.suppress(OSError):
    descriptor = _take_existing(path)
    remove(path, descriptor)
    os.close(descriptor)


def _take_existing(path: pathlib.Path) -> int:
  if not stat.S_ISREG(os.lstat(path).st_mode):
    raise FileNotFoundError(path)
  descriptor = os.open(path, _FLAGS & ~os.O_CREAT)
  try:
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except OSError:
    os.close(descriptor)
    raise
  return descriptor
