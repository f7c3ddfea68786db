"""What a callback has evaluated, in a file that the next fit goes on after."""

import contextlib
import math
import re
import weakref
from typing import Any

from tfeval.evaluation.tracking import history_file
from tfeval.runs.result_file import MANIFEST
from tfeval.runs.run import Run, load_run
from tfeval.utils import files, locks
from tfeval.utils.errors import BeingWritten, UserError
from tfeval.utils.paths import Path

FILE = 'history.json'
_KEYS = frozenset(('step', 'epoch', 'metrics', 'counts', 'run'))
# By their directories; a notebook may stop a fit and begin another in the same one.
_of_this_process: 'weakref.WeakValueDictionary[Path, History]' = (
  weakref.WeakValueDictionary()
)
# A directory of `History.step_directory` and the name of a run in it. What a file says
# is removed by this.
_RUN = re.compile(r'step-\d{8,}(\.2)?/[\w=@+-][\w.=@+-]*')


class History:
  """Evaluations in their order, and the best of their runs.

  Attributes:
    entries: a dict for each: `step`, `epoch`, `metrics`, `counts` and `run`, see
      `callback.EvaluateCallback`.
    best: the run with the highest value, the first of equal ones; None before.
  """

  def __init__(
    self, directory: Path | None, identity: dict[str, Any] | None, best_by: str
  ):
    """Goes on after what a directory holds.

    Args:
      directory: of the history and its best run, None for memory.
      identity: what is evaluated, for JSON; None where `identify` tells it later.
      best_by: the metric that tells which run is the best.

    Raises:
      BeingWritten: another process has a fit there.
      UserError: the directory holds the history of something else, or its best run is
        not there.
    """
    self._directory, self._best_by = directory, best_by
    self._identity = identity and {**identity, 'best_by': best_by}
    self.entries: list[dict[str, Any]] = []
    self.best: Run | None = None
    self._highest: dict[str, Any] | None = None
    self._locks = contextlib.ExitStack()
    if directory is not None:
      self._open(directory)

  def _open(self, directory: Path) -> None:
    """Takes a directory for this process, and what it holds."""
    before = _of_this_process.get(directory)
    if before is not None:
      # Of a fit that did not come to its end, or it hears of it when it goes on.
      before.close()
    with contextlib.ExitStack() as stack:
      stack.enter_context(locks.locked(directory))
      path = directory / FILE
      self.entries = history_file.read_history(path, self._identity, _KEYS, _is_entry)
      self._highest = max(
        (entry for entry in self.entries if entry['run']), key=self._value, default=None
      )
      if self._highest is not None:
        self.best = load_run(directory / self._highest['run'])
      self._remove_others(directory)
      self._locks = stack.pop_all()
    _of_this_process[directory] = self

  @property
  def last_step(self) -> int:
    """The last step of what was evaluated, 0 before."""
    return max((entry['step'] for entry in self.entries), default=0)

  def identify(self, identity: dict[str, Any]) -> None:
    """Says what is evaluated from here on.

    Raises:
      UserError: the directory holds the history of something else.
    """
    self._identity = {**identity, 'best_by': self._best_by}
    if self._directory is not None:
      path = self._directory / FILE
      history_file.read_history(path, self._identity, _KEYS, _is_entry)

  def _remove_others(self, directory: Path) -> None:
    """Removes the runs that a fit which was killed would have removed."""
    best = self._highest and self._highest['run'].partition('/')[0]
    steps = {_name(entry['step'], n) for entry in self.entries for n in (1, 2)} - {best}
    for one in list(directory.glob('*')):
      begun = files.name_of_unfinished(one)
      if begun in steps or one.name in steps and _holds_runs(one):
        locks.remove_unused(one)

  def close(self) -> None:
    """Lets go of the directory."""
    self._locks.close()
    if self._directory is not None and _of_this_process.get(self._directory) is self:
      del _of_this_process[self._directory]

  def _check_open(self) -> None:
    if (
      self._directory is not None and _of_this_process.get(self._directory) is not self
    ):
      raise UserError(
        f'another fit of this process has taken {self._directory}: give each an '
        'output_dir of its own'
      )

  def step_directory(self, step: int) -> Path | None:
    """Returns an empty place for the run of a step, None if runs are not kept.

    A training that begins again has the steps of the one before: the best run of that
    one stays until there is a better one.

    Raises:
      UserError: what is there was not made by this.
    """
    if self._directory is None:
      return None
    self._check_open()
    name = _name(step)
    if self._highest is not None and self._highest['run'].startswith(f'{name}/'):
      name = _name(step, 2)
    directory = self._directory / name
    if not _holds_runs(directory):
      raise UserError(
        f'{directory} holds something else than runs: choose another output_dir'
      )
    locks.remove_unused(directory)  # Of a fit that did not come to its end.
    return directory

  def discard(self, step_directory: Path | None) -> None:
    """Removes what an evaluation that did not come to its end has left."""
    if step_directory is not None:
      with contextlib.suppress(BeingWritten, OSError):
        locks.remove_unused(step_directory)

  def add(self, entry: dict[str, Any], run: Run) -> None:
    """Adds an evaluation; of its run and the best so far one is kept.

    Args:
      entry: without `run`.
      run: in the `step_directory` of its step, if there is one; one that is elsewhere,
        as there was no room, is not kept.

    Raises:
      UserError: the file cannot be written.
    """
    entry['run'] = None
    self.entries.append(entry)
    before, obsolete = self._highest, run.path.parent
    is_stored = self._directory in (None, obsolete.parent)
    is_best = is_stored and (before is None or self._value(entry) > self._value(before))
    if is_best:
      self._highest, self.best = entry, run
    if self._directory is None:
      return
    if is_best:
      obsolete = before and (self._directory / before['run']).parent
      entry['run'] = f'{run.path.parent.name}/{run.path.name}'
      if before is not None:
        before['run'] = None
    history_file.write_history(self._directory / FILE, self._identity, self.entries)
    if obsolete is not None and is_stored:
      with contextlib.suppress(BeingWritten):
        locks.remove_unused(obsolete)

  def _value(self, entry: dict[str, Any]) -> float:
    return entry['metrics'].get(self._best_by, -math.inf)


def _name(step: int, number: int = 1) -> str:
  """Returns the name of the first or second directory of a step."""
  return f'step-{step:08d}' + '.2' * (number == 2)


def _holds_runs(directory: Path) -> bool:
  """Returns whether nothing else than runs is in a directory, which may be missing."""
  return not directory.exists() or all(map(_is_run, directory.iterdir()))


def _is_run(path: Path) -> bool:
  """Returns whether a path is a run directory, which may have just been made."""
  if not path.is_dir():
    return False
  names = [one for one in path.iterdir() if not files.is_leftover(one)]
  return not names or any(one.name == MANIFEST for one in names)


def _is_entry(entry: dict[str, Any]) -> bool:
  return (
    type(entry['step']) is int
    and isinstance(entry['metrics'], dict)
    # Finite, as floats too.
    and all(
      isinstance(value, int | float) and -1e300 < value < 1e300
      for value in entry['metrics'].values()
    )
    and (
      entry['run'] is None
      or isinstance(entry['run'], str)
      and _RUN.fullmatch(entry['run']) is not None
    )
  )
