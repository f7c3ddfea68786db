"""What checks of run directories found, as text and as JSON."""

import dataclasses

from tfeval.reports import terminal
from tfeval.reports.formats import Output
from tfeval.runs.verification.verify import Verification


def write_table(runs: Verification, output: Output) -> None:
  """Writes each run's path, and a paragraph for each of its checks."""
  for run in runs:
    terminal.print_line(run.path, output.file)
    for check in run.checks:
      text = f'{check.state:<11} {check.name:<10} {check.seen}'
      terminal.print_paragraph(text, output.file, '  ', ' ' * 25)


def write_json(runs: Verification, output: Output) -> None:
  """Writes a list with an object for each run."""
  terminal.print_json(
    [
      {
        'run': run.path,
        'ok': run.ok,
        'checks': [dataclasses.asdict(check) for check in run.checks],
      }
      for run in runs
    ],
    output.file,
  )
