"""What a watcher has evaluated, in a file that the next one goes on after.

Nothing here imports TensorFlow.
"""

import re
from typing import Any

from tfeval import files
from tfeval.checkpoints import Checkpoint
from tfeval.errors import UserError
from tfeval.paths import Path

FILE = 'watched.json'
_VERSION = 1


class Watched:
  """Checkpoints in the order in which their evaluation began.

  Attributes:
    entries: a dict for each: `checkpoint`, its name; `step`; `stamp`, which version
      of it; `run`, the run directory inside `output_dir`; `metrics` by their names in
      TensorBoard, None until it is evaluated; `counts`, `[correct, count]` of each.
  """

  def __init__(self, directory: Path, identity: dict[str, Any]):
    """Goes on after what a directory holds.

    Args:
      directory: of the run directories and the file.
      identity: what is evaluated, for JSON.

    Raises:
      UserError: the file is of something else, or damaged.
    """
    self._path, self._identity = directory / FILE, identity
    self.entries: list[dict[str, Any]] = self._read()

  def entry(self, checkpoint: Checkpoint) -> dict[str, Any] | None:
    """Returns the entry of a checkpoint as it is now."""
    return next((entry for entry in self.entries
                 if entry['checkpoint'] == checkpoint.name
                 and tuple(entry['stamp']) == checkpoint.stamp), None)

  def begin(self, checkpoint: Checkpoint, run: str) -> dict[str, Any]:
    """Returns the entry of a checkpoint that is evaluated next, which is written.

    Args:
      checkpoint: as it is now.
      run: the name of its run directory, of a first version of the checkpoint.
    """
    entry = self.entry(checkpoint)
    if entry is None:
      before = sum(entry['checkpoint'] == checkpoint.name for entry in self.entries)
      step = len(self.entries) if checkpoint.step is None else checkpoint.step
      entry = {'checkpoint': checkpoint.name, 'step': step,
               'stamp': list(checkpoint.stamp),
               'run': f'{run}.{before + 1}' if before else run,
               'metrics': None, 'counts': None}
      self.entries.append(entry)
      self.write()
    return entry

  def write(self) -> None:
    files.write_json(self._path, {'version': _VERSION, 'of': self._identity,
                                  'checkpoints': self.entries})

  def _read(self) -> list[dict[str, Any]]:
    if not self._path.exists():
      return []
    found = files.read_json(self._path)
    entries = found.get('checkpoints') if isinstance(found, dict) else None
    if (not isinstance(entries, list) or found.get('version') != _VERSION
        or not isinstance(found.get('of'), dict) or not all(map(_is_entry, entries))):
      raise UserError(f'{self._path} is not what this tfeval writes: choose another '
                      '--output_dir')
    for key, value in self._identity.items():
      there = found['of'].get(key)
      if there != value:
        raise UserError(f'{self._path} is of another watch: {key} is '
                        f'{str(there)[:120]} there and {str(value)[:120]} here: choose '
                        'another --output_dir')
    return entries


def _is_entry(entry: Any) -> bool:
  return (isinstance(entry, dict) and isinstance(entry.get('checkpoint'), str)
          and type(entry.get('step')) is int
          and isinstance(entry.get('stamp'), list) and len(entry['stamp']) == 2
          and isinstance(entry.get('run'), str)
          and re.fullmatch(r'[A-Za-z0-9._=@-]*[A-Za-z0-9_=@-][A-Za-z0-9._=@-]*',
                           entry['run']) is not None
          and all(isinstance(entry.get(key), dict | None)
                  for key in ('metrics', 'counts')))
