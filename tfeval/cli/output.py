"""How commands print runs, for people and for programs."""

import sys
import textwrap

from tfeval import run as run_lib
from tfeval.reports import plain, tables


def print_runs(runs: list[run_lib.Run], as_json: bool, show_examples: int) -> None:
  """Prints runs as a list of JSON results, or as tables with their remarks."""
  results = [run.result for run in runs]
  if as_json:
    plain.print_json(results)
    return
  for run in runs if show_examples else ():
    print(f'{run.result["model"]["name"]}, the first answers:')
    columns = ['id', 'label', 'real_labels', 'classes', 'log_probs']
    plain.print_table(tables.examples_table(run.parts(columns), show_examples),
                      sys.stdout)
    print()
  plain.print_table(tables.results_table(results), sys.stdout)
  print()
  for line in tables.remarks(results):
    print(textwrap.fill(line, 80, subsequent_indent='  '))
