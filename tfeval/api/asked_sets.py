"""Test sets that are evaluated together, and the plans of models on them."""

import dataclasses
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tfeval import datasets
from tfeval.api import requests
from tfeval.datasets import suites
from tfeval.evaluation import plans
from tfeval.evaluation.config import EvaluationConfig
from tfeval.preprocess import corruption_table
from tfeval.runs.run import Failure
from tfeval.utils.errors import MissingData, UserError


class Asked(NamedTuple):
  """A dataset that is asked for.

  Attributes:
    name: as `dataset` is given it.
    is_optional: whether it is of a suite, whose other sets go on without it.
  """

  name: str
  is_optional: bool


def asked_sets(
  given: Sequence[str], of_suites: Sequence[str], sets_dir: str | None
) -> list[Asked]:
  """Returns the datasets that are asked for, each once: those given, then of suites.

  Args:
    given: names of datasets.
    of_suites: names or files of suites.
    sets_dir: the folder of folders of test sets.

  Raises:
    UserError: there is none, or no such suite.
  """
  names = [name for suite in of_suites for name in suites.datasets_of(suite)]
  found = [Asked(name, False) for name in given]
  found += [Asked(name, True) for name in dict.fromkeys(names) if name not in given]
  if sets_dir is not None and not os.path.isdir(os.path.expanduser(sets_dir)):
    raise UserError(
      f'`sets_dir={sets_dir}` is no folder: give the one that holds folders of '
      'test sets, each called by the name of its set'
    )
  if sets_dir is not None:
    found = [one._replace(name=suites.placed(one.name, sets_dir)) for one in found]
  found = [one._replace(name=x) for one in found for x in datasets.several(one.name)]
  if not found:
    raise UserError('`dataset` is empty: name one')
  return found


def make_plans(
  models: Any,
  weights: Any,
  asked: Sequence[Asked],
  corruptions: Sequence[str],
  names: Sequence[str],
  config_of: Callable[[str], EvaluationConfig],
) -> tuple[list[plans.Plan], list[Failure]]:
  """Returns what is evaluated.

  Args:
    models, weights: as `requests.requests` takes them.
    asked: the datasets.
    corruptions: as `corruption_table.expand` takes them.
    names: of models or of runs, see `plans.make_plans`.
    config_of: returns how a dataset is evaluated that is not corrupted.

  Returns:
    A plan for each dataset and corruption, and the datasets of suites that are missing.

  Raises:
    UserError: a model is not known, or a dataset is not as it should be: reported at
      once, before TensorFlow is imported; or two runs would be called the same.
  """
  expanded = corruption_table.expand(corruptions)
  each = [
    (one, config)
    for one in asked
    for config in plans.corrupted_configs(config_of(one.name), expanded)
  ]
  configs = [config for _, config in each]
  found = requests.requests(models, weights, configs)
  # Of all, so that runs are called the same whatever is missing.
  planned = plans.make_plans(found, configs, names)
  there: list[plans.Plan] = []
  faults: dict[str, Failure | None] = {}
  for (one, config), plan in zip(each, planned, strict=True):
    if one.name not in faults:
      faults[one.name] = _fault(one, config)
    if faults[one.name] is None:
      name = one.name if one.is_optional else None
      there.append(dataclasses.replace(plan, of_suite=name))
  return there, [fault for fault in faults.values() if fault is not None]


def _fault(one: Asked, config: EvaluationConfig) -> Failure | None:
  """Returns why a dataset of a suite cannot be opened; None: it may be.

  Raises:
    UserError: one of no suite cannot.
  """
  try:
    datasets.check(config.dataset)
  except UserError as error:
    if not one.is_optional:
      raise
    return Failure(one.name, str(error), is_missing=isinstance(error, MissingData))
  return None
