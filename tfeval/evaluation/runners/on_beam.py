"""Pieces of a plan on Apache Beam: here, on Dataflow, Flink or Spark."""

import functools
import importlib
import logging
import threading
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from tfeval.evaluation.pieces.options import PieceConfig
from tfeval.evaluation.pieces.places import Places
from tfeval.evaluation.pieces.planned import Plan
from tfeval.evaluation.pieces.standing import Standing
from tfeval.evaluation.runners import beam_options, stretches
from tfeval.evaluation.runners.stretches import Stretch
from tfeval.utils import json_text, paths
from tfeval.utils.errors import UserError, one_line
from tfeval.utils.progress import Advance, Progress

_LOG = logging.getLogger('tfeval')
# How often a pipeline of this machine is run when its workers are ended: as often as
# Dataflow tries a bundle.
_MOST_TRIES = 4
_SECONDS_BETWEEN_LOOKS = 1


class GoesOn(UserError):
  """The pipeline was handed over, and is not waited for."""


def run(
  plan: Plan,
  places: Places,
  config: PieceConfig,
  given: Mapping[str, Any],
  progress: Progress,
) -> dict[int, str]:
  """Does all pieces of a plan, and joins runs that are complete.

  Args:
    plan, places: what to do, and where it is written: where workers see it too.
    config: `beam_args`.
    given: options of workers, by name; plain values.
    progress: is told how far it is.

  Returns:
    Why, of the first pieces that could not be done, at most a thousand.

  Raises:
    UserError: Beam is not installed, options are wrong, or the pipeline failed.
    GoesOn: `beam_args` asks not to wait for it.
    Interrupted: Ctrl-C or SIGTERM. Processes of this machine are ended; elsewhere the
      pipeline goes on.
  """
  _keep_quiet()
  options = beam_options.parse(config.beam_args)
  runner = options.get_all_options()['runner']
  beam_options.check_places(runner, places.output_dir)
  workers = beam_options.workers_of(options)
  cut = stretches.cut(plan, workers)
  if beam_options.is_local(runner):
    cut = stretches.dealt(cut, workers)
  watch = stretches.Watch(plan, Standing(plan, places), cut)
  with progress('pieces', plan.images) as advance:
    for left in reversed(range(_MOST_TRIES)):
      try:
        return _Running(plan, places, options, given).to_end(cut, watch, advance)
      except _WorkersEnded as error:
        if not left:
          raise UserError(
            f'processes of workers were ended {_MOST_TRIES} times ({error}): are they '
            'out of memory? Pieces that are done are kept: run it again'
          ) from error
        _LOG.warning('%s: its pieces are done again', error)
  raise AssertionError


class _WorkersEnded(Exception):
  """A process of this machine was ended."""


