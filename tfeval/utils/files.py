"""Writing files so that a reader sees all of one or nothing of it."""

import contextlib
import errno
import hashlib
import json
import os
import pathlib
import re
import secrets
import shutil
import stat
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, TypeVar

from tfeval.utils import json_text, lock_file, untrusted
from tfeval.utils.errors import NotWritten, UserError
from tfeval.utils.paths import Path
from tfeval.utils.remote_path import RemotePath

AnyPath = TypeVar('AnyPath', pathlib.Path, RemotePath)
# Inside a directory that is being written; see `locks`.
LOCK = '.lock'
_ESCAPES = str.maketrans({'\\': r'\\', '\t': r'\t', '\n': r'\n'})
# What is being written or removed.
UNFINISHED = '.*.tmp'
_NAME = re.compile(r'\.(.+)\.[\da-f]{16}\.tmp', re.DOTALL)


def write_atomically(path: Path, content: bytes, flag: str = '`output_dir`') -> None:
  """Writes a file by renaming a complete one into place.

  Stores in which an object appears as a whole, gs:// and s3://, get it at once. What a
  process that was killed has left of the same file is removed.

  Args:
    path: where.
    content: all of it.
    flag: what chooses another place.

  Raises:
    UserError: the file cannot be written: no space, no permission.
  """
  try:
    if isinstance(path, RemotePath):
      _write_remote(path, content)
    else:
      _check_no_device(path)
      _write_local(path, content)
  except OSError as error:
    raise cannot_write(path, error, flag) from error


def check_new(path: Path, overwrite: bool, option: str) -> None:
  """Checks that a file can be written, before its content is computed.

  Args:
    path: of the file.
    overwrite: whether one that is there may be replaced.
    option: the parameter that names it.

  Raises:
    UserError: it is there and may not be replaced, it is a folder, or its folder is not
      there or cannot be written.
  """
  named = f'`{option}={path}`'
  if path.is_dir():
    raise UserError(f'{named} is a folder: give the name of a file')
  if not isinstance(path, pathlib.Path):
    there = path.exists()
  else:
    there = os.path.lexists(path)  # A link to nothing is there too.
  if there and not overwrite:
    raise UserError(f'{named} is there already: give another name, or `overwrite`')
  if not isinstance(path, pathlib.Path):
    return  # Folders of stores come with their files.
  if not path.parent.is_dir():
    raise UserError(
      f'{named}: the folder {path.parent} does not exist: make it or choose another'
    )
  if not os.access(path.parent, os.W_OK):
    raise UserError(f'{named}: the folder {path.parent} cannot be written')


def _check_no_device(path: pathlib.Path) -> None:
  """Checks that what is replaced is no device, such as /dev/stdout."""
  with contextlib.suppress(OSError):
    mode = os.stat(path).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
      raise UserError(f'cannot write {path}: it is a device or a pipe: name a file')


def _write_remote(path: RemotePath, content: bytes) -> None:
  if path.is_written_whole:
    path.write_bytes(content)
    return
  temporary = unfinished(path)
  try:
    temporary.write_bytes(content)  # Closed, it is stored.
    temporary.replace(path)
  finally:
    # Nothing that goes wrong here may hide what went wrong above.
    with contextlib.suppress(OSError):
      temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def writing(path: pathlib.Path, flag: str) -> Iterator[BinaryIO]:
  """Where a file is written bit by bit, which is there when the context ends.

  Args:
    path: of the file, on this machine.
    flag: what chooses another place.

  Raises:
    UserError: the file cannot be written: no space, no permission. Of other errors
      nothing is left either.
  """
  try:
    _check_no_device(path)
    with _renamed(path) as file:
      yield file
  except OSError as error:
    raise cannot_write(path, error, flag) from error


def _write_local(path: pathlib.Path, content: bytes) -> None:
  with _renamed(path) as file:
    file.write(content)


