"""What an earlier start has computed, kept for the next one to be faster.

It lies in the user's own cache directory, `$XDG_CACHE_HOME/tfeval` or
`~/.cache/tfeval`. What is there is run, as Python's own `__pycache__` is: it is only
taken from directories that nobody else can write, and whole. Whoever removes it loses
seconds; where it cannot be written nothing is kept.
"""

import contextlib
import hashlib
import os
import pathlib
import platform
import shutil

from tfeval.utils import files, untrusted
from tfeval.utils.errors import UserError

# Of the largest file, and of the space that has to be left for others.
_MOST_BYTES, _SPACE_LEFT = 64 << 20, 256 << 20
# The oldest are removed beyond so many files in a directory.
_MOST_FILES = 128
_DIGEST_BYTES = 32


def directory(name: str) -> pathlib.Path | None:
  """Returns a directory of the user's cache, made if need be.

  Args:
    name: of it.

  Returns:
    None where there can be none, others could write there, or the disk is full.
  """
  home = os.environ.get('XDG_CACHE_HOME') or '~/.cache'
  try:
    root = pathlib.Path(home).expanduser()
    found = root / 'tfeval' / name
    if not root.is_absolute():
      return None
    found.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not all(map(untrusted.is_own, (found, found.parent, root))):
      return None
    return found if shutil.disk_usage(found).free > _SPACE_LEFT else None
  except (OSError, RuntimeError, ValueError):  # No such home, or no such name.
    return None


def processor() -> str:
  """Returns what code is compiled for: what this CPU is and can do."""
  try:
    with open('/proc/cpuinfo', encoding='utf-8', errors='replace') as file:
      lines = sorted(
        {line for line in file if line.startswith(('model name', 'flags', 'Features'))}
      )
  except OSError:
    lines = [platform.processor()]
  return '\n'.join([platform.machine(), *lines])


def read(name: str, key: str) -> bytes | None:
  """Returns what `write` kept, None if it is not there or not whole.

  Args:
    name: of the directory.
    key: of what is kept, in letters that file names have.
  """
  found = directory(name)
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
  found = directory(name)
  if found is None or len(content) + _DIGEST_BYTES > _MOST_BYTES:
    return
  with contextlib.suppress(UserError, OSError):
    prune(found)
    files.write_atomically(found / key, hashlib.sha256(content).digest() + content)


def prune(found: pathlib.Path) -> None:
  """Removes the oldest files of a directory where there are too many.

  Raises:
    OSError: one cannot be removed.
  """
  kept = sorted(found.iterdir(), key=lambda path: path.lstat().st_mtime, reverse=True)
  for path in kept[_MOST_FILES:]:
    path.unlink(missing_ok=True)
