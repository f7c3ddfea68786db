"""Paths on the file systems of tf.io.gfile: gs://, ram:// and others.

etils.epath, which comes with TFDS, would do for gs://, but raises a KeyError for
ram:// and hdfs://.
"""

import contextlib
import dataclasses
import errno
import fnmatch
import io
import os
import pathlib
from collections.abc import Iterator

from tfeval.utils import errors
from tfeval.utils.errors import UserError

_BUFFER_BYTES = 256 << 10


@dataclasses.dataclass(frozen=True, order=True, repr=False)
class RemotePath:
  """A path on a file system of tf.io.gfile.

  Methods are those of `pathlib.Path` that tfeval uses, and raise OSError. TensorFlow
  is imported when something is touched, not before. Only `exists`, `is_file` and
  `is_dir`, of which nobody expects one, raise UserError where it cannot be known: no
  such file system, no permission, no answer.

  Attributes:
    root: scheme and host or bucket.
    parts: the names below it.
  """

  root: str
  parts: tuple[str, ...]

  @classmethod
  def parse(cls, url: str) -> 'RemotePath':
    """Returns the path of a URL; slashes that change nothing are left out.

    >>> RemotePath.parse('gs://bucket//runs/') / 'ResNet50/result.json'
    RemotePath('gs://bucket/runs/ResNet50/result.json')
    """
    scheme, _, rest = url.partition('://')
    host, *parts = rest.split('/')
    return cls(f'{scheme}://{host}', tuple(filter(None, parts)))

  def __str__(self) -> str:
    return '/'.join((self.root, *self.parts))

  def __repr__(self) -> str:
    return f'RemotePath({str(self)!r})'

  def __truediv__(self, below: str) -> 'RemotePath':
    return RemotePath(self.root, (*self.parts, *filter(None, below.split('/'))))

  @property
  def name(self) -> str:
    return self.parts[-1] if self.parts else ''

  @property
  def suffix(self) -> str:
    return pathlib.PurePosixPath(self.name).suffix

  @property
  def parent(self) -> 'RemotePath':
    return RemotePath(self.root, self.parts[:-1])

  def with_name(self, name: str) -> 'RemotePath':
    return self.parent / name

  def match(self, pattern: str) -> bool:
    return fnmatch.fnmatchcase(self.name, pattern)

  def resolve(self) -> 'RemotePath':
    return self

  def exists(self) -> bool:
    return self._is_directory() is not None

  def is_file(self) -> bool:
    return self._is_directory() is False

  def is_dir(self) -> bool:
    return self._is_directory() is True

  def is_symlink(self) -> bool:
    return False

  def _is_directory(self) -> bool | None:
    """Returns None for a path at which there is nothing."""
    try:
      with _raising_os_errors(self) as gfile:
        return gfile.stat(str(self)).is_directory
    except FileNotFoundError:
      return None
    except OSError as error:
      raise UserError(f'cannot read {self}: {error.strerror}') from error

  def iterdir(self) -> 'Iterator[RemotePath]':
    with _raising_os_errors(self) as gfile:
      names = gfile.listdir(str(self))
    # Of object stores a folder's name ends in a slash.
    return (self / name for name in names if name.strip('/'))

  def glob(self, pattern: str) -> 'Iterator[RemotePath]':
    with contextlib.suppress(FileNotFoundError):
      yield from (one for one in self.iterdir() if one.match(pattern))

  def rglob(self, pattern: str) -> 'Iterator[RemotePath]':
    with _raising_os_errors(self) as gfile:
      found = [
        self.parse(folder) / name
        for folder, folders, names in gfile.walk(str(self))
        for name in (*folders, *names)
      ]
    return (one for one in found if one.match(pattern))

  def mkdir(self, parents: bool, exist_ok: bool) -> None:
    """Makes a directory with those above it; both arguments have to be true."""
    assert parents and exist_ok
    with _raising_os_errors(self) as gfile:
      gfile.makedirs(str(self))

  def unlink(self, missing_ok: bool = False) -> None:
    with contextlib.suppress(*[FileNotFoundError] * missing_ok):
      with _raising_os_errors(self) as gfile:
        gfile.remove(str(self))

  def replace(self, target: 'RemotePath') -> None:
    with _raising_os_errors(target) as gfile:
      gfile.rename(str(self), str(target), overwrite=True)

  def remove_tree(self) -> None:
    with _raising_os_errors(self) as gfile:
      gfile.rmtree(str(self))

  def open(self, mode: str) -> io.BufferedReader:
    """Opens a file for reading; the mode has to be `'rb'`."""
    assert mode == 'rb'
    return io.BufferedReader(_Reader(self), _BUFFER_BYTES)

  def read_bytes(self) -> bytes:
    with self.open('rb') as file:
      return file.read()

  def read_text(self, encoding: str) -> str:
    return self.read_bytes().decode(encoding)

  def write_bytes(self, content: bytes) -> None:
    with _raising_os_errors(self) as gfile, gfile.GFile(str(self), 'wb') as file:
      file.write(content)

  def create(self, content: bytes) -> bool:
    """Writes a file unless there is one; returns whether it did.

    tf.io.gfile gives no condition to a write: two that begin within a moment may both.
    """
    if self.exists():
      return False
    self.write_bytes(content)
    return True

  def copy_to(self, local: pathlib.Path) -> None:
    """Copies a file, or a directory with all that is in it, to a local disk."""
    if not self.is_dir():
      with _raising_os_errors(self) as gfile:
        gfile.copy(str(self), str(local))
      return
    local.mkdir()
    for inside in self.iterdir():
      # Object stores take any name.
      if inside.name in ('.', '..'):
        raise OSError(errno.EINVAL, f'it holds a file called {inside.name}', str(self))
      inside.copy_to(local / inside.name)


