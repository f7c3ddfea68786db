"""What a watcher has evaluated, in a file after which the next one resumes."""

import itertools
import re
from collections.abc import Callable
from typing import Any

from tfeval.evaluation.tracking import history_file
from tfeval.models.keras.checkpoints import Checkpoint
from tfeval.utils.paths import Path

FILE = 'watched.json'
_KEYS = frozenset(('checkpoint', 'step', 'stamp', 'run', 'metrics', 'counts'))


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
    self.entries = history_file.read_history(self._path, identity, _KEYS, _is_entry)

  def entry(self, checkpoint: Checkpoint) -> dict[str, Any] | None:
    """Returns the entry of a checkpoint as it is now."""
    return next(
      (
        entry
        for entry in self.entries
        if entry['checkpoint'] == checkpoint.name
        and tuple(entry['stamp']) == checkpoint.stamp
      ),
      None,
    )

  def begin(self, checkpoint: Checkpoint, run: str) -> dict[str, Any]:
    """Returns the entry of a checkpoint that is evaluated next, which is written.

    Args:
      checkpoint: as it is now.
      run: the name of its run directory, where no other checkpoint, or version of
        this one, has it.
    """
    entry = self.entry(checkpoint)
    if entry is None:
      taken = {entry['run'] for entry in self.entries}
      names = itertools.chain([run], (f'{run}.{n}' for n in itertools.count(2)))
      step = len(self.entries) if checkpoint.step is None else checkpoint.step
      entry = {
        'checkpoint': checkpoint.name,
        'step': step,
        'stamp': list(checkpoint.stamp),
        'run': next(name for name in names if name not in taken),
        'metrics': None,
        'counts': None,
      }
      self.entries.append(entry)
      self.write()
    return entry

  def write(self) -> None:
    history_file.write_history(self._path, self._identity, self.entries)


def _is_entry(entry: dict[str, Any]) -> bool:
  return (
    isinstance(entry['checkpoint'], str)
    and type(entry['step']) is int
    and isinstance(entry['stamp'], list)
    and len(entry['stamp']) == 2
    and isinstance(entry['run'], str)
    and re.fullmatch(r'[\w.=@+-]*[\w=@+-][\w.=@+-]*', entry['run']) is not None
    and _are(entry['metrics'], _is_figure)
    and _are(entry['counts'], _is_count)
  )


def _are(values: Any, is_one: Callable[[Any], bool]) -> bool:
  """Whether values by their names are all of a kind, or there are none."""
  return values is None or (
    isinstance(values, dict) and all(map(is_one, values.values()))
  )


def _is_figure(value: Any) -> bool:
  """Whether a value is a number that is finite, as a float too, or none is known."""
  return value is None or (type(value) in (int, float) and -1e300 < value < 1e300)


def _is_count(value: Any) -> bool:
  """Whether a value is `[correct, count]`."""
  return (
    isinstance(value, list)
    and [type(one) for one in value] == [int, int]
    and 0 <= value[0] <= value[1] < 1 << 63
  )
