"""Which models are evaluated on which datasets, and what their runs are called."""

import dataclasses
import os
from collections.abc import Iterable, Sequence
from typing import Any

from tfeval.analysis import output_adaptation
from tfeval.datasets import full_name, variants
from tfeval.datasets import request as dataset_request
from tfeval.datasets.options import SKIP
from tfeval.engine.options import DEVICE, check_devices
from tfeval.evaluation import asked_metrics
from tfeval.evaluation.adaptation import request as adaptation
from tfeval.evaluation.config import GIVEN, EvaluationConfig
from tfeval.models import patterns, table
from tfeval.models.options import (
  AVERAGES,
  check_class_map,
  leave_out,
  not_of_applications,
)
from tfeval.preprocess.corruption_table import NONE, parse
from tfeval.preprocess.protocol import NO_TTA, with_corruption, with_tta
from tfeval.runs.run import load_run
from tfeval.runs.run_key import RunKey, directory_names
from tfeval.utils import options, paths, spec
from tfeval.utils.errors import UserError
from tfeval.utils.flagfile import line


@dataclasses.dataclass(frozen=True)
class ModelRequest:
  """One model to evaluate.

  Attributes:
    spec: which model.
    weights: `'imagenet'`, `'none'` or a path.
    directory: of the run, inside the output directory.
    name: what results call it; None: what it is asked for by.
    label: what messages call the run.
    loaded: a `models.model.Model`, where it is in memory already; None: it is not.
  """

  spec: spec.Spec
  weights: str
  directory: str = ''
  name: str | None = None
  label: str = ''
  loaded: Any = dataclasses.field(default=None, compare=False)


@dataclasses.dataclass(frozen=True)
class Plan:
  """A dataset and the models to evaluate on it.

  Attributes:
    config: how.
    requests: the models, in the same order in each plan of a command.
    of_suite: what a suite calls the dataset, others of which go on without it where it
      is missing or damaged; None: it has to be there.
  """

  config: EvaluationConfig
  requests: tuple[ModelRequest, ...]
  of_suite: str | None = None


def requests(models: list[str], weights: list[str]) -> list[ModelRequest]:
  """Pairs models with weights.

  Args:
    models: specifications, at least one, or what `patterns.expand` makes some of; `all`
      is every application.
    weights: one for all models, or one for each.

  Raises:
    UserError: no model, a number of weights that fits neither, an unknown
      model, or the same evaluation asked for twice.
  """
  if 'all' in models:
    if len(models) > 1 or len(weights) > 1:
      raise UserError(
        '`model=all` is every application: give no other `model`, and '
        'one `weights` at most'
      )
    models = list(table.known_models())
  models = patterns.expand(models)
  if not models:
    raise UserError('no model was given: `model=NAME`; tfeval models lists them')
  if len(weights) not in (1, len(models)):
    raise UserError(
      f'{len(weights)} `weights` for {len(models)} `model`: give one '
      'for all or one for each'
    )
  specs = [spec.parse(text) for text in models]
  each = weights * len(specs) if len(weights) == 1 else weights
  pairs = list(zip(specs, each, strict=True))
  if len(set(pairs)) != len(pairs):
    raise UserError('the same model with the same weights was given twice')
  found = []
  for one, weight in pairs:
    table.check_name(one)
    # A path must hold from every working directory, a name in the run directory.
    if one.target not in table.known_models() and (
      paths.is_url(one.target) or os.path.exists(one.target)
    ):
      path = paths.absolute(one.target)
      one = spec.Spec(path, path, one.options)
    if weight not in ('imagenet', 'none', AVERAGES):
      if not paths.is_url(weight) and not os.path.exists(os.path.expanduser(weight)):
        raise UserError(
          f'weights file {weight!r} does not exist: `weights` is '
          'imagenet, none, averages or the path of a file'
        )
      weight = paths.absolute(weight)
    found.append(ModelRequest(one, weight, label=one.text))
  return found


