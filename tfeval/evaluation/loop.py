"""Models that take the same batches: each image is read and decoded once."""

import contextlib
import dataclasses
from collections.abc import Iterator

import numpy as np

from tfeval.engine import batches, data_service
from tfeval.engine.batches import Batch
from tfeval.evaluation import config
from tfeval.evaluation.config import Settings
from tfeval.evaluation.job import Job
from tfeval.evaluation.outcomes import Outcomes
from tfeval.evaluation.preflight import preflight
from tfeval.evaluation.runtime import Place
from tfeval.utils import errors, termination

# A batch without its pixels, and what models say of it: float32 [n, 1000].
_Answers = tuple[Batch, list[tuple[Job, np.ndarray]]]


def run(jobs: list[Job], settings: Settings, place: Place, outcomes: Outcomes) -> None:
  """Evaluates models on the same images, all that each of them still lacks.

  Args:
    jobs: of one protocol; closed when this returns.
    settings: how.
    place: where.
    outcomes: is given a run for each, the job where other hosts are needed for it,
      or what is wrong.

  Raises:
    UserError: the data, or the only model, are at fault.
    Interrupted: Ctrl-C or SIGTERM; what was evaluated is kept.
  """
  with contextlib.ExitStack() as stack:
    for job in jobs:
      stack.callback(job.close)
    sample = None
    if settings.preflight != config.OFF:
      sample = preflight.sample(
        place.dataset, jobs[0].protocol, skip_errors=(settings.on_error == config.SKIP)
      )
    started = []
    for job in jobs:
      with outcomes.of(job.request):
        complete = job.start(sample)
        if complete:
          outcomes.set(job.request, complete)
        else:
          started.append(job)
    _take_all([job for job in started if job.recorder], settings, place, outcomes)
    for job in started:
      if not outcomes.failed(job.request):
        with outcomes.of(job.request):
          outcomes.set(job.request, job.finish() or job)


def how_to_go_on(settings: Settings) -> str:
  """Returns which command goes on after an interruption."""
  return (
    'the same command '
    + 'without `overwrite` ' * settings.overwrite
    + 'goes on from there'
  )


def _take_all(
  jobs: list[Job], settings: Settings, place: Place, outcomes: Outcomes
) -> None:
  """Gives every batch to the models that lack it."""
  if not jobs:
    return
  for job in jobs:
    job.models = len(jobs)
  rests = [job.recorder.rest for job in jobs]
  rest = range(min(one.start for one in rests), rests[0].stop)
  name = jobs[0].request.spec.text if len(jobs) == 1 else f'{len(jobs)} models'

  def keep() -> str:
    said = [job.keep() for job in jobs if not outcomes.failed(job.request)]
    return f'{", ".join(said)}: {how_to_go_on(settings)}'

  at = rest.start
  try:
    with place.progress(name, len(rest)) as advance:
      for batch, answered in termination.storing(
        _answers(jobs, settings, place, rest, outcomes), keep
      ):
        if all(outcomes.failed(job.request) for job in jobs):
          return
        for job, scores in answered:
          # Batches of a service may be answered before one that fails.
          if not outcomes.failed(job.request):
            with outcomes.of(job.request):
              job.recorder.take(batch, scores)
        # Images that were skipped on the way are done as well.
        advance(batch.positions[-1] + 1 - at)
        at = batch.positions[-1] + 1
      if at < rest.stop:
        advance(rest.stop - at)
  except KeyboardInterrupt as error:
    raise errors.Interrupted(keep()) from error


def _answers(
  jobs: list[Job], settings: Settings, place: Place, rest: range, outcomes: Outcomes
) -> Iterator[_Answers]:
  """Yields batches in order, with the scores of the models that lack them."""
  what = (jobs[0].protocol, jobs[0].batch_size, settings.on_error == config.SKIP, rest)
  address = settings.tf_data_service
  if not rest:
    return
  if address is None:
    for batch in place.read(*what):
      yield _answer(jobs, batch, outcomes)
    return
  # Answers are put into order, and not the pixels: they are far smaller.
  yield from data_service.in_order(
    (
      (start, _answer(jobs, batch, outcomes) if batch else None)
      for start, batch in batches.read_from_service(address, place.dataset, *what)
    ),
    rest[:: jobs[0].batch_size],
  )


def _answer(jobs: list[Job], batch: Batch, outcomes: Outcomes) -> _Answers:
  answered = []
  for job in jobs:
    if batch.positions[0] >= job.recorder.rest.start and not outcomes.failed(
      job.request
    ):
      with outcomes.of(job.request):
        answered.append((job, job.predict(batch)))
  return dataclasses.replace(batch, pixels=None), answered