class _Reader(io.RawIOBase):
  """What Python and Arrow read files through, over a GFile, which is no io.IOBase."""

  def __init__(self, path: RemotePath):
    self._path = path
    with _raising_os_errors(path) as gfile:
      self._file = gfile.GFile(str(path), 'rb')

  def readable(self) -> bool:
    return True

  def seekable(self) -> bool:
    return True

  def readinto(self, buffer) -> int:
    with _raising_os_errors(self._path):
      content = self._file.read(len(buffer))
    buffer[: len(content)] = content
    return len(content)

  def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
    with _raising_os_errors(self._path):
      self._file.seek(offset, whence)
    return self.tell()

  def tell(self) -> int:
    with _raising_os_errors(self._path):
      return self._file.tell()

  def close(self) -> None:
    self._file.close()
    super().close()


@contextlib.contextmanager
def _raising_os_errors(path: RemotePath) -> Iterator:
  """Yields tf.io.gfile, and makes of TensorFlow's errors those that pathlib raises."""
  import tensorflow as tf

  try:
    yield tf.io.gfile
  except tf.errors.NotFoundError as error:
    raise FileNotFoundError(
      errno.ENOENT, os.strerror(errno.ENOENT), str(path)
    ) from error
  except (tf.errors.PermissionDeniedError, tf.errors.UnauthenticatedError) as error:
    raise PermissionError(
      errno.EACCES,
      f'{errors.one_line(error)}: for gs:// name a key file in '
      'GOOGLE_APPLICATION_CREDENTIALS or run gcloud auth application-default login',
      str(path),
    ) from error
  except tf.errors.UnimplementedError as error:
    schemes = filter(None, tf.io.gfile.get_registered_schemes())
    known = ', '.join(sorted(f'{scheme}://' for scheme in schemes))
    raise OSError(
      errno.EPROTONOSUPPORT,
      f'TensorFlow has no file system for {path.root.partition("/")[0]}//, only for '
      f'{known} (the package tensorflow-io adds some)',
      str(path),
    ) from error
  except tf.errors.OpError as error:
    raise OSError(errno.EIO, errors.one_line(error), str(path)) from error