class _Running:
  """A pipeline that is run once."""

  def __init__(
    self, plan: Plan, places: Places, options: Any, given: Mapping[str, Any]
  ):
    """Starts nothing yet."""
    self._steps = importlib.import_module('tfeval.evaluation.runners.beam_steps')
    self._options = options
    self._failures = places.root / f'failures-{uuid.uuid4().hex[:12]}.json'
    absolute = [paths.absolute(str(one)) for one in (places.plan, self._failures)]
    self._task = self._steps.Task(absolute[0], plan.id, dict(given), absolute[1])
    self._result: Any = None
    self._error: BaseException | None = None
    self._images = 0

  def to_end(
    self, cut: Sequence[Stretch], watch: stretches.Watch, advance: Advance
  ) -> dict[int, str]:
    """Runs it; see `run`."""
    values = self._options.get_all_options()
    name = values['runner']
    waits = not values['no_wait_until_finish'] or beam_options.is_local(name)
    pipeline = self._pipeline(name, cut)
    # Runners of this machine run within `run`, and nobody else could tell how far.
    thread = threading.Thread(
      target=self._run, args=(pipeline, waits), name='beam', daemon=True
    )
    thread.start()
    try:
      while thread.is_alive():
        thread.join(_SECONDS_BETWEEN_LOOKS)
        more = watch.look() if beam_options.is_local(name) else self._counted()
        if more:
          advance(more)
    except BaseException:
      self._end_here(name)
      raise
    self._check(name)
    if not waits:
      raise GoesOn(self._handed_over(name))
    _LOG.info('Beam: %s', counters_text(self._counters()))
    return self._told()

  def _pipeline(self, name: str, cut: Sequence[Stretch]) -> Any:
    import apache_beam

    try:
      runner = beam_options.make_runner(name)
      pipeline = apache_beam.Pipeline(runner=runner, options=self._options)
    except (ValueError, TypeError) as error:
      if isinstance(error, UserError):
        raise
      text = one_line(error).removeprefix('Pipeline has validations errors: ')
      raise UserError(f'`beam_args`: {text}') from error
    self._steps.add_to(pipeline, self._task, cut)
    return pipeline

  def _run(self, pipeline: Any, waits: bool) -> None:
    try:
      self._result = pipeline.run()
      if waits:
        self._result.wait_until_finish()
    except BaseException as error:
      self._error = error

  def _check(self, name: str) -> None:
    """Raises what ended the pipeline."""
    error = self._error
    if error is None:
      return
    if type(error).__name__ == 'WorkerEnded':
      raise _WorkersEnded(f'a worker of Beam: {one_line(error)}') from error
    if beam_options.is_local(name) and not isinstance(error, OSError):
      raise error  # A defect, with its traceback.
    raise UserError(f'{name}: {one_line(error)}') from error

  def _end_here(self, name: str) -> None:
    if beam_options.is_local(name):
      local = importlib.import_module('tfeval.evaluation.runners.beam_local')
      local.end_workers()

  def _handed_over(self, name: str) -> str:
    job = getattr(self._result, 'job_id', '')
    job = job() if callable(job) else job
    return (
      f'{name} has taken the pipeline {job or ""}, which is not waited for: its last '
      f'step joins the runs; tfeval join {self._task.plan} tells how far it is'
    )

  def _counters(self) -> dict[str, int]:
    """Returns Beam's counters, by name; of distributions their sums."""
    from apache_beam.metrics.metric import MetricsFilter

    filtered = MetricsFilter().with_namespace(self._steps.NAMESPACE)
    try:
      found = self._result.metrics().query(filtered)
    except Exception:  # A runner may have none, or be out of reach for a moment.
      return {}
    counters: dict[str, int] = {}
    for one in found['counters']:
      value = one.attempted if one.attempted is not None else one.committed
      counters[one.key.metric.name] = counters.get(one.key.metric.name, 0) + value
    for one in found['distributions']:
      value = one.attempted if one.attempted is not None else one.committed
      counters[one.key.metric.name] = value.sum
    return counters

  def _counted(self) -> int:
    """Returns how many more images Beam has counted."""
    if self._result is None:
      return 0
    before = self._images
    self._images = max(before, self._counters().get('images', 0))
    return self._images - before

  def _told(self) -> dict[int, str]:
    """Returns the failures that the pipeline has written."""
    try:
      content = json_text.read(self._failures)
    except FileNotFoundError:
      return {}
    try:
      self._failures.unlink()
    except OSError:
      pass  # It is only one file more.
    return {int(number): str(why) for number, why in content}


def counters_text(counters: Mapping[str, int]) -> str:
  """Returns counters in a line.

  >>> counters_text({'pieces_done': 3, 'images': 12})
  'pieces_done 3, images 12'
  """
  return ', '.join(f'{name} {value}' for name, value in counters.items())


@functools.cache
def _keep_quiet() -> None:
  """Keeps what Beam says to itself from being shown, and errors of it on."""
  root = logging.getLogger()
  if not root.handlers:
    # Beam would show all that any library logs.
    root.addHandler(logging.NullHandler())
  # What its workers log, it logs again by the root logger.
  root.addFilter(
    lambda record: (
      record.levelno >= logging.ERROR or 'apache_beam' not in record.pathname
    )
  )
  beam = logging.getLogger('apache_beam')
  if beam.level == logging.NOTSET:
    beam.setLevel(logging.ERROR)
