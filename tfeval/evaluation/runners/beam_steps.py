"""The steps of a pipeline of Beam. Imported where Beam is installed.

    stretches -> grouped by key -> pieces done -> counted by run -> runs joined
                                        `-> failures -> one file, bounded

Workers import this module from the tfeval that is installed there: nothing of the main
program is pickled. What travels is a `Task` and numbers; workers read the plan itself.
"""

import logging
import platform
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.utils.shared import Shared

from tfeval.evaluation.runners.beam_held import Failed, Held, Task
from tfeval.evaluation.runners.stretches import Stretch
from tfeval.utils import files, paths
from tfeval.utils.errors import UserError, one_line

_LOG = logging.getLogger('tfeval')
NAMESPACE = 'tfeval'
FAILURES = 'failures'
# Whoever reads them wants to know why, not how often.
MOST_FAILURES = 1000


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


class _OfTask(beam.DoFn):
  """A step whose instances of one process share a worker."""

  def __init__(self, task: Task, shared: Shared):
    super().__init__()
    self._task, self._shared = task, shared
    self._held: Held | None = None

  def setup(self) -> None:
    self._held = self._shared.acquire(Held)
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
        except Failed as error:
          self._failed.inc()
          yield beam.pvalue.TaggedOutput(FAILURES, (number, str(error)))

  def _do(self, number: int) -> int:
    """Does a piece; returns its run.

    Raises:
      Failed: it cannot be done.
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
          from tfeval.evaluation.pieces import records  # With TensorFlow.

          records.fail(where, number, platform.node(), one_line(error))
          held.failed = run, 1 + (held.failed[1] if held.failed[0] == run else 0)
        raise Failed(one_line(error)) from error
    if done is None:
      self._already.inc()
    else:
      self._done.inc()
      self._images.inc(done.rows)
      self._time.update(round(1000 * done.seconds))
    return run


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
