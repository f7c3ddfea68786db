"""A sweep as a table 80 columns wide, as JSON, and as a figure."""

from tfeval.analysis.against_base import Effect, Sweep
from tfeval.reports import terminal
from tfeval.reports.comparison import p_value, points
from tfeval.reports.formats import Output
from tfeval.runs import display


def write_table(found: Sweep, output: Output) -> None:
  """Writes what each cell costs against the base, and which there could not be.

  Args:
    found: the sweep.
    output: where to.
  """
  terminal.print_line(
    f'{found.title}, {display.metric_name(found.labels, found.metric)}, base '
    f'{found.base.result.protocol.text}:',
    output.file,
  )
  rows = []
  for one in found.effects:
    interval = found.interval(one)
    rows.append(
      (
        one.name,
        f'{one.count.correct:,}',
        f'{100 * one.count.correct / max(one.count.count, 1):.2f}',
        '' if one.hits is None else points(one.hits.difference),
        '' if interval is None else f'{points(interval[0])} to {points(interval[1])}',
        '' if one.p_holm is None else p_value(one.p_holm),
        '' if one.hits is None else f'{one.flipped:,}',
      )
    )
  titles = ('', 'correct', '%', 'points', 'interval', 'Holm p', 'flips')
  terminal.print_table(
    terminal.plain_table(titles, rows, numbers=range(1, len(titles))), output.file
  )
  terminal.print_line(file=output.file)
  images, share = found.effects[0].count.count, 100 * (1 - found.level)
  remarks = [
    f'of {images:,} images; points: hits against the base on the same '
    f'ones, with a paired bootstrap interval of {share:g} %; Holm p: of '
    'McNemar, for all cells; flips: images whose first class is another one',
    *(f'not evaluated: {one.name}: {one.reason}' for one in found.failed),
  ]
  terminal.print_remarks(remarks, output.file)


def write_json(found: Sweep, output: Output) -> None:
  """Writes a JSON object; the arguments are those of `write_table`."""
  cells = []
  for one in found.effects:
    interval = found.interval(one)
    cells.append(
      {
        'cell': one.name,
        'departures': dict(found.departures[one.name]),
        'run': str(found.runs[one.name].path),
        'correct': one.count.correct,
        'count': one.count.count,
        'skipped': one.count.skipped,
        'flips': one.flipped,
        'points': _points(one),
        'interval': None
        if interval is None
        else {
          'method': 'paired bootstrap',
          'level': 1 - found.level,
          'low': 100 * interval[0],
          'high': 100 * interval[1],
          'seed': found.seed,
        },
        'p': one.p,
        'p_holm': one.p_holm,
      }
    )
  content = {
    'base': str(found.base.path),
    'labels': found.labels,
    'metric': found.metric,
    'cells': cells,
    'not_evaluated': [{'cell': one.name, 'reason': one.reason} for one in found.failed],
  }
  terminal.print_json(content, output.file)


def _points(one: Effect) -> float | None:
  difference = None if one.hits is None else one.hits.difference
  return None if difference is None else 100 * difference
