"""A sweep as a table 80 columns wide, as JSON, and as a figure."""

import pathlib
from collections.abc import Sequence
from typing import Any

from tfeval.analysis.against_base import Effect
from tfeval.reports import figures, terminal
from tfeval.reports.comparison import p_value, points
from tfeval.reports.formats import Output
from tfeval.runs.run import Failure

# What a cell is called that does nothing otherwise.
BASE = 'base'


def write_table(
  effects: Sequence[Effect],
  failed: Sequence[Failure],
  about: dict[str, Any],
  output: Output,
) -> None:
  """Writes what each cell costs against the base, and which there could not be.

  Args:
    effects: of the cells, the base first.
    failed: cells that the base or the model does not allow.
    about: `title`, `level`, `seed` and `paths`, of the runs by cell.
    output: where to.
  """
  level, seed = about['level'], about['seed']
  terminal.print_line(about['title'], output.file)
  rows = []
  for one in effects:
    interval = one.interval(1 - level, seed)
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
  remarks = [
    f'of {effects[0].count.count:,} images; points: hits against the base on the same '
    f'ones, with a paired bootstrap interval of {100 * (1 - level):g} %; Holm p: of '
    'McNemar, for all cells; flips: images whose first class is another one',
    *(f'not evaluated: {one.name}: {one.reason}' for one in failed),
  ]
  terminal.print_remarks(remarks, output.file)


def write_json(
  effects: Sequence[Effect],
  failed: Sequence[Failure],
  about: dict[str, Any],
  output: Output,
) -> None:
  """Writes a JSON object; the arguments are those of `write_table`."""
  level, seed = about['level'], about['seed']
  cells = []
  for one in effects:
    interval = one.interval(1 - level, seed)
    cells.append(
      {
        'cell': one.name,
        'departures': about['departures'][one.name],
        'run': about['paths'][one.name],
        'correct': one.count.correct,
        'count': one.count.count,
        'skipped': one.count.skipped,
        'flips': one.flipped,
        'points': _points(one),
        'interval': None
        if interval is None
        else {
          'method': 'paired bootstrap',
          'level': 1 - level,
          'low': 100 * interval[0],
          'high': 100 * interval[1],
          'seed': seed,
        },
        'p': one.p,
        'p_holm': one.p_holm,
      }
    )
  content = {
    'base': about['base'],
    'labels': about['labels'],
    'metric': about['metric'],
    'cells': cells,
    'not_evaluated': [{'cell': one.name, 'reason': one.reason} for one in failed],
  }
  terminal.print_json(content, output.file)


def _points(one: Effect) -> float | None:
  difference = None if one.hits is None else one.hits.difference
  return None if difference is None else 100 * difference


def write_figure(
  effects: Sequence[Effect], level: float, seed: int, path: pathlib.Path
) -> None:
  """Draws points against the base with their intervals, one line for each cell.

  Args:
    effects: of the cells, the base first.
    level: of significance; intervals cover 1 - level.
    seed: of the resampling.
    path: of the picture, by its suffix PNG, PDF or SVG.

  Raises:
    UserError: matplotlib is not there, or the file cannot be written.
  """
  rows = []
  for one in effects[1:]:
    low, high = one.interval(1 - level, seed) or (0.0, 0.0)
    rows.append((one.name, _points(one) or 0.0, 100 * low, 100 * high))
  figures.draw_effects(path, rows, 'percentage points of hits against the base')
