"""Joins dataset, engine, predictions and metrics: what `tfeval evaluate` calls."""

from collections.abc import Callable, Sequence

from tfeval.datasets.base import ImageDataset
from tfeval.engine import batch_size
from tfeval.engine.benchmark.measure import (
  FEWEST_BATCHES,
  RUNS,
  BenchmarkReport,
  measure_stages,
)
from tfeval.engine.cluster import Cluster
from tfeval.evaluation import asked_metrics, loop, resolve, runtime
from tfeval.evaluation.adaptation import beside
from tfeval.evaluation.config import EvaluationConfig, find_cluster
from tfeval.evaluation.plans import ModelRequest, Plan
from tfeval.metrics.competition import suffix
from tfeval.metrics.entry import ALL, RESTRICTED
from tfeval.models import fitting
from tfeval.runs.expectations import Expectation, check_names
from tfeval.runs.run import Failure, Run
from tfeval.utils import errors, files, paths
from tfeval.utils.errors import UserError
from tfeval.utils.progress import Progress


def evaluate(
  plans: Sequence[Plan],
  progress: Progress,
  expectations: Sequence[Expectation] = (),
) -> list[Run | Failure]:
  """Evaluates models; those that share a protocol and a size share its images.

  Args:
    plans: one for each dataset; where the runs are kept, the devices and the hosts are
      the same in all.
    progress: is told how far it is.
    expectations: of metrics that each dataset has to give.

  Returns:
    A complete run for each dataset and model, in their order, where they are adapted
    the plain one and the adapted one; for one of several that cannot be evaluated what
    is wrong with it; behind them the datasets of suites that are missing. Of several
    hosts only 0 has runs: it waits for the others once its share of all is done.

  Raises:
    UserError: something the user can fix, of the data or of the only model. Runs
      that were complete stay.
    Interrupted: Ctrl-C or SIGTERM; what was evaluated is kept.
  """
  try:
    return _evaluate(plans, progress, expectations)
  except errors.Interrupted:
    raise
  except KeyboardInterrupt as error:
    raise errors.Interrupted(
      f'what was evaluated is kept in {plans[0].config.store.output_dir}: '
      f'{loop.resume_hint(plans[0].config)}'
    ) from error


def _evaluate(
  plans: Sequence[Plan], progress: Progress, expectations: Sequence[Expectation]
) -> list[Run | Failure]:
  config = plans[0].config
  hosts = find_cluster(config)
  # Not an hour later: it may not be possible.
  files.check_directory(paths.path(config.store.output_dir))
  plans, runtimes, missing = _opened(plans, runtime.opener(config, hosts, progress))
  if not plans:
    return missing
  for opened in runtimes:
    check_expected(expectations, opened.dataset, config)
  run = loop.run_jobs if config.adapt is None else beside.run_beside
  return run(plans, runtimes) + missing


def check_expected(
  expectations: Sequence[Expectation], dataset: ImageDataset, config: EvaluationConfig
) -> None:
  """Checks that a dataset gives the metrics of expectations.

  Raises:
    UserError: one is of none of its label sets, rules or metrics.
  """
  labels = ['original', *dataset.label_sets]
  rules = {ALL, RESTRICTED, *(rule.name for rule in dataset.rules)}
  of_ranks = [f'top{k}{suffix(rule)}' for rule in rules for k in (1, 5)]
  names = [*of_ranks, *asked_metrics.names(config)]
  check_names(expectations, [(one, name) for one in labels for name in names])


def _opened(
  plans: Sequence[Plan], open_one: Callable[[EvaluationConfig], runtime.Runtime]
) -> tuple[list[Plan], list[runtime.Runtime], list[Run | Failure]]:
  """Opens datasets; returns the plans of those that are there, these, and the others.

  Raises:
    UserError: one is not there, and not of a suite.
  """
  there, runtimes, missing = [], [], list[Run | Failure]()
  for plan in plans:
    try:
      runtimes.append(open_one(plan.config))
    except UserError as error:
      if plan.of_suite is None:
        raise
      reason = errors.one_line(error, None)
      is_missing = isinstance(error, errors.MissingData)
      missing.append(Failure(plan.of_suite, reason, is_missing=is_missing))
    else:
      there.append(plan)
  return there, runtimes, missing


def measure(
  request: ModelRequest, config: EvaluationConfig, images: int, progress: Progress
) -> BenchmarkReport:
  """Measures where the time of evaluating a model goes on this machine.

  Args:
    request: the model.
    config: how it would be evaluated.
    images: how many images to measure each stage over.
    progress: is told how far it is.

  Raises:
    UserError: something the user can fix.
  """
  (opened,) = runtime.open_runtimes([config], Cluster(), progress)
  opened.log_devices(config)
  dataset, strategy = opened.dataset, opened.strategy
  with strategy.scope():
    model = resolve.load_model(request, config)
    model = fitting.fit(model, dataset.label_space, dataset.own_classes)
  if model.takes_encoded:
    raise UserError(
      f'{model.name} takes encoded images: benchmark measures the stages from these to '
      'pixels, of models that take pixels'
    )
  protocol = resolve.resolve_protocol(request, config, model)
  size = batch_size.of_host(config.devices, model, protocol, strategy)
  opened.test_resizing(protocol, size)
  images = size * max(-(-images // size), FEWEST_BATCHES)
  with progress(request.spec.text, RUNS * images) as advance:
    return measure_stages(
      dataset,
      protocol,
      model,
      strategy,
      size,
      images,
      advance,
      config.devices,
      config.inputs.cache_dir,
    )
