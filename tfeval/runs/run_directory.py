"""The directory of a run before it is complete: whose it may be, and how it begins."""

import contextlib
import pathlib

from tfeval.runs.result_file import (
  DONE,
  FLAGS,
  HOSTS,
  MANIFEST,
  PREDICTIONS,
  RESULT,
  Manifest,
)
from tfeval.utils import files, locks, untrusted
from tfeval.utils.errors import UserError
from tfeval.utils.paths import Path


def holds_manifest(directory: Path, ignored: tuple[str, ...] = ()) -> bool:
  """Returns whether a directory says what is run there.

  What a process has left that was killed before that is nothing: lock files, and what
  it was writing.

  Args:
    directory: which need not exist.
    ignored: names that may be in it all the same.

  Raises:
    UserError: it holds something else, or part of it is a link to elsewhere.
  """
  _check_own(directory)
  if (directory / MANIFEST).is_file():
    return True
  if directory.is_dir() and any(
    one.name not in ignored and not files.is_leftover(one)
    for one in directory.iterdir()
  ):
    raise UserError(
      f'{directory} is not empty and holds no run: choose another `output_dir`'
    )
  return False


def _check_own(directory: Path) -> None:
  # What is written into a link lands wherever it leads.
  for name in (PREDICTIONS, HOSTS):
    untrusted.check_inside(directory / name, directory)


def begin_run(directory: Path, manifest: Manifest, flags: str, resumed: bool) -> None:
  """Writes what is run into a directory; nothing there looks complete any more.

  Args:
    directory: of a run, or of a host's share; locked by this process.
    manifest: what is run.
    flags: a flagfile that repeats it.
    resumed: whether predictions that are there are kept.

  Raises:
    UserError: it cannot be written, or part of it is a link to elsewhere.
  """
  _check_own(directory)
  try:
    directory.mkdir(parents=True, exist_ok=True)
    # These go first: without them nothing here looks complete.
    for last in (directory / RESULT, directory / DONE):
      last.unlink(missing_ok=True)
    files.remove_leftovers(directory)
    if not resumed:
      # Before the manifest: what is replaced may not seem to belong to it.
      (directory / PREDICTIONS / 'index.json').unlink(missing_ok=True)
  except OSError as error:
    raise files.cannot_write(directory, error) from error
  files.write_json(directory / MANIFEST, manifest)
  files.write_atomically(directory / FLAGS, flags.encode())


def clear(directory: Path) -> None:
  """Removes the files of a run from a directory, and shares of it, nothing else.

  Args:
    directory: which need not exist; locked by this process where there are locks.

  Raises:
    BeingWritten: a host is at work there.
    UserError: they cannot be removed, or part of it is a link to elsewhere.
  """
  _check_own(directory)
  remove_shares(directory)
  store = directory / PREDICTIONS
  try:
    # These go first: without them nothing here looks complete.
    for last in (directory / RESULT, directory / DONE, store / 'index.json'):
      last.unlink(missing_ok=True)
    for part in store.glob('part-*.parquet'):
      part.unlink(missing_ok=True)
    for name in (FLAGS, MANIFEST):
      (directory / name).unlink(missing_ok=True)
  except OSError as error:
    raise files.cannot_write(directory, error) from error


def discard(directory: Path) -> None:
  """Removes what `begin_run` and a writer of predictions have made of a directory.

  Args:
    directory: of a run that is not complete and that nobody could go on with; locked
      by this process. What cannot be removed stays, and looks incomplete.
  """
  # The manifest last: what is left without it is nobody's.
  with contextlib.suppress(OSError):
    for one in (directory / PREDICTIONS).iterdir():
      one.unlink()
    if isinstance(directory, pathlib.Path):
      (directory / PREDICTIONS).rmdir()
  with contextlib.suppress(OSError):
    for name in (FLAGS, MANIFEST):
      (directory / name).unlink(missing_ok=True)


def remove_shares(directory: Path) -> None:
  """Removes the shares of hosts from a run directory.

  Raises:
    BeingWritten: a host is at work.
    UserError: they are a link to elsewhere.
  """
  untrusted.check_inside(directory / HOSTS, directory)
  locks.remove_unused(directory / HOSTS)
