"""Models that take the same batches: each image is read and decoded once."""

import contextlib

from tfeval import errors
from tfeval import settings as settings_lib
from tfeval.engine import reading
from tfeval.job import Job
from tfeval.outcomes import Outcomes
from tfeval.place import Place
from tfeval.preflight import preflight
from tfeval.settings import Settings


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
    Interrupted: Ctrl-C; what was evaluated is kept.
  """
  with contextlib.ExitStack() as stack:
    for job in jobs:
      stack.callback(job.close)
    sample = None
    if settings.preflight != settings_lib.OFF:
      sample = preflight.sample(place.dataset, jobs[0].protocol, skip_errors=(
          settings.on_error == settings_lib.SKIP))
    started = []
    for job in jobs:
      with outcomes.of(job.request):
        job.start(sample)
        started.append(job)
    _take_all([job for job in started if job.recorder], settings, place, outcomes)
    for job in started:
      if not outcomes.failed(job.request):
        with outcomes.of(job.request):
          outcomes.set(job.request, job.finish() or job)


def _take_all(jobs: list[Job], settings: Settings, place: Place,
              outcomes: Outcomes) -> None:
  """Gives every batch to the models that lack it."""
  if not jobs:
    return
  rests = [job.recorder.rest for job in jobs]
  rest = range(min(one.start for one in rests), rests[0].stop)
  name = jobs[0].request.spec.text if len(jobs) == 1 else f'{len(jobs)} models'
  at = rest.start
  try:
    with place.progress(name, len(rest)) as advance:
      for batch in reading.read(
          place.dataset, jobs[0].protocol, jobs[0].batch_size,
          settings.on_error == settings_lib.SKIP, rest) if rest else ():
        jobs = [job for job in jobs if not outcomes.failed(job.request)]
        if not jobs:
          return
        for job in jobs:
          if batch.positions[0] >= job.recorder.rest.start:
            with outcomes.of(job.request):
              job.take(batch)
        # Images that were skipped on the way are done as well.
        advance(batch.positions[-1] + 1 - at)
        at = batch.positions[-1] + 1
      advance(rest.stop - at)
  except KeyboardInterrupt as error:
    raise errors.Interrupted(', '.join(
        f'{len(job.recorder.positions)} of {len(job.recorder.shard)} images are kept '
        f'in {job.directory}' for job in jobs)
        + ': the same command goes on from there') from error
