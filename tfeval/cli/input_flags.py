"""The flags of commands that run models, as the parts of the config declare them."""

import dataclasses
from collections.abc import Container, Mapping
from typing import Any

from tfeval import datasets
from tfeval.api import asked_sets
from tfeval.api import requests as requesting
from tfeval.cli import command_flags, suite_flags
from tfeval.evaluation import plans
from tfeval.evaluation.config import EvaluationConfig, for_dataset
from tfeval.evaluation.plans import ModelRequest
from tfeval.preprocess import corruption_table
from tfeval.runs.run import Failure
from tfeval.utils import options
from tfeval.utils.errors import UserError
from tfeval.utils.options import PREPROCESSING

_DEFINERS = {str: 'string', int: 'integer', float: 'float', bool: 'bool'}


def define(
  definer,
  parts: Container[str],
  without: Container[str] = (),
  texts: Mapping[str, str] = {},
) -> None:
  """Defines the flags of some parts of `EvaluationConfig`.

  Args:
    definer: of a command.
    parts: names of fields of the config.
    without: options of these that the command does not have.
    texts: help that is other than that of the config, by option.
  """
  declared = list(options.fields(EvaluationConfig))
  names = {field.name for field in declared}
  for field in declared:
    if field.path[0] in parts and field.name not in without:
      define_option(definer, field, names, texts.get(field.name))


def define_option(
  definer, field: options.Field, names: Container[str], text: str | None = None
) -> None:
  """Defines the flag of an option.

  Args:
    definer: of a command.
    field: the option.
    names: of options that its help may name as flags.
    text: other help.
  """
  known = field.option
  text = text or command_flags.with_dashes(known.help, names)
  of_kind: dict[str, Any] = {}
  if known.choices is not None:
    of_kind = {'enum_values': list(known.choices)}
  elif field.kind in (int, float):
    of_kind = {'lower_bound': known.least, 'upper_bound': known.most}
  kind = 'enum' if known.choices is not None else _DEFINERS[field.kind]
  if field.is_many:
    kind = 'multi_string'
  if known.words:
    kind, of_kind['words'] = 'number_or_word', known.words
  if known.alone is not None:
    kind, of_kind['alone'] = 'text_or_alone', known.alone
  getattr(definer, kind)(
    field.name, default=field.default, help=text, module_name=known.group, **of_kind
  )


def define_models(definer, weights: bool = True) -> None:
  """Defines the flags that say which models, and with which weights."""
  definer.multi_string(
    'model',
    [],
    'TARGET[:key=value,...]: an application (tfeval models), the path or URL of a '
    '.keras, .h5 or SavedModel, or module:function; patterns such as ResNet*V2, commas '
    'between several, @FILE with one in each line; all: every application',
    module_name=EvaluationConfig.GROUP,
  )
  if weights:
    definer.multi_string(
      'weights',
      ['imagenet'],
      'imagenet, none, averages (of use_ema=True, in a .keras file), or the path or '
      'URL of a weights file; one for all models or one for each',
      module_name=EvaluationConfig.GROUP,
    )


def define_runs(definer) -> None:
  """Defines the flags that say on which datasets, and what the runs are called."""
  dataset = next(
    field for field in options.fields(EvaluationConfig) if field.name == 'dataset'
  )
  definer.multi_string(
    'dataset',
    [dataset.default],
    f'{dataset.option.help} May be repeated: each model is loaded once.',
    module_name=dataset.option.group,
  )
  suite_flags.define(definer)
  definer.multi_string(
    'corruption',
    [corruption_table.NONE],
    'NAME:SEVERITY: corrupt images as ImageNet-C does, behind its crop of 224 pixels, '
    'whatever the protocol; NAME: at each of its severities; all: each of the 19; '
    'none; commas between several. May be repeated: images are read once for all.',
    module_name=PREPROCESSING,
  )
  definer.multi_string(
    'name',
    [],
    'What a run and its directory are called: one for each model, or for each run, '
    'those of a dataset together (default: the model, and what is not the default).',
    module_name='Output',
  )


def check_no_arguments(arguments: list[str]) -> None:
  """Checks that nothing is given beside flags."""
  if arguments:
    raise UserError(
      f'unexpected argument {arguments[0]!r}: models are given as --model=NAME'
    )


def read_requests(flags, **values: Any) -> tuple[list[ModelRequest], EvaluationConfig]:
  """Returns the models and the config that a command's flags give.

  Args:
    flags: of a command.
    **values: that stand in place of flags, by the names of options.

  Raises:
    UserError: a model is not known, the protocol contradicts itself, or a dataset is
      not as it should be: reported at once, before TensorFlow is imported.
  """
  requests, (given,) = _read(flags, [read_config(flags, **values)])
  return requests, given


def read_plans(flags) -> tuple[list[plans.Plan], list[Failure]]:
  """Returns what a command's flags ask for that may name datasets and corruptions.

  Returns:
    A plan for each dataset, and the datasets of suites that are missing.

  Raises:
    UserError: as `read_requests`, or two runs would be called the same.
  """
  return asked_sets.make_plans(
    flags.model,
    flags.weights,
    suite_flags.asked(flags),
    flags.corruption,
    flags.name,
    lambda name: read_config(flags, dataset=name, corruption=corruption_table.NONE),
  )


def _read(
  flags, given: list[EvaluationConfig]
) -> tuple[list[ModelRequest], list[EvaluationConfig]]:
  requests = _read_models(flags, given)
  for config in given if 'dataset' in flags else ():  # Others read images of their own.
    datasets.check(config.dataset)
  return requests, given


def _read_models(flags, given: list[EvaluationConfig]) -> list[ModelRequest]:
  return requesting.requests(flags.model, flags.weights, given)


def given(flags) -> dict[str, Any]:
  """Returns the values of a command's flags that are options of a config."""
  values = {
    field.name: flags[field.name].value
    for field in options.fields(EvaluationConfig)
    if field.name in flags
  }
  return {
    name: tuple(value) if isinstance(value, list) else value
    for name, value in values.items()
  }


def read_config(flags, **values: Any) -> EvaluationConfig:
  """Returns the config that a command's flags give.

  Args:
    flags: of a command.
    **values: that stand in place of flags, by the names of options.
  """
  config = EvaluationConfig.of(**given(flags) | values)
  return for_dataset(
    dataclasses.replace(config, dataset=datasets.requested(config.dataset))
  )
