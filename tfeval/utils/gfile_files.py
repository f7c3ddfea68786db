"""What tf.io.gfile answers for: gs://, ram:// and others that TensorFlow knows."""

import contextlib
import errno
import io
import os
import pathlib
from collections.abc import Iterator

from tfeval.utils import errors
from tfeval.utils.uninterrupted import uninterrupted


def is_directory(url: str, only: bool | None = None) -> bool | None:
  """Says what is there; see `remote_path.Store`."""
  try:
    with _raising_os_errors(url) as gfile:
      return gfile.stat(url).is_directory
  except FileNotFoundError:
    return None


def listed(url: str) -> list[str]:
  with _raising_os_errors(url) as gfile:
    return gfile.listdir(url)


def below(url: str) -> list[str]:
  with _raising_os_errors(url) as gfile:
    return [
      f'{folder}/{name}'
      for folder, folders, names in gfile.walk(url)
      for name in (*folders, *names)
    ]


def make_directory(url: str) -> None:
  with _raising_os_errors(url) as gfile:
    gfile.makedirs(url)


def remove(url: str) -> None:
  with _raising_os_errors(url) as gfile:
    gfile.remove(url)


def rename(url: str, target: str) -> None:
  with _raising_os_errors(target) as gfile:
    gfile.rename(url, target, overwrite=True)


def remove_tree(url: str) -> None:
  with _raising_os_errors(url) as gfile:
    gfile.rmtree(url)


def write(url: str, content: bytes) -> None:
  # Whatever ends the context, what has been written by then is stored as the file.
  with uninterrupted(), _raising_os_errors(url) as gfile:
    with gfile.GFile(url, 'wb') as file:
      file.write(content)


def create(url: str, content: bytes) -> bool:
  """Writes a file unless there is one: of two that begin at once both may have."""
  if is_directory(url) is not None:
    return False
  write(url, content)
  return True


def copy(url: str, local: pathlib.Path) -> None:
  with _raising_os_errors(url) as gfile:
    gfile.copy(url, str(local))


class Reader(io.RawIOBase):
  """What Python and Arrow read files through, over a GFile, which is no io.IOBase."""

  def __init__(self, url: str):
    self._url = url
    with _raising_os_errors(url) as gfile:
      self._file = gfile.GFile(url, 'rb')

  def readable(self) -> bool:
    return True

  def seekable(self) -> bool:
    return True

  def readinto(self, buffer) -> int:
    with _raising_os_errors(self._url):
      content = self._file.read(len(buffer))
    buffer[: len(content)] = content
    return len(content)

  def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
    with _raising_os_errors(self._url):
      self._file.seek(offset, whence)
    return self.tell()

  def tell(self) -> int:
    with _raising_os_errors(self._url):
      return self._file.tell()

  def close(self) -> None:
    self._file.close()
    super().close()


def schemes() -> list[str]:
  """Returns the schemes that TensorFlow has file systems for, but for local files."""
  import tensorflow as tf

  return sorted(filter(None, tf.io.gfile.get_registered_schemes()))


@contextlib.contextmanager
def _raising_os_errors(url: str) -> Iterator:
  """Yields tf.io.gfile, and makes of TensorFlow's errors those that pathlib raises."""
  import tensorflow as tf

  try:
    yield tf.io.gfile
  except tf.errors.NotFoundError as error:
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), url) from error
  except (tf.errors.PermissionDeniedError, tf.errors.UnauthenticatedError) as error:
    raise PermissionError(
      errno.EACCES,
      f'{errors.one_line(error)}: for gs:// name a key file in '
      'GOOGLE_APPLICATION_CREDENTIALS or run gcloud auth application-default login',
      url,
    ) from error
  except tf.errors.UnimplementedError as error:
    known = ', '.join(f'{scheme}://' for scheme in schemes())
    raise OSError(
      errno.EPROTONOSUPPORT,
      f'TensorFlow has no file system for {url.partition("://")[0]}://, only for '
      f'{known} (the package tensorflow-io adds some); s3:// is read through s3fs',
      url,
    ) from error
  except tf.errors.OpError as error:
    raise OSError(errno.EIO, errors.one_line(error), url) from error