@contextlib.contextmanager
def _renamed(path: pathlib.Path) -> Iterator[BinaryIO]:
  """Where a file is written that gets its name when the context ends."""
  for other in _unfinished_of(path):
    lock_file.remove_abandoned(other)
  temporary, descriptor = _create(path)
  # Closed last: until then it is locked.
  with os.fdopen(descriptor, 'wb') as file:
    try:
      yield file
      file.flush()
      # Without it a power cut can leave the new name on an empty file.
      os.fsync(descriptor)
      temporary.replace(path)
    finally:
      with contextlib.suppress(OSError):
        temporary.unlink(missing_ok=True)


def _create(path: pathlib.Path) -> tuple[pathlib.Path, int]:
  """Makes the file that is to be renamed, locked while it is written."""
  while True:
    temporary = unfinished(path)
    # Another process may take it for abandoned before it is locked.
    with contextlib.suppress(BlockingIOError):
      return temporary, lock_file.take(temporary, must_be_new=True)


def unfinished(path: AnyPath) -> AnyPath:
  """Returns a new name beside a path, for what is to be renamed to it or removed."""
  return path.with_name(f'.{path.name}.{secrets.token_hex(8)}.tmp')


def name_of_unfinished(path: Path) -> str | None:
  """Returns the name that something unfinished was to have, or had; None for others."""
  found = _NAME.fullmatch(path.name)
  return found[1] if found else None


def _unfinished_of(path: pathlib.Path) -> list[pathlib.Path]:
  hidden = [name for name in os.listdir(path.parent) if name.startswith('.')]
  others = map(path.with_name, hidden)
  return [one for one in others if name_of_unfinished(one) == path.name]


def is_leftover(path: Path) -> bool:
  """Returns whether something in a run directory is nobody's data.

  That are lock files, and what a process was writing or removing when it was killed.
  """
  return path.name == LOCK or path.match(UNFINISHED)


def remove_leftovers(directory: Path) -> None:
  """Removes what unfinished writing has left in a directory that this process locks.

  Raises:
    OSError: that cannot be.
  """
  for one in directory.glob(UNFINISHED):
    if one.is_dir() and not one.is_symlink():
      remove_tree(one)
    else:
      one.unlink(missing_ok=True)


def cannot_write(path: Path, error: OSError, flag: str = '`output_dir`') -> NotWritten:
  """Returns what to tell a user whose disk is full or whose folder is locked."""
  return NotWritten(
    f'cannot write {path}: {error.strerror or error}: make room or '
    f'choose another {flag}, then run it again'
  )


def make_directory(directory: Path) -> None:
  """Makes a directory that can be written.

  Raises:
    UserError: that cannot be.
  """
  try:
    has_folders = not isinstance(directory, RemotePath) or directory.has_folders
    if not has_folders or not directory.is_dir():
      directory.mkdir(parents=True, exist_ok=True)
    if not isinstance(directory, RemotePath) and not os.access(
      directory, os.W_OK | os.X_OK
    ):
      raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
  except OSError as error:
    raise cannot_write(directory, error) from error


def check_directory(directory: Path) -> None:
  """Checks that a directory can be made and written; makes none that is not there.

  Raises:
    UserError: that cannot be.
  """
  if isinstance(directory, RemotePath):
    make_directory(directory)  # Only the store knows, when it is written.
    return
  missing = [one for one in (directory, *directory.parents) if not one.exists()]
  try:
    make_directory(directory)
  finally:
    with contextlib.suppress(OSError):  # Somebody else has put something there.
      for one in missing:
        one.rmdir()


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
  """Removes a directory with all that is in it, as far as that can be done.

  It loses its name at once. Of one that was being removed when its process was killed
  the rest goes too.
  """
  if isinstance(directory, RemotePath):
    with contextlib.suppress(OSError):
      directory.remove_tree()
    return
  doomed = [directory]
  with contextlib.suppress(OSError):
    doomed += _unfinished_of(directory)
    is_named = name_of_unfinished(directory) is None
    if is_named and directory.is_dir() and not directory.is_symlink():
      doomed[0] = directory.rename(unfinished(directory))
  for one in doomed:
    shutil.rmtree(one, ignore_errors=True)
