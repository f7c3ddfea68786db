"""Plans of strangers: they name no code and no program that is not trusted."""

import functools
from collections.abc import Iterator
from typing import Any

from tfeval.evaluation import trusted_values
from tfeval.evaluation.config import EvaluationConfig
from tfeval.evaluation.pieces import plan_values
from tfeval.evaluation.pieces.planned import Plan
from tfeval.utils import options
from tfeval.utils.errors import UserError
from tfeval.utils.paths import Path


def check(plan: Plan, path: Path) -> None:
  """Checks that a plan starts nothing of whoever wrote it.

  Args:
    plan: that was read.
    path: where.

  Raises:
    UserError: a value names code, a program or a service, or might.
  """
  for name, value in _texts(plan):
    if trusted_values.starts(name, value):
      raise _untrusted(path, name, value)
  for model, given in {(run.model, run.model_options) for run in plan.runs}:
    if trusted_values.starts_model(plan_values.spec_of(model, given)):
      raise _untrusted(path, 'model', f'{model} {given or ""}')


def check_protocol(text: str, path: Path) -> None:
  """Checks the protocol that a worker has written down, as `check` does a plan."""
  if trusted_values.starts('protocol', text):
    raise _untrusted(path, 'protocol', text)


def _untrusted(path: Path, name: str, value: str) -> UserError:
  return UserError(
    f'{path}: `{name}={value[:200]}` can run code or reach a service of whoever wrote '
    'it: look at it, and give `trust_model` if you trust it'
  )


def _texts(plan: Plan) -> Iterator[tuple[str, str]]:
  for config in plan.file.configs:
    for name, value in config.options.items():
      for one in value if isinstance(value, list) else [value]:
        if isinstance(one, str) and name not in _choices():
          yield name, one
  seen: set[Any] = set()
  for run in plan.runs:
    if (model := (run.model, run.model_options, run.weights)) not in seen:
      seen.add(model)
      yield 'model', run.model
      yield 'weights', run.weights


@functools.cache
def _choices() -> frozenset[str]:
  """Returns the options of an evaluation whose texts are words of ours, or numbers."""
  return frozenset(
    field.name
    for field in options.fields(EvaluationConfig)
    if field.option.choices or field.kind is not str
  )
