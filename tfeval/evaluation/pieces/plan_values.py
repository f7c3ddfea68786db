"""Configs and models as a plan has them: plain values by the names of options."""

from typing import Any

from tfeval import datasets
from tfeval.evaluation import plans
from tfeval.evaluation.config import EvaluationConfig, for_dataset
from tfeval.evaluation.plans import ModelRequest
from tfeval.utils import options, paths, spec
from tfeval.utils.errors import UserError

# Said by whoever runs a worker, never by a plan.
_OF_WORKERS = ('trust_model',)


def _planned() -> dict[str, options.Field]:
  """Returns the options that a plan may have: what is evaluated and how."""
  return {
    field.name: field
    for field in options.fields(EvaluationConfig)
    if field.option.repeated and field.name not in _OF_WORKERS
  }


def values_of(config: EvaluationConfig) -> dict[str, Any]:
  """Returns the options of a config that are not the default, for JSON.

  Paths are absolute: workers have to see the same files at the same places.

  Raises:
    UserError: one is an object of this process.
  """
  config, found = plans.portable(config), {}
  for name, field in _planned().items():
    value = field.of(config)
    if value == field.default:
      continue
    if field.is_many:
      value = list(value)
    elif field.option.is_path:
      value = paths.absolute(value)
    if not isinstance(value, str | int | float | bool | list | None):
      raise UserError(
        f'`{name}` is {str(value)[:80]} of this process, which no other has: name it'
      )
    found[name] = value
  return found


def config_of(values: dict[str, Any], **of_worker: Any) -> EvaluationConfig:
  """Returns the config that a plan's values mean.

  Args:
    values: what `values_of` returned.
    **of_worker: options of this process, such as `cache_dir`, by name.

  Raises:
    UserError: one is no option of a plan, or has a value that it cannot have.
  """
  known = _planned()
  for name in values:
    if name not in known:
      raise UserError(f'the plan has {str(name)[:80]!r}, which is no option of plans')
  plain = {
    name: tuple(value) if isinstance(value, list) else value
    for name, value in values.items()
  }
  config = options.checked(EvaluationConfig.of(**plain | of_worker))
  dataset = datasets.requested(config.dataset)
  return for_dataset(config.replace(**options.flat(dataset)))


def model_of(request: ModelRequest) -> tuple[str, str | None]:
  """Returns how a plan names a model: its text, and its options where that has none.

  Raises:
    UserError: it is in the memory of this process.
  """
  if request.loaded is not None:
    raise UserError(
      f'{request.label} is in the memory of this process, which no other has: save it '
      'and name the file, or evaluate it here'
    )
  text = request.spec.text
  if spec.parse(text) == request.spec:
    return text, None
  return text, ','.join(f'{key}={value!r}' for key, value in request.spec.options)


def spec_of(text: str, given: str | None) -> spec.Spec:
  """Returns the specification of a model that `model_of` names.

  Raises:
    UserError: it is malformed.
  """
  if given is None:
    return spec.parse(text)
  if not given:
    return spec.Spec(text, text)
  options = spec.parse(f'x:{given}')
  if options.target != 'x':
    raise UserError(f'{given[:80]!r} are no options of {text[:80]}: give key=value,...')
  return spec.Spec(text, text, options.options)
