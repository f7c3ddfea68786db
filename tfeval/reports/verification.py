"""What checks of run directories found, as text and as JSON."""

import dataclasses
from collections.abc import Sequence

from tfeval.reports import terminal
from tfeval.reports.formats import Output
from tfeval.runs.verification.verify import OK, Check


def write_table(runs: Sequence[tuple[str, Sequence[Check]]], output: Output) -> None:
  """Writes each run's path, and a paragraph for each of its checks."""
  for path, checks in runs:
    terminal.print_line(path, output.file)
    for check in checks:
      text = f'{check.state:<11} {check.name:<10} {check.seen}'
      terminal.print_paragraph(text, output.file, '  ', ' ' * 25)


def write_json(runs: Sequence[tuple[str, Sequence[Check]]], output: Output) -> None:
  """Writes a list with an object for each run."""
  terminal.print_json(
    [
      {
        'run': path,
        'ok': all(check.state == OK for check in checks),
        'checks': [dataclasses.asdict(check) for check in checks],
      }
      for path, checks in runs
    ],
    output.file,
  )
