"""How commands print runs, for people and for programs."""

import sys
import textwrap
from collections.abc import Sequence

from tfeval.cli.command_flags import with_dashes
from tfeval.reports import by_class, results, terminal
from tfeval.runs import expectations
from tfeval.runs.run import Failure, Run
from tfeval.utils.errors import CheckFailed, UserError


def print_runs(
  runs: Sequence[Run | Failure], as_json: bool, show_examples: int
) -> None:
  """Prints runs as a list of JSON results, or as tables with their remarks."""
  if as_json:
    terminal.print_json(
      [
        {'model': {'name': run.name}, 'error': with_dashes(run.reason)}
        if isinstance(run, Failure)
        else run.result
        for run in runs
      ]
    )
    return
  complete = [run for run in runs if isinstance(run, Run)]
  for run in complete if show_examples else ():
    print(f'{run.key.model_name}, the first answers:')
    columns = ['id', 'label', 'real_labels', 'classes', 'log_probs']
    terminal.print_table(
      results.examples_table(run.parts(columns), show_examples), sys.stdout
    )
    print()
  for table in results.results_tables(runs, terminal.width_of(sys.stdout)):
    terminal.print_table(table, sys.stdout)
    print()
  for run in complete:
    if run.result.confusions:
      terminal.print_table(by_class.confusions_table(run.result), sys.stdout)
      print()
  for line in results.remarks(runs):
    print(textwrap.fill(with_dashes(line), 80, subsequent_indent='  '))


def print_failures(runs: Sequence[Run | Failure]) -> None:
  """Prints on stderr what is wrong with models that could not be evaluated."""
  for run in runs:
    if isinstance(run, Failure):
      print(f'tfeval: {run.name}: {with_dashes(run.reason)}', file=sys.stderr)


def exit_code(
  runs: Sequence[Run | Failure],
  expected: list[expectations.Expectation],
  models: int | None = None,
) -> int:
  """Returns 0 if every model was evaluated.

  Args:
    runs: what came of the models.
    expected: of their metrics.
    models: how many there were; as many as there are runs by default.

  Raises:
    UserError: some were not, or lack a metric that is expected.
    CheckFailed: an expectation does not hold.
  """
  failed = [run.name for run in runs if isinstance(run, Failure)]
  missed = expectations.missed(
    expected, [run.result for run in runs if isinstance(run, Run)]
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
