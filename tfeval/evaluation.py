"""Joins dataset, engine, predictions and metrics: what `tfeval evaluate` calls."""

from collections.abc import Callable, Sequence

import keras

from tfeval import errors, expectation, recording
from tfeval import hosts as hosts_lib
from tfeval import job as job_lib
from tfeval import place as place_lib
from tfeval import run as run_lib
from tfeval import settings as settings_lib
from tfeval.engine import benchmark, predict, reading
from tfeval.errors import DataError, UserError
from tfeval.hosts import Hosts
from tfeval.job import Job
from tfeval.place import Place
from tfeval.progress import Progress
from tfeval.settings import Request, Settings


def evaluate(wanted: list[Request], settings: Settings, progress: Progress,
             expectations: Sequence[expectation.Expectation] = ()
             ) -> list[run_lib.Run | run_lib.Failure]:
  """Evaluates models one after the other.

  Args:
    wanted: the models.
    settings: how.
    progress: is told how far it is.
    expectations: of metrics that the dataset has to give.

  Returns:
    A complete run for each model, in their order; for one of several that cannot
    be evaluated what is wrong with it. Of several hosts only 0 has them: it waits for
    the others once its share of all models is done.

  Raises:
    UserError: something the user can mend, of the data or of the only model. Runs
      that were complete stay.
    Interrupted: Ctrl-C or SIGTERM; what was evaluated is kept.
  """
  hosts = hosts_lib.find(settings)
  place = place_lib.prepare(settings, hosts, progress)
  expectation.check_names(expectations, [
      (name, f'top{k}')
      for name in ['original', *['real'] * place.dataset.has_real_labels]
      for k in (1, 5)])
  begun: list[run_lib.Run | run_lib.Failure | Job] = []
  for request in wanted:
    begun.append(_or_failure(
        request, wanted, lambda: _evaluate_one(request, settings, place)))  # noqa: B023
    # The layers of one model do no good to the next.
    keras.backend.clear_session()
  if hosts.index > 0:
    return [one for one in begun if not isinstance(one, Job)]
  return [_or_failure(one.request, wanted, one.join) if isinstance(one, Job) else one
          for one in begun]


def _or_failure(request: Request, wanted: list[Request], work: Callable):
  """Returns what work returns, or what is wrong with one of several models."""
  try:
    return work()
  except UserError as error:
    if len(wanted) == 1 or isinstance(error, DataError):
      raise
    return run_lib.Failure(request.spec.text, errors.one_line(error, None))


def _evaluate_one(request: Request, settings: Settings,
                  place: Place) -> run_lib.Run | Job:
  """Evaluates a model, or of several hosts this one's share."""
  with place.strategy.scope():
    model = job_lib.load_model(request, settings)
  job = Job(request, settings, place, model)
  complete = job.complete_run()
  if complete:
    return complete
  try:
    job.start()
    if job.recorder:
      _record(job, settings, place)
    return job.finish() or job
  finally:
    job.close()


def _record(job: Job, settings: Settings, place: Place) -> None:
  """Stores predictions of all images that are not stored yet.

  Raises:
    UserError: an image, the model or the disk is at fault.
    Interrupted: Ctrl-C. What was predicted before that, or before an error, is kept.
  """
  recorder, rest = job.recorder, job.recorder.rest
  at = rest.start
  try:
    with place.progress(job.request.spec.text, len(rest)) as advance, (
        recording.kept_on_failure([recorder])):
      for batch in reading.read(place.dataset, job.protocol, job.batch_size,
                                settings.on_error == settings_lib.SKIP,
                                rest) if rest else ():
        job.take(batch)
        # Images that were skipped on the way are done as well.
        advance(batch.positions[-1] + 1 - at)
        at = batch.positions[-1] + 1
      advance(rest.stop - at)
  except KeyboardInterrupt as error:
    raise errors.Interrupted(
        f'{len(recorder.positions)} of {len(recorder.shard)} images are kept in '
        f'{job.directory}: the same command goes on from there') from error


def measure(request: Request, settings: Settings, images: int,
            progress: Progress) -> benchmark.Report:
  """Measures where the time of evaluating a model goes on this machine.

  Args:
    request: the model.
    settings: how it would be evaluated.
    images: how many images to measure each stage over.
    progress: is told how far it is.

  Raises:
    UserError: something the user can mend.
  """
  place = place_lib.prepare(settings, Hosts(), progress)
  dataset, strategy = place.dataset, place.strategy
  with strategy.scope():
    model = job_lib.load_model(request, settings)
  protocol = job_lib.protocol_for(request, settings, model)
  batch_size = predict.global_batch_size(settings.batch_size, strategy)
  images = batch_size * max(-(-images // batch_size), benchmark.FEWEST_BATCHES)
  with progress(request.spec.text, benchmark.RUNS * images) as advance:
    return benchmark.measure(
        dataset, protocol, model, strategy, batch_size, images, advance,
        settings.jit)
