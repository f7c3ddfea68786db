"""Joins dataset, engine, predictions and metrics: what `tfeval evaluate` calls."""

from collections.abc import Sequence

from tfeval.engine import cluster, forward
from tfeval.engine.benchmark import measure as benchmark
from tfeval.engine.cluster import Cluster
from tfeval.evaluation import loop, model_loading, resolve, runtime
from tfeval.evaluation.config import Request, Settings
from tfeval.evaluation.job import Job
from tfeval.evaluation.outcomes import Outcomes
from tfeval.runs import expectations as expectation
from tfeval.runs import run
from tfeval.utils import errors, files, paths
from tfeval.utils.progress import Progress


def evaluate(
  wanted: list[Request],
  settings: Settings,
  progress: Progress,
  expectations: Sequence[expectation.Expectation] = (),
) -> list[run.Run | run.Failure]:
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
    raise errors.Interrupted(
      f'what was evaluated is kept in {settings.output_dir}: '
      f'{loop.how_to_go_on(settings)}'
    ) from error


def _evaluate(
  wanted: list[Request],
  settings: Settings,
  progress: Progress,
  expectations: Sequence[expectation.Expectation],
) -> list[run.Run | run.Failure]:
  hosts = cluster.find_cluster(settings)
  # An hour later would be late to be told of it.
  files.make_directory(paths.path(settings.output_dir))
  place = runtime.prepare(settings, hosts, progress)
  expectation.check_names(
    expectations,
    [
      (name, f'top{k}')
      for name in ['original', *['real'] * place.dataset.has_real_labels]
      for k in (1, 5)
    ],
  )
  outcomes = Outcomes(wanted)
  for number, group in enumerate(
    model_loading.groups(wanted, settings, place, outcomes)
  ):
    if number == 0:
      place.announce(settings)
    loop.run(group, settings, place, outcomes)
  if hosts.index == 0:
    for request, outcome in outcomes.in_order():
      if isinstance(outcome, Job):
        with outcomes.of(request):
          outcomes.set(request, outcome.join())
  return [outcome for _, outcome in outcomes.in_order() if not isinstance(outcome, Job)]


def measure(
  request: Request, settings: Settings, images: int, progress: Progress
) -> benchmark.BenchmarkReport:
  """Measures where the time of evaluating a model goes on this machine.

  Args:
    request: the model.
    settings: how it would be evaluated.
    images: how many images to measure each stage over.
    progress: is told how far it is.

  Raises:
    UserError: something the user can mend.
  """
  place = runtime.prepare(settings, Cluster(), progress)
  place.announce(settings)
  dataset, strategy = place.dataset, place.strategy
  with strategy.scope():
    model = resolve.load_model(request, settings)
  protocol = resolve.protocol_for(request, settings, model)
  batch_size = forward.global_batch_size(settings.batch_size, strategy)
  place.self_test(protocol, batch_size)
  images = batch_size * max(-(-images // batch_size), benchmark.FEWEST_BATCHES)
  with progress(request.spec.text, benchmark.RUNS * images) as advance:
    return benchmark.measure(
      dataset, protocol, model, strategy, batch_size, images, advance, settings
    )
