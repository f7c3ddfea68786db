"""What a callback has evaluated, in a file that the next fit goes on after."""

import math
import re
from typing import Any

from tfeval.evaluation.tracking import history_file
from tfeval.runs.result_file import MANIFEST
from tfeval.runs.run import Run, load_run
from tfeval.utils import files
from tfeval.utils.errors import UserError
from tfeval.utils.paths import Path

FILE = 'history.json'
# A directory of `History.step_directory` and the name of a run in it. What a file says
# is removed by this.
_RUN = re.compile(r'step-\d{8,}(\.2)?/[A-Za-z0-9][A-Za-z0-9._=-]*')


class History:
  """Evaluations in their order, and the best of their runs.

  Attributes:
    entries: a dict for each: `step`, `epoch`, `metrics`, `counts` and `run`, see
      `callback.EvaluateCallback`.
    best: the run with the highest value, the first of equal ones; None before.
  """

  def __init__(self, directory: Path | None, identity: dict[str, Any], best_by: str):
    """Goes on after what a directory holds.

    Args:
      directory: of the history and its best run, None for memory.
      identity: what is evaluated, for JSON.
      best_by: the metric that tells which run is the best.

    Raises:
      UserError: the directory holds the history of something else, or its best run is
        not there.
    """
    self._directory, self._best_by = directory, best_by
    self._identity = {**identity, 'best_by': best_by}
    self.entries = (
      []
      if directory is None
      else history_file.read_history(directory / FILE, self._identity, _is_entry)
    )
    self.best: Run | None = None
    self._highest = max(
      (entry for entry in self.entries if entry['run']), key=self._value, default=None
    )
    if self._highest is not None:
      self.best = load_run(directory / self._highest['run'])

  def step_directory(self, step: int) -> Path | None:
    """Returns an empty place for the run of a step, None if runs are not kept.

    A training that begins again has the steps of the one before: the best run of that
    one stays until there is a better one.

    Raises:
      UserError: what is there was not made by this.
    """
    if self._directory is None:
      return None
    name = f'step-{step:08d}'
    if self._highest is not None and self._highest['run'].startswith(f'{name}/'):
      name += '.2'
    directory = self._directory / name
    if directory.exists() and not all(map(_is_run, directory.iterdir())):
      raise UserError(
        f'{directory} holds something else than runs: choose another output_dir'
      )
    files.remove_tree(directory)  # Of a fit that did not come to its end.
    return directory

  def add(self, entry: dict[str, Any], run: Run) -> None:
    """Adds an evaluation; of its run and the best so far one is kept.

    Args:
      entry: without `run`.
      run: in the `step_directory` of its step, if there is one.

    Raises:
      UserError: the file cannot be written.
    """
    entry['run'] = None
    self.entries.append(entry)
    before, obsolete = self._highest, run.path.parent
    is_best = before is None or self._value(entry) > self._value(before)
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
    if obsolete is not None:
      files.remove_tree(obsolete)

  def _value(self, entry: dict[str, Any]) -> float:
    return entry['metrics'].get(self._best_by, -math.inf)


def _is_run(path: Path) -> bool:
  """Returns whether a path is a run directory, which may have just been made."""
  if not path.is_dir():
    return False
  names = {one.name for one in path.iterdir()}
  return MANIFEST in names or names <= {files.LOCK}


def _is_entry(entry: Any) -> bool:
  return (
    isinstance(entry, dict)
    and type(entry.get('step')) is int
    and isinstance(entry.get('metrics'), dict)
    # Finite, as floats too.
    and all(
      isinstance(value, int | float) and -1e300 < value < 1e300
      for value in entry['metrics'].values()
    )
    and (
      entry.get('run') is None
      or isinstance(entry['run'], str)
      and _RUN.fullmatch(entry['run']) is not None
    )
  )
