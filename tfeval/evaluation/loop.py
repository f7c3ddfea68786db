"""Models that take the same batches: each image is read and decoded once."""

import contextlib
import dataclasses
from collections.abc import Iterator

import numpy as np

from tfeval.engine import batches, data_service
from tfeval.engine.batches import Batch
from tfeval.evaluation import model_loading
from tfeval.evaluation.config import OFF, EvaluationConfig, ModelRequest
from tfeval.evaluation.job import Job
from tfeval.evaluation.preflight import preflight
from tfeval.evaluation.runtime import Runtime
from tfeval.runs.run import Failure, Run
from tfeval.utils import errors, supervision, termination
from tfeval.utils.errors import DataError, UserError

# A batch without its pixels, and what models say of it: float32 [n, 1000].
_Predictions = tuple[Batch, list[tuple[Job, np.ndarray]]]


def run_jobs(
  requests: list[ModelRequest], config: EvaluationConfig, runtime: Runtime
) -> list[Run | Failure]:
  """Evaluates models; those that share a protocol and a size share its images.

  Args:
    requests: the models.
    config: how.
    runtime: where.

  Returns:
    For each request in order its complete run, or what is wrong with it. Of several
    hosts only 0 waits for the others, once its share of all models is done: another
    one leaves out the runs that host 0 is to join.

  Raises:
    UserError: the data, or the only model, are at fault.
    Interrupted: Ctrl-C or SIGTERM; what was evaluated is kept.
  """
  failures = _Failures(several=len(requests) > 1)
  jobs, logged = [], False
  for group in model_loading.job_groups(requests, config, runtime, failures.of):
    jobs += group
    if group[0].run is None:
      if not logged:
        runtime.log_devices(config)
        logged = True
      _run_group(group, failures)
  if runtime.hosts.index == 0:
    for job in jobs:
      if job.request not in failures.found:
        with failures.of(job.request):
          job.result()
  results = {job.request: job.run for job in jobs if job.run} | failures.found
  return [results[request] for request in requests if request in results]


def run_one(job: Job) -> Run:
  """Returns the run of a single model, evaluated unless it is there already.

  Raises:
    UserError: the data, the model or the directory are at fault.
    Interrupted: Ctrl-C or SIGTERM; what was evaluated is kept.
  """
  if job.find_run() is None:
    _run_group([job], _Failures(several=False))
  return job.result()


def resume_hint(config: EvaluationConfig) -> str:
  """Returns which command resumes after an interruption."""
  return (
    'the same command '
    + 'without `overwrite` ' * config.store.overwrite
    + 'goes on from there'
  )


class _Failures:
  """What is wrong with models; with one of several it stops no other."""

  def __init__(self, several: bool):
    self._several = several
    self.found: dict[ModelRequest, Failure] = {}

  @contextlib.contextmanager
  def of(self, request: ModelRequest) -> Iterator[None]:
    """Where a model may turn out not to be one that can be evaluated.

    Raises:
      UserError: it is the only model, or the data are at fault.
    """
    try:
      yield
    except UserError as error:
      if not self._several or isinstance(error, DataError):
        raise
      reason = errors.one_line(error, None)
      self.found[request] = Failure(request.spec.text, reason)

  def without(self, jobs: list[Job]) -> list[Job]:
    return [job for job in jobs if job.request not in self.found]


def _run_group(jobs: list[Job], failures: _Failures) -> None:
  """Evaluates models on the same images, all that each of them still lacks.

  Args:
    jobs: of one protocol, runtime and config; closed when this returns.
    failures: is given what is wrong with one of them.
  """
  first = jobs[0]
  with contextlib.ExitStack() as stack:
    for job in jobs:
      stack.callback(job.close)
    sample = None
    if first.config.preflight != OFF:
      sample = preflight.read_sample(
        first.runtime.dataset, first.protocol, skip_errors=first.skip_errors
      )
    for job in jobs:
      with failures.of(job.request):
        job.start(sample)
    running = [job for job in failures.without(jobs) if job.recorder]
    try:
      _run_batches(running, failures)
      for job in failures.without(jobs):
        if job.run is None:
          with failures.of(job.request):
            job.finalize()
      supervision.note('')  # All is in place: what comes next is not of these.
    except KeyboardInterrupt as error:
      if not running:
        raise
      raise errors.Interrupted(_flush(running, failures)) from error


def _flush(jobs: list[Job], failures: _Failures) -> str:
  """Writes what jobs were given; says what is kept, and how to resume."""
  kept = ', '.join(job.flush() for job in failures.without(jobs))
  return f'{kept}: {resume_hint(jobs[0].config)}'


def _run_batches(jobs: list[Job], failures: _Failures) -> None:
  """Gives every batch to the models that lack it."""
  if not jobs:
    return
  for job in jobs:
    job.sharing = len(jobs)
  first = jobs[0]
  remaining = [job.recorder.remaining for job in jobs]
  positions = range(min(one.start for one in remaining), remaining[0].stop)
  name = first.request.spec.text if len(jobs) == 1 else f'{len(jobs)} models'

  kept = ', '.join(str(job.directory) for job in jobs)
  supervision.note(
    f'what was evaluated of {name} until then is kept in {kept}: '
    + resume_hint(first.config)
  )
  at = positions.start
  with first.runtime.progress(name, len(positions)) as advance:
    for batch, predicted in termination.storing(
      _predictions(jobs, positions, failures), lambda: _flush(jobs, failures)
    ):
      if not failures.without(jobs):
        return
      for job, scores in predicted:
        # Batches of a service may be predicted before one that fails.
        if job.request not in failures.found:
          with failures.of(job.request):
            job.recorder.append(batch, scores)
      # Images that were skipped on the way are done as well.
      advance(batch.positions[-1] + 1 - at)
      at = batch.positions[-1] + 1
    if at < positions.stop:
      advance(positions.stop - at)


def _predictions(
  jobs: list[Job], positions: range, failures: _Failures
) -> Iterator[_Predictions]:
  """Yields batches in order, with the scores of the models that lack them."""
  first = jobs[0]
  what = first.protocol, first.batch_size, first.skip_errors, positions
  address = first.config.inputs.tf_data_service
  if not positions:
    return
  if address is None:
    for batch in first.runtime.read(*what):
      yield _predict(jobs, batch, failures)
    return
  # Scores are put into order, and not the pixels: they are far smaller.
  yield from data_service.in_order(
    (
      (start, _predict(jobs, batch, failures) if batch else None)
      for start, batch in batches.read_from_service(
        address, first.runtime.dataset, *what
      )
    ),
    positions[:: first.batch_size],
  )


def _predict(jobs: list[Job], batch: Batch, failures: _Failures) -> _Predictions:
  predicted = []
  for job in failures.without(jobs):
    if batch.positions[0] >= job.recorder.remaining.start:
      with failures.of(job.request):
        predicted.append((job, job.predict(batch)))
  return dataclasses.replace(batch, pixels=None), predicted
