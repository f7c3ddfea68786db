"""What a process of Beam's workers keeps from bundle to bundle."""

import dataclasses
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tfeval.evaluation import libraries
from tfeval.evaluation.pieces import places
from tfeval.utils import progress
from tfeval.utils.errors import UserError

if TYPE_CHECKING:
  # With TensorFlow, before whose import the environment is prepared.
  from tfeval.evaluation.pieces.joining import Joiner
  from tfeval.evaluation.pieces.worker import Worker

# Failures in a row after which the rest of a run is not tried: weights that are missing
# would be looked for once for each of its pieces.
_IN_A_ROW = 3


@dataclasses.dataclass(frozen=True)
class Task:
  """What workers are told, once each.

  Attributes:
    plan: path of the plan's file, as workers see it.
    plan_id: which plan it has to be.
    given: options of workers, by name.
    failures: path of the file that failures are written to.
  """

  plan: str
  plan_id: str
  given: Mapping[str, Any]
  failures: str


class Failed(Exception):
  """Why a piece could not be done."""


class Held:
  """What a process keeps from bundle to bundle: a worker, which has a model."""

  def __init__(self) -> None:
    # TensorFlow is not for threads that load at once, and has its own for computing.
    self.lock = threading.Lock()
    self.users = 0
    # The run of the last piece, and how many of its pieces failed one after another.
    self.failed: tuple[int | None, int] = None, 0
    self._opened: tuple[Any, Any] | None = None
    self._worker: Worker | None = None
    self._joiner: Joiner | None = None

  def check(self, run: int) -> None:
    """Raises `Failed` where the last pieces of a run failed, all of them."""
    if self.failed[0] == run and self.failed[1] >= _IN_A_ROW:
      raise Failed(f'not tried, as the {_IN_A_ROW} before it failed')

  def worker(self, task: Task) -> 'Worker':
    """Returns what does pieces; the caller holds the lock."""
    if self._worker is None:
      libraries.prepare()
      from tfeval.evaluation.pieces import worker

      plan, where = self.open(task)
      self._worker = worker.Worker(plan, where, progress.hidden, task.given)
    return self._worker

  def joiner(self, task: Task) -> 'Joiner':
    """Returns what joins runs; the caller holds the lock."""
    if self._joiner is None:
      libraries.prepare()
      from tfeval.evaluation.pieces import joining

      self._joiner = joining.Joiner(*self.open(task), given=task.given)
    return self._joiner

  def open(self, task: Task) -> tuple[Any, Any]:
    """Returns the plan and its places, read once.

    Raises:
      UserError: it is missing here, or another one.
    """
    if self._opened is None:
      plan, where = places.open_plan(task.plan)
      if plan.id != task.plan_id:
        raise UserError(
          f'{task.plan} is plan {plan.id} here, expected {task.plan_id}: workers have '
          'to see the file that the pipeline was made of'
        )
      self._opened = plan, where
    return self._opened

  def close(self) -> None:
    """Lets go of models."""
    if self._worker is not None:
      self._worker.close()
    self._worker = self._joiner = self._opened = None
