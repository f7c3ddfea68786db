"""What steps of a pipeline cost, as a table 80 columns wide and as JSON."""

import dataclasses
from collections.abc import Sequence

from tfeval.analysis.explanation.effects import Effect, Measured
from tfeval.reports import terminal
from tfeval.reports.comparison import points
from tfeval.reports.formats import Output


def write_table(
  published: Sequence[Effect], measured: Sequence[Measured], output: Output
) -> None:
  """Writes published effects with their sources, and those measured here.

  Args:
    published: by others.
    measured: on the shared photos.
    output: where to.
  """
  terminal.print_line('Published effects on top-1:', output.file)
  rows = [
    (
      one.axis,
      f'{one.model}: {one.change} [{one.source}]',
      '' if one.before is None else f'{one.before:.2f}',
      '' if one.after is None else f'{one.after:.2f}',
      '' if one.points is None else points(one.points / 100),
    )
    for one in published
  ]
  titles = ('axis', '', 'right', 'otherwise', 'points')
  terminal.print_rows(titles, rows, range(2, 5), output.file)
  terminal.print_line(file=output.file)
  if not measured:
    return
  terminal.print_line('Measured by `tfeval sweep`:', output.file)
  here = [
    (
      one.axis,
      one.value,
      one.model,
      f'{one.correct:,} of {one.count:,}',
      points(one.points / 100),
      f'{points(one.low / 100)} to {points(one.high / 100)}',
    )
    for one in measured
  ]
  heads = ('axis', 'value', 'model', 'hits', 'points', 'interval')
  terminal.print_rows(heads, here, range(3, 6), output.file)
  terminal.print_line(file=output.file)
  terminal.print_remarks(
    [
      'points: against the base opencv, on 294 photos of ImageNet, one of each class, '
      'with a paired bootstrap interval of 95 %'
    ],
    output.file,
  )


def write_json(
  published: Sequence[Effect], measured: Sequence[Measured], output: Output
) -> None:
  """Writes a JSON object; the arguments are those of `write_table`."""
  content = {
    'published': [dataclasses.asdict(one) for one in published],
    'measured': [dataclasses.asdict(one) for one in measured],
  }
  terminal.print_json(content, output.file)