def make_plans(
  requested: Sequence[ModelRequest],
  configs: Sequence[EvaluationConfig],
  names: Sequence[str] = (),
) -> list[Plan]:
  """Names the runs of models on datasets, each on each.

  Args:
    requested: the models.
    configs: one for each dataset.
    names: the user's own: one for each model, or one for each run, those of a dataset
      together; none: they are made of what differs from the default.

  Raises:
    UserError: the number of names is another, or two runs would have the same one.
  """
  runs = [(request, config) for config in configs for request in requested]
  if len(names) not in (0, len(requested), len(runs)):
    raise UserError(
      f'{len(names)} `name` for {len(requested)} models on {len(configs)} datasets: '
      'give one for each model, or one for each run'
    )
  each: list[str | None] = [*names] or [None] * len(requested)
  is_whole = len(each) == len(runs)
  if not is_whole:
    each *= len(configs)
  directories = directory_names(
    [
      RunKey(name, adapt=_adapt(config), corruption=_corruption(config))
      if name and is_whole
      else _key(request, config, name)
      for (request, config), name in zip(runs, each, strict=True)
    ]
  )
  for i, directory in enumerate(directories):
    if directory in directories[:i]:
      raise UserError(f'two runs would be called {directory}: give each a `name`')
  named = [
    dataclasses.replace(
      request,
      directory=directory,
      name=name,
      # Of several datasets the name of a model tells no run.
      label=directory if len(configs) > 1 else name or request.spec.text,
    )
    for (request, _), directory, name in zip(runs, directories, each, strict=True)
  ]
  count = len(requested)
  return [
    Plan(config, tuple(named[i * count : (i + 1) * count]))
    for i, config in enumerate(configs)
  ]


def with_operations(text: str, config: EvaluationConfig) -> str:
  """Returns the specification of a protocol with what options add to it.

  Raises:
    UserError: it says something else already, or there is no such corruption.
  """
  text = with_corruption(text, config.corruption, config.corruption_seed)
  return with_tta(text, config.tta)


def corrupted_configs(
  config: EvaluationConfig, corruptions: Sequence[str]
) -> list[EvaluationConfig]:
  """Returns a config for each corruption.

  Args:
    config: of what is done otherwise.
    corruptions: as `corruption_table.expand` returns them.
  """
  found = []
  for one in corruptions:
    # The clean run beside corrupted ones draws nothing.
    seed = 0 if one == NONE and len(corruptions) > 1 else config.corruption_seed
    found.append(config.replace(corruption=one, corruption_seed=seed))
  return found


def directory_name(request: ModelRequest, config: EvaluationConfig) -> str:
  """Returns the name of the directory of a run that is alone in its command."""
  return directory_names([_key(request, config)])[0]


def _key(
  request: ModelRequest, config: EvaluationConfig, name: str | None = None
) -> RunKey:
  """Returns what is asked for, as far as it differs from the default.

  Args:
    request, config: what is evaluated, and how.
    name: of the model; None: its own.
  """
  plain, dataset, devices = EvaluationConfig(), config.dataset, config.devices
  # Of pixels as they are given, their channels are the dataset's.
  is_given = config.protocol.partition(':')[0] == GIVEN
  protocol = with_tta(GIVEN if is_given else config.protocol, config.tta)
  subset = [
    f'{key}={value}'
    for key, value in (
      ('limit', dataset.limit),
      ('sample', dataset.sample),
      ('only', dataset.only and os.path.basename(dataset.only)),
    )
    if value is not None
  ]
  compute = [
    '' if config.model.dtype == plain.model.dtype else config.model.dtype,
    *(way for way in ('jit', 'tf32') if getattr(devices, way)),
  ]
  return RunKey(
    name or request.spec.text,
    None if name else request.weights,
    '' if dataset.name == plain.dataset.name else _dataset_key(dataset.name),
    dataset.split or '',
    ' '.join(subset) or None,
    ''
    if protocol in (plain.protocol, GIVEN, _own_protocol(dataset.name))
    else protocol,
    config.model.input_size,
    ' '.join(filter(None, compute)) or None,
    dataset.labels and paths.absolute(dataset.labels),
    None if name else '-'.join(filter(None, _part(for_model(request, config)))) or None,
    config.model.feed,
    _adapt(config),
    _corruption(config),
  )


def _own_protocol(name: str) -> str | None:
  """Returns the protocol that belongs to a set whose images are cropped already."""
  variant = variants.of_dataset(name)
  return variant.protocol if variant is not None and variant.ready else None


def _dataset_key(name: str) -> str:
  """Returns what a run's name has of its dataset, a path or a name."""
  found = variants.run_name(name)
  if found is not None:
    return found
  return spec.split(dataset_request.absolute(full_name(name)))[0]


def _corruption(config: EvaluationConfig) -> str | None:
  if config.corruption == NONE:
    return None
  seed = f',seed={config.corruption_seed}' if config.corruption_seed else ''
  return parse(config.corruption).in_protocol + seed


def _adapt(config: EvaluationConfig) -> str | None:
  return None if config.adapt is None else adaptation.parse(config.adapt).text


