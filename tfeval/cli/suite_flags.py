"""Flags of test sets that are evaluated together: which, and where they lie."""

import os
from collections.abc import Sequence
from typing import NamedTuple

from tfeval import datasets
from tfeval.datasets import suites
from tfeval.runs.run import Failure, Run
from tfeval.utils.errors import UserError, listed


class Asked(NamedTuple):
  """A dataset that is asked for.

  Attributes:
    name: as `--dataset` is given it.
    is_optional: whether it is of a suite, whose other sets go on without it.
  """

  name: str
  is_optional: bool


def define(definer) -> None:
  """Defines the flags."""
  known = '; '.join(f'{name}: {one.summary}' for name, one in suites.suites().items())
  definer.multi_string(
    'suite',
    [],
    f'Test sets by the name of all: {known}; or a file with a dataset in each line. '
    'Those that are missing on this machine are rows that say how to get them.',
    module_name='Data',
  )
  definer.string(
    'sets_dir',
    None,
    'Where folders of test sets lie, each by its name, such as objectnet or '
    'imagenet_v2/topimages: they are taken before what TFDS builds.',
    module_name='Data',
  )
  definer.bool(
    'strict',
    False,
    'Exit with 2 where a test set of a suite is missing.',
    module_name='Data',
  )


def asked(flags) -> list[Asked]:
  """Returns the datasets that flags ask for, each once: those given, then of suites.

  The default of `--dataset` is none beside a suite.

  Raises:
    UserError: there is none, or no such suite.
  """
  given = [] if flags.suite and not flags['dataset'].present else flags.dataset
  of_suites = [name for suite in flags.suite for name in suites.datasets_of(suite)]
  if flags.strict and not flags.suite:
    raise UserError('--strict is of --suite: a dataset that is given has to be there')
  found = [Asked(name, False) for name in given]
  found += [Asked(name, True) for name in dict.fromkeys(of_suites) if name not in given]
  folder = flags.sets_dir
  if folder is not None and not os.path.isdir(os.path.expanduser(folder)):
    raise UserError(
      f'--sets_dir={flags.sets_dir} is no folder: give the one that holds folders of '
      'test sets, each called by the name of its set'
    )
  if flags.sets_dir is not None:
    found = [
      one._replace(name=suites.placed(one.name, flags.sets_dir)) for one in found
    ]
  found = [one._replace(name=x) for one in found for x in datasets.several(one.name)]
  if not found:
    raise UserError('--dataset is empty: name one')
  return found


def in_order(flags, runs: Sequence[Run | Failure]) -> list[Run | Failure]:
  """Returns runs, and behind them the missing datasets in the order of flags."""
  order = [one.name for one in asked(flags)]

  def place(run: Run | Failure) -> int:
    if isinstance(run, Failure) and run.is_missing:
      return 1 + order.index(run.name)
    return 0

  return sorted(runs, key=place)


def check_missing(runs: Sequence[Run | Failure], strict: bool) -> None:
  """Checks that enough datasets were there.

  Raises:
    UserError: none was, or one was not and that is asked for.
  """
  missing = [run.name for run in runs if isinstance(run, Failure) and run.is_missing]
  if missing and (strict or len(missing) == len(runs)):
    count = f'{len(missing)} test sets are' if len(missing) > 1 else '1 test set is'
    raise UserError(f'{count} missing: {listed(missing)}')
