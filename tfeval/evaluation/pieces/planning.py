"""Cuts what a command would evaluate into pieces."""

import json
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import tfeval
from tfeval import datasets
from tfeval.datasets.base import ImageDataset
from tfeval.datasets.options import DatasetConfig
from tfeval.engine.cluster import Cluster
from tfeval.engine.options import AUTO
from tfeval.evaluation import fingerprint, plans, runtime
from tfeval.evaluation.config import OFF, EvaluationConfig, find_cluster
from tfeval.evaluation.departures import Cell
from tfeval.evaluation.pieces import plan_values, planned
from tfeval.evaluation.pieces.planned import Plan, PlanFile, PlannedConfig, PlannedRun
from tfeval.evaluation.plans import ModelRequest
from tfeval.evaluation.sweep import Sweep
from tfeval.preprocess.corruption_table import NONE
from tfeval.runs.run import Failure
from tfeval.utils.errors import MissingData, UserError, one_line
from tfeval.utils.progress import Progress

# A request, and how it is evaluated.
Asked = tuple[ModelRequest, EvaluationConfig]
Datasets = dict[DatasetConfig, ImageDataset]


def of_plans(evaluations: Sequence[plans.Plan]) -> list[Asked]:
  """Returns each model on each dataset, those of a model together."""
  each = zip(*(plan.requests for plan in evaluations), strict=True)
  configs = [plan.config for plan in evaluations]
  return [
    (request, config)
    for requests in each
    for request, config in zip(requests, configs, strict=True)
  ]


def there(
  evaluations: Sequence[plans.Plan], opened: Datasets
) -> tuple[list[plans.Plan], list[Failure]]:
  """Opens datasets; returns the plans of those that are there, and the others.

  Args:
    evaluations: what is asked for.
    opened: is given the datasets.

  Raises:
    UserError: one is not there, and not of a suite.
  """
  found, missing = [], []
  for one in evaluations:
    try:
      _dataset(one.config, opened)
    except UserError as error:
      if one.of_suite is None:
        raise
      reason, is_missing = one_line(error, None), isinstance(error, MissingData)
      missing.append(Failure(one.of_suite, reason, is_missing=is_missing))
    else:
      found.append(one)
  return found, missing


def _dataset(config: EvaluationConfig, opened: Datasets) -> ImageDataset:
  if config.dataset not in opened:
    opened[config.dataset] = datasets.open_dataset(**vars(config.dataset))
  return opened[config.dataset]


def of_sweep(
  request: ModelRequest,
  config: EvaluationConfig,
  cells: Sequence[Cell],
  progress: Progress,
) -> dict[Cell, Asked | Failure]:
  """Returns the runs of a sweep by cell, or why there can be none.

  The model is loaded: the base says which sizes there are.

  Raises:
    UserError: the data, the model or the base are at fault.
  """
  check(config)
  (opened,) = runtime.open_runtimes([config], Cluster(), progress)
  return Sweep(request, config, opened).runs_of(cells)


def asked_of(cells: Mapping[Cell, Asked | Failure]) -> list[Asked]:
  """Returns the runs of a sweep, each once, whatever cells it is of."""
  runs = [one for one in cells.values() if not isinstance(one, Failure)]
  return list(
    {request.directory: (request, config) for request, config in runs}.values()
  )


def make_plan(
  asked: Sequence[Asked],
  piece_images: int | None = None,
  opened: Datasets | None = None,
) -> Plan:
  """Returns the plan of evaluations.

  Args:
    asked: the runs, those of a model together.
    piece_images: about how many images a piece has; rounded up to whole batches. None:
      as many as a part of the stored predictions.
    opened: datasets that are open.

  Raises:
    UserError: something cannot be done in pieces, or a dataset is not there.
  """
  for _, config in asked:
    check(config)
  size = _piece_size(asked[0][1], piece_images)
  opened = {} if opened is None else opened
  configs: dict[str, tuple[int, PlannedConfig]] = {}
  runs, looked = list[PlannedRun](), set[Hashable]()
  for request, config in asked:
    dataset = _dataset(config, opened)
    number = _numbered(configs, plan_values.values_of(config), dataset)
    model, options = plan_values.model_of(request)
    looks = config.preflight != OFF and (key := _look(request, config)) not in looked
    if looks:
      looked.add(key)
    runs.append(
      PlannedRun(
        directory=request.directory,
        model=model,
        model_options=options,
        weights=request.weights,
        name=request.name,
        label=request.label or request.directory,
        config=number,
        images=dataset.num_examples,
        preflight=looks,
      )
    )
  file = PlanFile(
    kind=planned.KIND,
    schema_version=planned.SCHEMA_VERSION,
    tfeval=tfeval.__version__,
    code_sha256=fingerprint.code_sha256(),
    piece_images=size,
    configs=[config for _, config in configs.values()],
    runs=runs,
  )
  return Plan(file)


def check(config: EvaluationConfig) -> None:
  """Checks that an evaluation can be done in pieces.

  Raises:
    UserError: it cannot.
  """
  if find_cluster(config).count > 1:
    raise UserError(
      'a plan is of workers that know nothing of each other: leave `num_hosts` and '
      '`host_index` out, and TF_CONFIG unset'
    )
  check_values(config)


def check_values(config: EvaluationConfig) -> None:
  """Checks that pieces make what one process would, whatever plan asks for it.

  Raises:
    UserError: they cannot.
  """
  if config.devices.batch_size == AUTO:
    raise UserError(
      '`batch_size=auto` may be another one on each worker: give a number'
    )
  if config.adapt is not None:
    raise UserError(
      f'`adapt={config.adapt}` looks at all images at once, not at pieces of them: '
      'evaluate it with `tfeval evaluate`, the joined run is its plain one'
    )


def described(dataset: ImageDataset) -> dict[str, Any]:
  """Returns what a dataset says of itself, as JSON has it."""
  return json.loads(json.dumps(dataset.describe()))


def _piece_size(config: EvaluationConfig, asked: int | None) -> int:
  """Returns how many positions a piece covers: whole batches."""
  batch_size = int(config.devices.batch_size)
  least = config.store.rows_per_part if asked is None else asked
  return -(-least // batch_size) * batch_size


def _numbered(
  configs: dict[str, tuple[int, PlannedConfig]],
  values: dict[str, Any],
  dataset: ImageDataset,
) -> int:
  """Returns the number of a config, which is added where it is new."""
  key = json.dumps(values, sort_keys=True)
  if key not in configs:
    config = PlannedConfig(options=values, dataset=described(dataset))
    configs[key] = len(configs), config
  return configs[key][0]


def _look(request: ModelRequest, config: EvaluationConfig) -> Hashable:
  """Returns what a model is looked at once for, as `evaluate` does in one process."""
  clean = config.replace(corruption=NONE, corruption_seed=0)
  # Corruptions share their pixels, which are others than those of the clean run.
  return request.spec, request.weights, request.name, clean, config.corruption == NONE