def _part(config: EvaluationConfig) -> tuple[str | None, str | None]:
  """Returns the signature and the tags that are asked for."""
  tags = config.model.tags
  return config.model.signature, None if tags is None else tags or 'no_tags'


def without_adaptation(plans: Sequence[Plan]) -> list[Plan]:
  """Returns the plans of the plain runs beside adapted ones."""
  found = []
  for plan in plans:
    if plan.config.adapt is None:
      found.append(plan)
      continue
    ending = directory_names([RunKey('-', adapt=_adapt(plan.config))])[0][1:]
    requests = (
      dataclasses.replace(one, directory=one.directory.removesuffix(ending))
      for one in plan.requests
    )
    config = plan.config.replace(adapt=None)
    found.append(Plan(config, tuple(requests), plan.of_suite))
  return found


def for_model(request: ModelRequest, config: EvaluationConfig) -> EvaluationConfig:
  """Returns the config that holds for one of several models."""
  if request.spec.target not in table.known_models():
    return config
  return config.replace(**dict.fromkeys(not_of_applications()))


def check_config(requested: Iterable[ModelRequest], config: EvaluationConfig) -> None:
  """Checks that every option is for one of the models at least.

  Raises:
    UserError: all models are applications, and something is given that is known of
      these; or two options contradict each other.
  """
  check_devices(config.devices, config.inputs)
  check_corruption(config)
  asked_metrics.check(config)
  if config.devices.rank_on == DEVICE and config.store.logits:
    raise UserError(
      '`rank_on=device` keeps outputs on the device, `store_logits` stores all of '
      'them: leave one out'
    )
  if config.store.features and (config.tta != NO_TTA or config.adapt is not None):
    other = 'tta' if config.tta != NO_TTA else 'adapt'
    raise UserError(
      f'`store_features` is of the model and of one view of an image: leave `{other}` '
      'out, or the features'
    )
  if config.adapt is not None:
    check_adaptation(config)
  if all(request.spec.target in table.known_models() for request in requested):
    given = options.flat(config)
    for name in not_of_applications():
      if given[name] is not None:
        raise leave_out(name, 'applications')
  check_class_map(config.model.class_map)


def check_corruption(config: EvaluationConfig) -> None:
  """Checks that images are not corrupted twice.

  Raises:
    UserError: those of the dataset are corrupted already.
  """
  variant = variants.of_dataset(config.dataset.name)
  if variant is not None and variant.ready and config.corruption != NONE:
    raise UserError(
      f'`corruption={config.corruption}`: images of {variant.name} are corrupted '
      'already: leave it out'
    )


def check_adaptation(config: EvaluationConfig) -> None:
  """Checks that an adaptation goes together with what else is asked for.

  Raises:
    UserError: it does not, or is none.
  """
  asked = adaptation.parse(config.adapt or '')
  name = f'`adapt={asked.text}`'
  if not asked.OF_LAYERS:
    if not config.store.logits:
      raise UserError(f'{name} needs all outputs: give `store_logits` too')
    if isinstance(asked, adaptation.OfSource):
      output_adaptation.check_outputs(load_run(str(asked.source)))
    return
  if config.devices.resize_on == DEVICE:
    raise UserError(f'{name} takes pixels of the host: leave `resize_on=device` out')
  if config.tta != NO_TTA:
    raise UserError(f'{name} with `tta={config.tta}`: leave one out')
  if config.dataset.on_error == SKIP and asked.text != adaptation.BatchNorm.NAME:
    raise UserError(
      f'{name} computes with batches of so many images: leave `on_error=skip` out'
    )


def portable(config: EvaluationConfig) -> EvaluationConfig:
  """Returns a config whose paths hold from every working directory."""
  class_map, imported = config.model.class_map, config.model.import_module
  name = dataset_request.absolute(full_name(config.dataset.name))
  if class_map is not None and os.path.isfile(os.path.expanduser(class_map)):
    class_map = paths.absolute(class_map)
  if config.adapt is not None:
    config = config.replace(adapt=adaptation.absolute(config.adapt))
  if imported is not None:
    imported = tuple(
      paths.absolute(name) if name.endswith('.py') else name for name in imported
    )
  return config.replace(dataset=name, class_map=class_map, import_module=imported)


def flagfile(request: ModelRequest, config: EvaluationConfig) -> str:
  """Returns a flagfile that repeats the evaluation of one model."""
  config = for_model(request, config)
  lines = [
    line('model', request.spec.text),
    line('weights', request.weights),
    *([line('name', request.name)] if request.name else []),
    *options.flagfile_lines(portable(config), paths.absolute),
  ]
  return '\n'.join(lines) + '\n'
