"""Where experiments are tracked: what `log_to` names, and what a tracker has to do.

Other packages add trackers by entry points in the group `tfeval.trackers`: a class as
`Tracker` describes it.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from tfeval.utils import arguments, errors
from tfeval.utils.errors import UserError
from tfeval.utils.registry import Registry


class Tracker(Protocol):
  """One run of a tracker, which is begun, given values and files, and ended.

  It is made before anything is evaluated, of what stands behind the colon of `log_to`;
  a UserError of that is the user's mistake. All else may raise anything: it is told
  in a line, and the evaluation goes on. All calls come from one thread.
  """

  def __init__(self, where: str):
    """Checks what can be checked without a connection."""

  def begin(self, name: str, config: Mapping[str, Any]) -> None:
    """Begins a run.

    Args:
      name: of it, for readers.
      config: what is evaluated and how: texts, numbers, truths by dotted names.
    """

  def log(self, values: Mapping[str, float], step: int) -> None:
    """Logs finite values by their names, such as `original/top1`."""

  def store(self, files: Mapping[str, Path], folder: str) -> None:
    """Stores files by their names below a folder, `''` for none."""

  def end(self, succeeded: bool) -> None:
    """Ends the run, whose values are then where they are to be."""


TRACKERS: Registry[type[Tracker]] = Registry(
  'tracker',
  {
    'mlflow': 'tfeval.evaluation.tracking.to_mlflow:MlflowTracker',
    'wandb': 'tfeval.evaluation.tracking.to_wandb:WandbTracker',
    'tensorboard': 'tfeval.evaluation.tracking.to_tensorboard:TensorBoardTracker',
  },
  'tfeval.trackers',
)


class Target(NamedTuple):
  """Where to log.

  Attributes:
    kind: the tracker's name.
    where: what it takes, such as a URI.
  """

  kind: str
  where: str

  @property
  def shown(self) -> str:
    """What it is called in messages: without the password of a URI."""
    return f'{self.kind}:{without_password(self.where)}'

  def open(self) -> Tracker:
    """Returns a new tracker.

    Raises:
      UserError: it is not installed, or does not take what was given.
    """
    return TRACKERS[self.kind](self.where)


def without_password(text: str) -> str:
  """Returns a text in which no URI has a user and a password.

  >>> without_password('no http://me:secret@host/x')
  'no http://***@host/x'
  """
  return re.sub(r'(?<=://)[^/@\s]+@', '***@', text)


def targets(asked: str | Sequence[str] | None) -> tuple[Target, ...]:
  """Returns where to log, each once, of which each tracker can be opened.

  Args:
    asked: `NAME:WHERE`, or several; None for nowhere.

  Raises:
    UserError: one is malformed, not known or not installed.
  """
  if asked is None:
    return ()
  texts = [asked] if isinstance(asked, str) else asked
  expected = f'NAME:WHERE of {", ".join(TRACKERS)}'
  found: dict[Target, None] = {}
  for text in arguments.several('log_to', texts, str, expected):
    kind, colon, where = text.partition(':')
    if not colon or not where.strip():
      raise UserError(
        f'`log_to={without_password(text)}` is none: expected NAME:WHERE, such as '
        'mlflow:sqlite:///mlflow.db, wandb:offline or tensorboard:DIR'
      )
    target = Target(kind, where)
    try:
      target.open()
    except UserError as error:
      raise UserError(without_password(str(error))) from error
    except Exception as error:  # The code of another package may raise anything.
      raise UserError(f'`log_to={target.shown}`: {errors.one_line(error)}') from error
    found[target] = None
  return tuple(found)
