"""What an earlier start has computed, kept for the next one to be faster.

It lies in `$TFEVAL_CACHE_HOME`, else in `tfeval` of the user's own cache directory
(`$XDG_CACHE_HOME`, `~/.cache`); `TFEVAL_CACHE_HOME=` keeps nothing. What is there is
run, as Python's own `__pycache__` is: it is only taken from directories of this user's
that nobody else can write, and whole. Whoever removes it loses seconds; where it cannot
be written nothing is kept.
"""

import contextlib
import hashlib
import os
import pathlib
import shutil
import stat

from tfeval.utils import files, untrusted
from tfeval.utils.errors import UserError

# Of the largest file, and of the space that has to be left for others.
_MOST_BYTES, _SPACE_LEFT = 64 << 20, 256 << 20
# The oldest are removed beyond so many files in a directory.
_MOST_FILES = 64
_DIGEST_BYTES = 32


def _directory(name: str) -> pathlib.Path | None:
  """Returns a directory of the user's cache, made if need be.

  Args:
    name: of it.

  Returns:
    None where there can be none, others could write there, or the disk is full.
  """
  given = os.environ.get('TFEVAL_CACHE_HOME')
  if given == '':
    return None
  try:
    home = os.environ.get('XDG_CACHE_HOME') or '~/.cache'
    root = pathlib.Path(given or os.path.join(home, 'tfeval')).expanduser()
    found = root / name
    if not root.is_absolute():
      return None
    for directory in (root, found):
      directory.parent.mkdir(parents=True, exist_ok=True)
      with contextlib.suppress(FileExistsError):
        directory.mkdir()
        # Whatever the umask lets others do.
        directory.chmod(0o700)
    # Above these a group may write, in many a home one of this user alone: whoever
    # puts a directory in their place does not own it.
    anyone = root.parent.stat().st_mode & stat.S_IWOTH
    if anyone or not all(map(untrusted.is_own, (root, found))):
      return None
    return found if shutil.disk_usage(found).free > _SPACE_LEFT else None
  except (OSError, RuntimeError, ValueError):  # No such home, or no such name.
    return None


def read(name: str, key: str) -> bytes | None:
  """Returns what `write` kept, None if it is not there or not whole.

  Args:
    name: of the directory.
    key: of what is kept, in letters that file names have.
  """
  found = _directory(name)
  if found is None:
    return None
  try:
    content = untrusted.read_bytes(found / key, _MOST_BYTES, found)
  except (OSError, UserError):
    return None
  digest, content = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
  return content if hashlib.sha256(content).digest() == digest else None


def write(name: str, key: str, content: bytes) -> None:
  """Keeps something for `read`, if that can be."""
  found = _directory(name)
  if found is None or len(content) + _DIGEST_BYTES > _MOST_BYTES:
    return
  with contextlib.suppress(UserError, OSError):
    _prune(found)
    files.write_atomically(found / key, hashlib.sha256(content).digest() + content)


def _prune(found: pathlib.Path) -> None:
  """Removes the oldest files of a directory where there are too many."""
  kept = sorted(found.iterdir(), key=lambda path: path.lstat().st_mtime, reverse=True)
  for path in kept[_MOST_FILES:]:
    path.unlink(missing_ok=True)
