"""Joins dataset, engine, predictions and metrics: what `tfeval evaluate` calls."""

from collections.abc import Sequence

from tfeval import errors, expectation, files, loading_ahead, paths, requested, together
from tfeval import hosts as hosts_lib
from tfeval import place as place_lib
from tfeval import run as run_lib
from tfeval.engine import benchmark, predict
from tfeval.hosts import Hosts
from tfeval.job import Job
from tfeval.outcomes import Outcomes
from tfeval.progress import Progress
from tfeval.settings import Request, Settings


def evaluate(wanted: list[Request], settings: Settings, progress: Progress,
             expectations: Sequence[expectation.Expectation] = ()
             ) -> list[run_lib.Run | run_lib.Failure]:
  """Evaluates models; those that share a protocol and a size share its images.

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
  try:
    return _evaluate(wanted, settings, progress, expectations)
  except errors.Interrupted:
    raise
  except KeyboardInterrupt as error:
    raise errors.Interrupted(f'what was evaluated is kept in {settings.output_dir}: '
                             f'{together.how_to_go_on(settings)}') from error


def _evaluate(wanted: list[Request], settings: Settings, progress: Progress,
              expectations: Sequence[expectation.Expectation]
              ) -> list[run_lib.Run | run_lib.Failure]:
  hosts = hosts_lib.find(settings)
  # An hour later would be late to be told of it.
  files.make_directory(paths.path(settings.output_dir))
  place = place_lib.prepare(settings, hosts, progress)
  expectation.check_names(expectations, [
      (name, f'top{k}')
      for name in ['original', *['real'] * place.dataset.has_real_labels]
      for k in (1, 5)])
  outcomes = Outcomes(wanted)
  for number, group in enumerate(
      loading_ahead.groups(wanted, settings, place, outcomes)):
    if number == 0:
      place.announce(settings)
    together.run(group, settings, place, outcomes)
  if hosts.index == 0:
    for request, outcome in outcomes.in_order():
      if isinstance(outcome, Job):
        with outcomes.of(request):
          outcomes.set(request, outcome.join())
  return [outcome for _, outcome in outcomes.in_order() if not isinstance(outcome, Job)]


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
  place.announce(settings)
  dataset, strategy = place.dataset, place.strategy
  with strategy.scope():
    model = requested.load_model(request, settings)
  protocol = requested.protocol_for(request, settings, model)
  batch_size = predict.global_batch_size(settings.batch_size, strategy)
  place.self_test(protocol, batch_size)
  images = batch_size * max(-(-images // batch_size), benchmark.FEWEST_BATCHES)
  with progress(request.spec.text, benchmark.RUNS * images) as advance:
    return benchmark.measure(
        dataset, protocol, model, strategy, batch_size, images, advance,
        settings)
