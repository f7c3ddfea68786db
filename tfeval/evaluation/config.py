"""What to evaluate and how, as frozen values, and the flagfile that repeats it."""

import dataclasses
import os
from collections.abc import Iterable, Mapping
from typing import Any

from tfeval.datasets import OPENERS, full_name
from tfeval.datasets.containers import locations
from tfeval.datasets.options import DatasetConfig
from tfeval.engine import cluster
from tfeval.engine.options import (
  AUTO,
  DEVICE,
  DeviceConfig,
  HostsConfig,
  InputConfig,
  check_devices,
)
from tfeval.models import table
from tfeval.models.options import ModelOptions, not_of_applications
from tfeval.runs import run_key
from tfeval.runs.options import StoreConfig
from tfeval.utils import options, paths, spec
from tfeval.utils.errors import UserError
from tfeval.utils.flagfile import line
from tfeval.utils.options import option

PREFLIGHT = ERROR, WARN, OFF = ('error', 'warn', 'off')


@dataclasses.dataclass(frozen=True)
class EvaluationConfig:
  """How models are evaluated: a part for each package that uses it.

  Each option, in whichever part, is a flag of the command line and, but for those of a
  process, a keyword of `tfeval.evaluate`.
  """

  GROUP = 'Models'

  model: ModelOptions = ModelOptions()
  protocol: str = option(
    'opencv',
    'NAME[:field=value,...]: how images become pixels (tfeval protocols); published: '
    "the recipe behind the model's published figure; native: its authors' own.",
    identifies=True,
  )
  preflight: str = option(
    ERROR,
    'Look at the answers to 128 images first. error: stop at a fault, such as another '
    'class order or preprocessing; warn: say so and go on.',
    choices=PREFLIGHT,
  )
  max_loaded_models: int = option(
    4,
    'Most models in memory at once. Those that share a protocol and a size share its '
    'images.',
    least=1,
    repeated=False,
    in_python=False,
  )
  dataset: DatasetConfig = DatasetConfig()
  devices: DeviceConfig = DeviceConfig()
  inputs: InputConfig = InputConfig()
  hosts: HostsConfig = HostsConfig()
  store: StoreConfig = StoreConfig()

  @classmethod
  def of(cls, **values: Any) -> 'EvaluationConfig':
    """Returns a config with values by the names of options.

    Raises:
      UserError: a name that is none.

    >>> EvaluationConfig.of(batch_size=8, dataset='sample').dataset.name
    'sample'
    """
    return options.replace(cls(), **values)

  def replace(self, **values: Any) -> 'EvaluationConfig':
    """Returns a config with some values, by the names of options, exchanged."""
    return options.replace(self, **values)


@dataclasses.dataclass(frozen=True)
class ModelRequest:
  """One model to evaluate.

  Attributes:
    spec: which model.
    weights: `'imagenet'`, `'none'` or a path.
    directory: of the run, inside the output directory.
  """

  spec: spec.Spec
  weights: str
  directory: str


def requests(models: list[str], weights: list[str]) -> list[ModelRequest]:
  """Pairs models with weights and names their run directories.

  Args:
    models: specifications, at least one; `all` is every application.
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
    if weight not in ('imagenet', 'none'):
      if not paths.is_url(weight) and not os.path.exists(os.path.expanduser(weight)):
        raise UserError(
          f'weights file {weight!r} does not exist: `weights` is '
          'imagenet, none or the path of a file'
        )
      weight = paths.absolute(weight)
    key = run_key.RunKey(one.text, weight)
    found.append(ModelRequest(one, weight, key.directory_name))
  if len({r.directory for r in found}) != len(found):
    raise UserError(
      'two models would have the same name in results and run '
      'directories: rename one, or run them one by one'
    )
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
  if config.devices.rank_on == DEVICE and config.store.logits:
    raise UserError(
      '`rank_on=device` keeps outputs on the device, `store_logits` stores all of '
      'them: leave one out'
    )
  if all(request.spec.target in table.known_models() for request in requested):
    given = options.flat(config)
    for name in not_of_applications():
      if given[name] is not None:
        raise UserError(f'`{name}` is known for applications: leave it out')


def find_cluster(
  config: EvaluationConfig, environ: Mapping[str, str] = os.environ
) -> cluster.Cluster:
  """Returns the hosts that options or TF_CONFIG name.

  Raises:
    UserError: they contradict each other, are malformed or missing.
  """
  found = cluster.find_cluster(config.hosts, config.devices.strategy, environ)
  if found.count > 1 and config.store.overwrite:
    raise UserError(
      '`overwrite` with several hosts cannot tell new parts from old: '
      'delete the run directory first, then leave it out'
    )
  if found.count > 1 and config.devices.batch_size == AUTO:
    raise UserError(
      '`batch_size=auto` may be another one on each host: give the same number on all '
      'of them'
    )
  return found


def identity(config: EvaluationConfig) -> dict[str, Any]:
  """Returns the values that tell which evaluations make one curve, for JSON."""
  return {
    field.name: field.of(config)
    for field in options.fields(EvaluationConfig)
    if field.option.identifies
  }


def flagfile(request: ModelRequest, config: EvaluationConfig) -> str:
  """Returns a flagfile that repeats the evaluation of one model."""
  config = for_model(request, config)
  name, class_map = full_name(config.dataset.name), config.model.class_map
  kind, colon, directory = name.partition(':')
  if kind in locations.KINDS:
    name = locations.absolute(name)
  # Of one that is opened by its folder.
  elif colon and kind in OPENERS and os.path.exists(os.path.expanduser(directory)):
    name = f'{kind}:{paths.absolute(directory)}'
  if class_map is not None and os.path.isfile(os.path.expanduser(class_map)):
    class_map = paths.absolute(class_map)
  lines = [
    line('model', request.spec.text),
    line('weights', request.weights),
    *options.flagfile_lines(
      config.replace(dataset=name, class_map=class_map), paths.absolute
    ),
  ]
  return '\n'.join(lines) + '\n'
