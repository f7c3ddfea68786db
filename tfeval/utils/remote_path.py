"""Paths on stores: gs://, ram:// and others of tf.io.gfile, and s3://.

etils.epath, which comes with TFDS, would do for gs://, but raises a KeyError for
ram:// and hdfs://. TensorFlow itself has no file system for s3://: fsspec answers.
"""

import contextlib
import dataclasses
import errno
import fnmatch
import io
import pathlib
from collections.abc import Iterator
from typing import Protocol

from tfeval.utils import gfile_files, s3_files
from tfeval.utils.errors import UserError

_BUFFER_BYTES = 256 << 10
_S3 = 's3://'
# An object is there as a whole or not at all, whatever happens to who writes it.
_OBJECT_STORES = ('gs://', _S3)


class Store(Protocol):
  """What answers for the URLs of a scheme; each function raises OSError.

  FileNotFoundError, PermissionError with what to do about credentials, or another with
  a line that says what it is.
  """

  def is_directory(self, url: str, only: bool | None = None) -> bool | None:
    """Returns what is there, None for nothing.

    Args:
      url: of a file or directory.
      only: what the caller asks for; what is not that may be told as None.
    """

  def listed(self, url: str) -> list[str]:
    """Returns the names in a directory; those of directories may end in a slash."""

  def below(self, url: str) -> list[str]:
    """Returns the URLs of all files and directories below one, if there is one."""

  def make_directory(self, url: str) -> None:
    """Makes a directory and those above it, where a store has such."""

  def remove(self, url: str) -> None:
    """Removes a file."""

  def rename(self, url: str, target: str) -> None:
    """Renames a file over what is there."""

  def remove_tree(self, url: str) -> None:
    """Removes a directory with all that is below it."""

  def write(self, url: str, content: bytes) -> None:
    """Writes a file over what is there."""

  def create(self, url: str, content: bytes) -> bool:
    """Writes a file unless there is one; returns whether it did."""

  def copy(self, url: str, local: pathlib.Path) -> None:
    """Copies a file to a local disk."""

  def Reader(self, url: str) -> io.RawIOBase:  # noqa: N802
    """Opens a file for reading."""


def is_of_tensorflow(url: str) -> bool:
  """Whether tf.io.gfile answers for a URL.

  >>> is_of_tensorflow('gs://bucket/runs'), is_of_tensorflow('s3://bucket/runs')
  (True, False)
  """
  return not url.startswith(_S3)


@dataclasses.dataclass(frozen=True, order=True, repr=False)
class RemotePath:
  """A path on a store.

  Methods are those of `pathlib.Path` that tfeval uses, and raise OSError. TensorFlow
  or s3fs is imported when something is touched, not before. Only `exists`, `is_file`
  and `is_dir`, of which nobody expects one, raise UserError where it cannot be known:
  no such file system, no permission, no answer.

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

  @property
  def is_written_whole(self) -> bool:
    """Whether a file that is written is there as a whole or not at all."""
    return self.root.startswith(_OBJECT_STORES)

  @property
  def has_folders(self) -> bool:
    """Whether a folder can be made, and be empty."""
    return is_of_tensorflow(self.root)

  def exists(self) -> bool:
    return self._is_directory() is not None

  def is_file(self) -> bool:
    return self._is_directory(only=False) is False

  def is_dir(self) -> bool:
    return self._is_directory(only=True) is True

  def is_symlink(self) -> bool:
    return False

  def _is_directory(self, only: bool | None = None) -> bool | None:
    """Returns None for a path at which there is nothing."""
    try:
      return self._store.is_directory(str(self), only)
    except OSError as error:
      raise UserError(f'cannot read {self}: {error.strerror}') from error

  @property
  def _store(self) -> Store:
    return gfile_files if is_of_tensorflow(self.root) else s3_files

  def iterdir(self) -> 'Iterator[RemotePath]':
    names = self._store.listed(str(self))
    # Of object stores a folder's name ends in a slash.
    return (self / name for name in names if name.strip('/'))

  def glob(self, pattern: str) -> 'Iterator[RemotePath]':
    """Yields what matches; as with pathlib nothing where it may not be listed."""
    with contextlib.suppress(FileNotFoundError, PermissionError):
      yield from (one for one in self.iterdir() if one.match(pattern))

  def rglob(self, pattern: str) -> 'Iterator[RemotePath]':
    found = map(self.parse, self._store.below(str(self)))
    return (one for one in found if one.match(pattern))

  def mkdir(self, parents: bool, exist_ok: bool) -> None:
    """Makes a directory with those above it; both arguments have to be true."""
    assert parents and exist_ok
    self._store.make_directory(str(self))

  def unlink(self, missing_ok: bool = False) -> None:
    """Removes a file; that one is missing S3 does not tell."""
    with contextlib.suppress(*[FileNotFoundError] * missing_ok):
      self._store.remove(str(self))

  def replace(self, target: 'RemotePath') -> None:
    self._store.rename(str(self), str(target))

  def remove_tree(self) -> None:
    self._store.remove_tree(str(self))

  def open(self, mode: str) -> io.BufferedReader:
    """Opens a file for reading; the mode has to be `'rb'`."""
    assert mode == 'rb'
    return io.BufferedReader(self._store.Reader(str(self)), _BUFFER_BYTES)

  def read_bytes(self) -> bytes:
    with self.open('rb') as file:
      return file.read()

  def read_text(self, encoding: str) -> str:
    return self.read_bytes().decode(encoding)

  def write_bytes(self, content: bytes) -> None:
    self._store.write(str(self), content)

  def create(self, content: bytes) -> bool:
    """Writes a file unless there is one; returns whether it did.

    S3 takes a condition with what is written: of several processes one alone writes.
    Servers that know none, and tf.io.gfile, which has none: two that begin within a
    moment may both be told that they did.
    """
    return self._store.create(str(self), content)

  def copy_to(self, local: pathlib.Path) -> None:
    """Copies a file, or a directory with all that is in it, to a local disk."""
    if not self.is_dir():
      self._store.copy(str(self), local)
      return
    local.mkdir()
    for inside in self.iterdir():
      # Object stores take any name.
      if inside.name in ('.', '..'):
        raise OSError(errno.EINVAL, f'it holds a file called {inside.name}', str(self))
      inside.copy_to(local / inside.name)
