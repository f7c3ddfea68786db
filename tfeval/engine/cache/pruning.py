"""Making room in a cache, without touching what is not of it."""

import contextlib
import dataclasses
import pathlib
import time
from collections.abc import Iterator

from tfeval.engine.cache import entries
from tfeval.engine.cache.entries import Entry
from tfeval.utils import lock_file
from tfeval.utils.errors import UserError

# A run that is alive writes a chunk in far less.
_LEFTOVER_SECONDS = 3600
_DAY_SECONDS = 24 * 3600


@dataclasses.dataclass(frozen=True)
class Removed:
  """A file that was removed, or would be.

  Attributes:
    path: of the file.
    why: the reason.
    bytes: its size.
  """

  path: pathlib.Path
  why: str
  bytes: int


def prune(
  directory: str, older_than: float | None, everything: bool, dry_run: bool
) -> list[Removed]:
  """Removes files that no run will use, and entries that were asked for.

  Args:
    directory: a cache.
    older_than: days; entries that no run has opened for so long go as a whole.
    everything: whether all entries go.
    dry_run: whether nothing is removed.

  Returns:
    What was removed. Files that are none of a cache stay, wherever they lie.

  Raises:
    UserError: the directory is no cache, or a file cannot be removed.
  """
  removed = []
  for entry in entries.listed(directory):
    for found in _doomed(entry, older_than, everything):
      removed.append(found)
      if not dry_run:
        try:
          found.path.unlink(missing_ok=True)
        except OSError as error:
          raise UserError(f'cannot remove {found.path}: {error.strerror}') from error
    if not dry_run:
      # It stays where anything is left in it.
      with contextlib.suppress(OSError):
        entry.directory.rmdir()
  return removed


def _doomed(
  entry: Entry, older_than: float | None, everything: bool
) -> Iterator[Removed]:
  """Yields the files of an entry that are to go, its description last."""
  now = time.time()
  try:
    used = (entry.directory / entries.ENTRY).stat().st_mtime
  except OSError:
    used = 0.0
  whole = None
  if everything:
    whole = 'all'
  elif older_than is not None and now - used > older_than * _DAY_SECONDS:
    whole = f'not used for {older_than:g} days'
  for chunk in entry.chunks:
    why = whole or entry.fault(chunk)
    if why:
      yield Removed(chunk.path, why, entries.size_of(chunk.path))
  for path in sorted(entry.directory.glob(entries.UNFINISHED)):
    with contextlib.suppress(OSError):
      old = now - path.stat().st_mtime > _LEFTOVER_SECONDS
      if (everything or old) and not lock_file.is_locked(path):
        yield Removed(path, 'never finished', entries.size_of(path))
  path = entry.directory / entries.ENTRY
  if path.exists() and (whole or entry.description is None):
    yield Removed(path, whole or 'damaged', entries.size_of(path))
