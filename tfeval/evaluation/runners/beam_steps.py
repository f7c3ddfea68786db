"""The steps of a pipeline of Beam. Imported where Beam is installed.

    stretches -> grouped by key -> pieces done -> counted by run -> runs joined
                                        `-> failures -> one file, bounded

Workers import this module from the tfeval that is installed there: nothing of the main
program is pickled. What travels is a `Task` and numbers; workers read the plan itself.
"""

import dataclasses
import logging
import os
import platform
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.utils.shared import Shared

from tfeval.evaluation.pieces import joining, places, records, worker
from tfeval.evaluation.runners.stretches import Stretch
from tfeval.utils import environment, files, paths, progress
from tfeval.utils.errors import UserError, one_line

_LOG = logging.getLogger('tfeval')
NAMESPACE = 'tfeval'
FAILURES = 'failures'
# Whoever reads them wants to know why, not how often.
MOST_FAILURES = 1000
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


def add_to(pipeline: beam.Pipeline, task: Task, stretches: Sequence[Stretch]) -> None:
  """Adds the steps to a pipeline.

  Args:
    pipeline: of a batch.
    task: what workers are told.
    stretches: of pieces, in the order in which they are best done.
  """
  shared = Shared()
  elements = [(one.key, (one.first, one.stop)) for one in stretches]
  # Grouping breaks fusion: without it, one worker would do all that `Create` makes. Its
  # keys are of one stretch each, so that no engine has to keep two together, and none
  # is hot. They begin with the model: engines that sort by keys, or that give a worker
  # ranges of them, give it stretches of one model. `Reshuffle` has random keys instead.
  done = (
    pipeline
    | 'Stretches' >> beam.Create(elements, reshuffle=False)
    | 'ByModel' >> beam.GroupByKey()
    | 'Do' >> beam.ParDo(DoPieces(task, shared)).with_outputs(FAILURES, main='done')
  )
  _ = (
    done.done
    | 'PiecesOfRun' >> beam.CombinePerKey(sum)
    | 'Join' >> beam.ParDo(JoinRun(task, shared))
  )
  _ = (
    done[FAILURES]
    | 'FirstFailures' >> beam.combiners.Top.Smallest(MOST_FAILURES)
    | 'Tell' >> beam.Map(_write, task.failures)
  )


class _Held:
  """What a process keeps from bundle to bundle: a worker, which has a model."""

  def __init__(self) -> None:
    # TensorFlow is not for threads that load at once, and has its own for computing.
    self.lock = threading.Lock()
    self.users = 0
    # The run of the last piece, and how many of its pieces failed one after another.
    self.failed: tuple[int | None, int] = None, 0
    self._opened: tuple[Any, Any] | None = None
    self._worker: worker.Worker | None = None
    self._joiner: joining.Joiner | None = None

  def check(self, run: int) -> None:
    """Raises `_Failed` where the last pieces of a run failed, all of them."""
    if self.failed[0] == run and self.failed[1] >= _IN_A_ROW:
      raise _Failed(f'not tried, as the {_IN_A_ROW} before it failed')

  def worker(self, task: Task) -> worker.Worker:
    """Returns what does pieces; the caller holds the lock."""
    if self._worker is None:
      _prepare()
      plan, where = self.open(task)
      self._worker = worker.Worker(plan, where, progress.hidden, task.given)
    return self._worker

  def joiner(self, task: Task) -> joining.Joiner:
    """Returns what joins runs; the caller holds the lock."""
    if self._joiner is None:
      _prepare()
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


def _prepare() -> None:
  """Sets what TensorFlow and Keras read when they are imported."""
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '1')
  environment.set_here('KERAS_BACKEND', 'tensorflow')


class _OfTask(beam.DoFn):
  """A step whose instances of one process share a worker."""

  def __init__(self, task: Task, shared: Shared):
    super().__init__()
    self._task, self._shared = task, shared
    self._held: _Held | None = None

  def setup(self) -> None:
    self._held = self._shared.acquire(_Held)
    with self._held.lock:
      self._held.users += 1

  def teardown(self) -> None:
    if self._held is None:
      return
    with self._held.lock:
      self._held.users -= 1
      if not self._held.users:
        self._held.close()
    self._held = None


class DoPieces(_OfTask):
  """Does the pieces of stretches: (key, ranges) -> (run, 1) for each that is done.

  What a user can cause is an element of `FAILURES`, (piece, why). Anything else is
  raised: the engine tries the bundle again, where what is done is left out.
  """

  def __init__(self, task: Task, shared: Shared):
    super().__init__(task, shared)
    self._done = Metrics.counter(NAMESPACE, 'pieces_done')
    self._already = Metrics.counter(NAMESPACE, 'pieces_done_already')
    self._failed = Metrics.counter(NAMESPACE, 'pieces_failed')
    self._images = Metrics.counter(NAMESPACE, 'images')
    self._time = Metrics.distribution(NAMESPACE, 'piece_milliseconds')

  def process(self, element: tuple[str, Iterable[tuple[int, int]]]) -> Iterator[Any]:
    for first, stop in element[1]:
      for number in range(first, stop):
        try:
          yield self._do(number), 1
        except _Failed as error:
          self._failed.inc()
          yield beam.pvalue.TaggedOutput(FAILURES, (number, str(error)))

  def _do(self, number: int) -> int:
    """Does a piece; returns its run.

    Raises:
      _Failed: it cannot be done.
    """
    run, held = None, self._held
    with held.lock:
      try:
        plan, where = held.open(self._task)
        run = plan.piece(number).run
        held.check(run)
        done = held.worker(self._task).do(number)
        held.failed = run, 0
      except UserError as error:
        if run is not None:
          records.fail(where, number, platform.node(), one_line(error))
          held.failed = run, 1 + (held.failed[1] if held.failed[0] == run else 0)
        raise _Failed(one_line(error)) from error
    if done is None:
      self._already.inc()
    else:
      self._done.inc()
      self._images.inc(done.rows)
      self._time.update(round(1000 * done.seconds))
    return run


class _Failed(Exception):
  """Why a piece could not be done."""


class JoinRun(_OfTask):
  """Joins runs whose pieces are done: (run, how many are done) -> nothing.

  Whoever waits for the pipeline joins once more, which finds what is joined, and tells
  why one could not be.
  """

  def __init__(self, task: Task, shared: Shared):
    super().__init__(task, shared)
    self._joined = Metrics.counter(NAMESPACE, 'runs_joined')
    self._not_joined = Metrics.counter(NAMESPACE, 'runs_not_joined')

  def process(self, element: tuple[int, int]) -> None:
    run, count = element
    with self._held.lock:
      try:
        plan, _ = self._held.open(self._task)
        if count < len(plan.pieces(run)):
          self._not_joined.inc()
          return
        self._held.joiner(self._task).join(run)
        self._joined.inc()
      except UserError as error:
        self._not_joined.inc()
        _LOG.warning('run %d is not joined: %s', run, one_line(error))


def _write(failures: Sequence[tuple[int, str]], path: str) -> None:
  """Writes failures to where the program that waits for the pipeline reads them."""
  file = paths.path(path)
  files.make_directory(file.parent)
  files.write_json(file, [list(one) for one in failures])
