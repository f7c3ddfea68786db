"""How commands print runs, for people and for programs."""

import sys
import textwrap

from tfeval.cli.command_flags import with_dashes
from tfeval.reports import by_class, terminal
from tfeval.reports import results as tables
from tfeval.runs import display
from tfeval.runs import expectations as expectation
from tfeval.runs import run as run_lib
from tfeval.utils.errors import CheckFailed, UserError


def print_runs(
  runs: list[run_lib.Run | run_lib.Failure], as_json: bool, show_examples: int
) -> None:
  """Prints runs as a list of JSON results, or as tables with their remarks."""
  results = [
    {'model': {'name': run.name}, 'error': with_dashes(run.reason)}
    if isinstance(run, run_lib.Failure)
    else run.result
    for run in runs
  ]
  if as_json:
    terminal.print_json(results)
    return
  for run in runs if show_examples else ():
    if isinstance(run, run_lib.Failure):
      continue
    print(f'{display.model_name(run.result)}, the first answers:')
    columns = ['id', 'label', 'real_labels', 'classes', 'log_probs']
    terminal.print_table(
      tables.examples_table(run.parts(columns), show_examples), sys.stdout
    )
    print()
  for table in tables.results_tables(results, terminal.width_of(sys.stdout)):
    terminal.print_table(table, sys.stdout)
    print()
  for result in results:
    if result.get('confusions'):
      terminal.print_table(by_class.confusions_table(result), sys.stdout)
      print()
  for line in tables.remarks(results):
    print(textwrap.fill(with_dashes(line), 80, subsequent_indent='  '))


def print_failures(runs: list[run_lib.Run | run_lib.Failure]) -> None:
  """Prints on stderr what is wrong with models that could not be evaluated."""
  for run in runs:
    if isinstance(run, run_lib.Failure):
      print(f'tfeval: {run.name}: {with_dashes(run.reason)}', file=sys.stderr)


def exit_code(
  runs: list[run_lib.Run | run_lib.Failure],
  expectations: list[expectation.Expectation],
  models: int | None = None,
) -> int:
  """Returns 0 if every model was evaluated.

  Args:
    runs: what came of the models.
    expectations: of their metrics.
    models: how many there were; as many as there are runs by default.

  Raises:
    UserError: some were not, or lack a metric that is expected.
    CheckFailed: an expectation does not hold.
  """
  failed = [run.name for run in runs if isinstance(run, run_lib.Failure)]
  missed = expectation.missed(
    expectations, [run.result for run in runs if isinstance(run, run_lib.Run)]
  )
  if failed:
    raise UserError(
      '; '.join(
        [
          f'{len(failed)} of {models or len(runs)} models failed: ' + ', '.join(failed),
          *missed,
        ]
      )
    )
  if missed:
    raise CheckFailed('; '.join(missed))
  return 0
