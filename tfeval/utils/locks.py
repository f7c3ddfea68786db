"""Who may write where, and what readers may assume: the one rule of every command.

**A directory is written by one process at a time**, which holds the file `.lock` in it
(`locked`) from before it looks at what is there until its last file is in place.
Another writer is refused in one line.

    who                 holds the lock of                            for how long
    evaluate, callback  each run directory                           one evaluation
    on several hosts    0: the run directory                         until it has joined
                        others: their share                          one evaluation
    import              each run directory                           one import
    watch               its output_dir, where watched.json is        until it ends
    EvaluateCallback    its output_dir, where history.json is        a fit
    preparing a dataset a file beside its folder (`one_at_a_time`)   others wait

Whoever removes a directory that another process could be writing holds its lock too, so
that `overwrite` is refused where anything runs. The system lets go of a lock when its
process ends; the file that a killed one leaves means nothing, and is nobody's data
(`files.is_leftover`).

**Single files** (labels of `relabel`, CSV, figures) need no lock: each is written under
a name of its own and renamed. Of two writers the last one wins, and a reader sees one
of both. **A cache** is shared by any number of readers and writers for the same reason:
a chunk gets the digest of its content for a name, whoever reads one checks it, and what
`cache prune` takes away is made again.

**Readers take no lock and wait for nobody.** A writer removes `result.json` before it
changes anything else in a run directory, and writes it last. Who reads rows looks
afterwards whether `result.json` is still as it was read (`runs.run.Run.parts`): if it
is, all of it belongs together; if not, one line says that the run is being written.

**Kills.** At every moment what is listed is whole: the same command goes on from there,
or begins again, and ends with the same bytes. Directories lose their name before they
are emptied (`files.remove_tree`), and who begins to write removes what unfinished
writing has left.

File systems without locks, as those of URLs, go without: a directory there has to be
given to one command alone.
"""

import contextlib
import fcntl
import logging
import os
import pathlib
import time
from collections.abc import Iterator

from tfeval.utils import files, lock_file
from tfeval.utils.errors import BeingWritten
from tfeval.utils.files import LOCK
from tfeval.utils.paths import Path
from tfeval.utils.remote_path import RemotePath

_LOG = logging.getLogger('tfeval')
_TRIES, _SECONDS_BETWEEN_TRIES = 6, 0.02


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
  """Makes a directory and keeps other processes from writing there.

  A directory that was made for it and stays empty is gone afterwards.

  Raises:
    BeingWritten: another process has it.
    UserError: it cannot be made.
  """
  if isinstance(directory, RemotePath):
    files.make_directory(directory)
    yield
    return
  missing = [one for one in (directory, *directory.parents) if not one.exists()]
  path = directory / LOCK
  descriptor = _take(directory)
  try:
    yield
  finally:
    try:
      lock_file.remove_empty(path, descriptor)
    finally:
      os.close(descriptor)
    with contextlib.suppress(OSError):
      for one in missing:
        one.rmdir()


def remove_unused(directory: Path) -> None:
  """Removes a directory of directories, unless one of them is being written.

  Raises:
    BeingWritten: one is; all of them stay.
    UserError: one cannot be locked.
  """
  with contextlib.ExitStack() as stack:
    local = not isinstance(directory, RemotePath)
    if local and directory.is_dir() and not directory.is_symlink():
      for one in directory.iterdir():
        if one.is_dir() and not one.is_symlink():
          stack.enter_context(locked(one))
    files.remove_tree(directory)


def _take(directory: pathlib.Path) -> int:
  """Returns the descriptor of a directory's lock."""
  for left in reversed(range(_TRIES)):
    files.make_directory(directory)
    try:
      return lock_file.take(directory / LOCK)
    except (BlockingIOError, FileNotFoundError) as error:
      # Somebody looks whether it is abandoned, or has removed an empty directory.
      if left:
        time.sleep(_SECONDS_BETWEEN_TRIES)
        continue
      if isinstance(error, FileNotFoundError):
        raise files.cannot_write(directory, error) from error
      raise BeingWritten(
        f'{directory} is being written by another tfeval: wait for it, '
        'or choose another `output_dir`'
      ) from error
    except OSError as error:
      raise files.cannot_write(directory, error) from error
  raise AssertionError


def remove_abandoned(directory: Path) -> None:
  """Removes the lock file that a killed process has left in a directory, if one has."""
  if not isinstance(directory, RemotePath):
    lock_file.remove_abandoned(directory / LOCK, lock_file.remove_empty)


@contextlib.contextmanager
def one_at_a_time(path: Path, work: str) -> Iterator[None]:
  """Waits, with a word on stderr, until no other process holds a lock file.

  The file stays: who removed it might remove it from under another that has just
  opened it. File systems that know no locks go without.

  Args:
    path: of the file; it and its folder are made.
    work: what is done meanwhile, such as `'preparing DIR'`.

  Raises:
    OSError: the file cannot be made.
    UserError: it is no file.
  """
  if isinstance(path, RemotePath):
    yield
    return
  path.parent.mkdir(parents=True, exist_ok=True)
  with os.fdopen(lock_file.open_file(path), 'rb+', buffering=0) as file:
    with contextlib.suppress(OSError):
      try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
      except BlockingIOError:
        _LOG.info(f'another process is {work}: waiting for it')
        fcntl.flock(file, fcntl.LOCK_EX)
    yield
