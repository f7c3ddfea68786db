"""How commands print results, for people and for programs."""

import json
import sys
import textwrap
from typing import Any

from tfeval import run as run_lib
from tfeval.reports import tables


def print_json(content: Any) -> None:
  """Prints JSON and nothing else; NaN is a defect, not a value."""
  print(json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False))


def print_runs(runs: list[run_lib.Run], as_json: bool, show_examples: int) -> None:
  """Prints runs as a list of JSON results, or as tables with their remarks."""
  results = [run.result for run in runs]
  if as_json:
    print_json(results)
    return
  for run in runs if show_examples else ():
    print(f'{run.result["model"]["name"]}, the first answers:')
    columns = ['id', 'label', 'real_labels', 'classes', 'log_probs']
    tables.print_table(tables.examples_table(run.parts(columns), show_examples),
                       sys.stdout)
    print()
  tables.print_table(tables.results_table(results), sys.stdout)
  print()
  for line in tables.remarks(results):
    print(textwrap.fill(line, 80, subsequent_indent='  '))
