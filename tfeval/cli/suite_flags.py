"""Flags of test sets that are evaluated together: which, and where they lie."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tfeval.datasets import suites
from tfeval.runs.run import Failure, Run
from tfeval.utils.errors import UserError, listed

if TYPE_CHECKING:
  from tfeval.api.asked_sets import Asked


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


def asked(flags) -> 'list[Asked]':
  """Returns the datasets that flags ask for, each once: those given, then of suites.

  The default of `--dataset` is none beside a suite.

  Raises:
    UserError: there is none, or no such suite.
  """
  given = [] if flags.suite and not flags['dataset'].present else flags.dataset
  if flags.strict and not flags.suite:
    raise UserError('--strict is of --suite: a dataset that is given has to be there')
  from tfeval.api import asked_sets  # It reads what is known of models.

  return asked_sets.asked_sets(given, flags.suite, flags.sets_dir)


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
