"""What a callback has evaluated, in a file that the next fit goes on after."""

import math
import re
from typing import Any

from tfeval import files
from tfeval.errors import UserError
from tfeval.paths import Path
from tfeval.run import Run, load_run

FILE = 'history.json'
_VERSION = 1
# `step_directory` and the name of a run in it. What a file says is removed by this.
_RUN = re.compile(r'step-\d{8,}/[A-Za-z0-9][A-Za-z0-9._=-]*')


def step_directory(directory: Path, step: int) -> Path:
  """Returns where the run of a step is made."""
  return directory / f'step-{step:08d}'


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
    self.entries = [] if directory is None else _read(directory / FILE, self._identity)
    self.best: Run | None = None
    self._highest = max((entry for entry in self.entries if entry['run']),
                        key=self._value, default=None)
    if self._highest is not None:
      self.best = load_run(directory / self._highest['run'])

  def add(self, entry: dict[str, Any], run: Run) -> None:
    """Adds an evaluation; of its run and the best so far one is kept.

    Args:
      entry: without `run`.
      run: in the `step_directory` of its step, if there is a directory.

    Raises:
      UserError: the file cannot be written.
    """
    entry['run'] = None
    self.entries.append(entry)
    worse = entry
    if self._highest is None or self._value(entry) > self._value(self._highest):
      worse, self._highest, self.best = self._highest, entry, run
      if self._directory is not None:
        entry['run'] = f'{run.path.parent.name}/{run.path.name}'
    if worse is not None:
      worse['run'] = None
    if self._directory is None:
      return
    files.write_json(self._directory / FILE, {
        'version': _VERSION, 'of': self._identity, 'evaluations': self.entries})
    if worse is not None and worse['step'] != self._highest['step']:
      files.remove_tree(step_directory(self._directory, worse['step']))

  def _value(self, entry: dict[str, Any]) -> float:
    return entry['metrics'].get(self._best_by, -math.inf)


def _read(path: Path, identity: dict[str, Any]) -> list[dict[str, Any]]:
  if not path.exists():
    return []
  found = files.read_json(path)
  entries = found.get('evaluations') if isinstance(found, dict) else None
  if (not isinstance(entries, list) or found.get('version') != _VERSION
      or not isinstance(found.get('of'), dict) or not all(map(_is_entry, entries))):
    raise UserError(f'{path} is no history that this tfeval can read: choose another '
                    'output_dir')
  for key, value in identity.items():
    there = found['of'].get(key)
    if there != value:
      raise UserError(f'{path} is the history of another evaluation: {key} is '
                      f'{str(there)[:120]} there and {str(value)[:120]} here: choose '
                      'another output_dir')
  return entries


def _is_entry(entry: Any) -> bool:
  return (isinstance(entry, dict) and type(entry.get('step')) is int
          and isinstance(entry.get('metrics'), dict)
          and all(isinstance(value, int | float)
                  for value in entry['metrics'].values())
          and (entry.get('run') is None or isinstance(entry['run'], str)
               and _RUN.fullmatch(entry['run']) is not None))
