"""Files that only one of several processes makes: who is first has made it."""

import contextlib
import errno
import os
import pathlib

from tfeval.utils import files
from tfeval.utils.paths import Path
from tfeval.utils.remote_path import RemotePath

# Of a file system that knows no hard links: FAT and some network shares.
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EACCES)


def create(path: Path, content: bytes) -> bool:
  """Makes a file unless there is one; of several processes one alone makes it.

  On stores that cannot do that (tf.io.gfile gives no condition to a write, and old
  servers of S3 know none) two processes that begin within a moment may both be told
  that they have made it.

  Args:
    path: where; the folder is made.
    content: all of it: whoever sees the file sees all.

  Returns:
    Whether this call has made it.

  Raises:
    UserError: it cannot be written.
  """
  try:
    if isinstance(path, RemotePath):
      return path.create(content)
    path.parent.mkdir(parents=True, exist_ok=True)
    return _create_local(path, content)
  except OSError as error:
    raise files.cannot_write(path, error) from error


def _create_local(path: pathlib.Path, content: bytes) -> bool:
  if os.path.lexists(path):
    return False
  # Of NFS a link is the oldest thing that one client alone can do.
  temporary = files.unfinished(path)
  try:
    temporary.write_bytes(content)
    try:
      os.link(temporary, path)
    except FileExistsError:
      return False
    except OSError as error:
      if error.errno not in _NO_LINKS:
        raise
      return _create_there(path, content)
    return True
  finally:
    with contextlib.suppress(OSError):
      temporary.unlink(missing_ok=True)


def _create_there(path: pathlib.Path, content: bytes) -> bool:
  try:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
  except FileExistsError:
    return False
  with os.fdopen(descriptor, 'wb') as file:
    file.write(content)
  return True
