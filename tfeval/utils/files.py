"""Writing files so that a reader sees all of one or nothing of it."""

import contextlib
import errno
import fcntl
import hashlib
import json
import logging
import os
import pathlib
import platform
import shutil
from collections.abc import Iterable, Iterator
from typing import Any

from tfeval.utils import json_text, untrusted
from tfeval.utils.errors import UserError
from tfeval.utils.paths import Path
from tfeval.utils.remote_path import RemotePath

_LOG = logging.getLogger('tfeval')
# Inside a directory that is being written.
LOCK = '.lock'
_ESCAPES = str.maketrans({'\\': r'\\', '\t': r'\t', '\n': r'\n'})


def write_atomically(path: Path, content: bytes, flag: str = '`output_dir`') -> None:
  """Writes a file by renaming a complete one into place.

  Args:
    path: where.
    content: all of it.
    flag: what chooses another place.

  Raises:
    UserError: the file cannot be written: no space, no permission.
  """
  # Processes of several hosts may write into one directory.
  temporary = path.with_name(f'.{path.name}.{platform.node()}.{os.getpid()}.tmp')
  try:
    if isinstance(temporary, RemotePath):
      # Closed, it is stored.
      temporary.write_bytes(content)
    else:
      with open(temporary, 'wb') as file:
        file.write(content)
        file.flush()
        # Without it a power cut can leave the new name on an empty file.
        os.fsync(file.fileno())
    temporary.replace(path)  # type: ignore[arg-type]  # Both are of one kind.
  except OSError as error:
    raise cannot_write(path, error, flag) from error
  finally:
    # Nothing that goes wrong here may hide what went wrong above.
    with contextlib.suppress(OSError):
      temporary.unlink(missing_ok=True)


def cannot_write(path: Path, error: OSError, flag: str = '`output_dir`') -> UserError:
  """Returns what to tell a user whose disk is full or whose folder is locked."""
  return UserError(
    f'cannot write {path}: {error.strerror or error}: make room or '
    f'choose another {flag}, then run the same command again'
  )


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
  """Makes a directory and keeps other processes from writing a run there.

  The system lets go of it when a process ends, however that happens. File systems
  that know no locks, as those of URLs, are written to without.

  Raises:
    UserError: another process has it, or it cannot be made.
  """
  make_directory(directory)
  if isinstance(directory, RemotePath):
    yield
    return
  path = directory / LOCK
  try:
    descriptor = _lock(path)
  except BlockingIOError as error:
    raise UserError(
      f'{directory} is being written by another tfeval: wait for it, '
      'or choose another `output_dir`'
    ) from error
  except OSError as error:
    raise cannot_write(directory, error) from error
  try:
    yield
  finally:
    with contextlib.suppress(OSError):
      path.unlink()
    os.close(descriptor)


def make_directory(directory: Path) -> None:
  """Makes a directory that can be written.

  Raises:
    UserError: that cannot be.
  """
  try:
    if not directory.is_dir():
      directory.mkdir(parents=True, exist_ok=True)
    if not isinstance(directory, RemotePath) and not os.access(
      directory, os.W_OK | os.X_OK
    ):
      raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
  except OSError as error:
    raise cannot_write(directory, error) from error


def _lock(path: pathlib.Path) -> int:
  """Returns the descriptor of a lock file that no other process has locked.

  A file that is written, since NFS locks nothing else.

  Raises:
    BlockingIOError: another process has it.
    OSError: it cannot be made.
  """
  while True:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
      fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      os.close(descriptor)
      raise
    except OSError:
      return descriptor  # A file system that knows no locks.
    # Who had it before may have removed it in between.
    with contextlib.suppress(FileNotFoundError):
      if os.fstat(descriptor).st_ino == os.stat(path).st_ino:
        return descriptor
    os.close(descriptor)


@contextlib.contextmanager
def one_at_a_time(path: Path, work: str) -> Iterator[None]:
  """Waits, with a word on stderr, until no other process holds a lock file.

  The system lets go of it when a process ends, however that happens. The file stays:
  who removed it might remove it from under another that has just opened it. File
  systems that know no locks go without.

  Args:
    path: of the file; it and its folder are made.
    work: what is done meanwhile, such as `'preparing DIR'`.

  Raises:
    OSError: the file cannot be made.
  """
  if isinstance(path, RemotePath):
    yield
    return
  path.parent.mkdir(parents=True, exist_ok=True)
  # A file, and to be written: NFS locks neither folders nor what is only read.
  with open(path, 'ab') as file:
    with contextlib.suppress(OSError):
      try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
      except BlockingIOError:
        _LOG.info(f'another process is {work}: waiting for it')
        fcntl.flock(file, fcntl.LOCK_EX)
    yield


def write_json(path: Path, content: Any) -> None:
  """Writes JSON atomically; NaN and infinity are refused with a ValueError."""
  text = json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False)
  # File names that are not UTF-8 reach us as lone surrogates.
  write_atomically(path, (text + '\n').encode(errors='backslashreplace'))


def read_json(path: Path, within: Path | None = None) -> Any:
  """Reads JSON; see `json_text.read`.

  Raises:
    UserError: the file is missing, unreadable or not JSON.
  """
  try:
    return json_text.read(path, within)
  except OSError as error:
    raise UserError(f'cannot read {path}: {error.strerror}') from error


def digest_of_pairs(pairs: Iterable[tuple[str, object]]) -> str:
  r"""Returns the SHA-256 over `id<TAB>value<LF>` lines in the order of the ids.

  A text with a tab or line feed would read as other pairs. Such a pair is the line
  `<TAB>id<TAB>value<LF>`, which no other is, and tabs, line feeds and backslashes of
  its texts are `\t`, `\n` and `\\`.

  Args:
    pairs: an id and its value (a class index, a hash, None for nothing).

  >>> pairs = [('b', 1), ('a', None)]
  >>> digest_of_pairs(pairs) == digest_of_pairs(pairs[::-1])
  True
  >>> digest_of_pairs([('a\t1\nb', 2)]) == digest_of_pairs([('a', 1), ('b', 2)])
  False
  """
  sha256 = hashlib.sha256()
  for name, value in sorted(pairs, key=lambda pair: pair[0]):
    texts = [name, '' if value is None else str(value)]
    if any(sign in text for text in texts for sign in '\t\n'):
      texts = ['', *(text.translate(_ESCAPES) for text in texts)]
    sha256.update(('\t'.join(texts) + '\n').encode(errors='surrogateescape'))
  return sha256.hexdigest()


def sha256_of(path: Path) -> str:
  """Returns the SHA-256 of a file's content in hexadecimal.

  Raises:
    OSError: the file cannot be read.
    UserError: it is no regular file.
  """
  with untrusted.open_file(path) as file:
    return hashlib.file_digest(file, 'sha256').hexdigest()


def remove_tree(directory: Path) -> None:
  """Removes a directory with all that is in it, as far as that can be done."""
  if isinstance(directory, RemotePath):
    with contextlib.suppress(OSError):
      directory.remove_tree()
  else:
    shutil.rmtree(directory, ignore_errors=True)
