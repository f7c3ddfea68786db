"""Models on several test sets as tables 80 columns wide and up, CSV, Markdown, JSON."""

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any

from tfeval.analysis.across.cells import Cell, Gap
from tfeval.analysis.across.places import Place
from tfeval.analysis.across.table import MEAN, Across, Row
from tfeval.metrics import intervals
from tfeval.models import published_on_sets
from tfeval.reports import terminal
from tfeval.reports.formats import Output
from tfeval.runs import display
from tfeval.utils.errors import listed

_MEASURES = {
  'mean_error': 'mean error %',
  'mCE': 'mCE',
  'relative_mCE': 'relative mCE',
  'shape_bias': 'shape bias %',
  'decided': 'decided %',
  'class_mean': 'mean of classes %',
  'aupr': 'AUPR %',
  'auroc': 'AUROC %',
  'fpr': 'FPR 95 %',
}
_COUNTS = ('unknown', 'known')
_CSV = (
  *('model', 'dataset', 'rule', 'labels', 'correct', 'count', 'skipped', 'value'),
  *('low', 'high', 'rank', 'change', 'gap_points', 'gap_low', 'gap_high', 'clean_rule'),
  *('clean_correct', 'clean_count', 'effective_robustness', 'relative_robustness'),
)


def write_table(found: Across, output: Output) -> None:
  """Writes an overview, a table for each set, and what must be known."""
  width = terminal.width_of(output.file)
  titles, *lines = _overview_cells(found)
  for table in _tables(titles, lines, width):
    terminal.print_table(table, output.file)
    terminal.print_line(file=output.file)
  for place in found.places:
    terminal.print_paragraph(set_title(place), output.file)
    for table in _tables(*_set_rows(found, place), width):
      terminal.print_table(table, output.file)
      terminal.print_line(file=output.file)
  terminal.print_remarks(map(output.wording, remarks(found)), output.file)


def write_markdown(found: Across, output: Output) -> None:
  """Writes the overview and each set as tables of Markdown."""
  terminal.print_markdown_table(_overview_rows(found), output.file)
  for place in found.places:
    terminal.print_line(file=output.file)
    terminal.print_line(f'**{set_title(place)}**', output.file)
    terminal.print_line(file=output.file)
    titles, rows = _set_rows(found, place)
    aligned = ['---', *['---:'] * (len(titles) - 1)]
    terminal.print_markdown_table([titles, aligned, *rows], output.file)
  terminal.print_line(file=output.file)
  terminal.print_markdown_list(map(output.wording, remarks(found)), output.file)


def write_csv(found: Across, output: Output) -> None:
  """Writes a line for each model on each set, rates in 0..1, gaps in points."""
  extras = list(dict.fromkeys(itertools.chain(*_extras(found))))
  lines = []
  for row in found.rows:
    for place in found.places:
      if place.name in row.cells:
        entry = cell_entry(row.cells[place.name], place)
        values = {'model': row.name, 'dataset': place.name} | _flat(entry)
        lines.append([values.get(name) for name in (*_CSV, *extras)])
  terminal.print_csv([[*_CSV, *extras], *lines], output.file)
  terminal.print_remarks(map(output.wording, remarks(found)), output.aside)


def write_json(found: Across, output: Output) -> None:
  """Writes a JSON object with all of it."""
  terminal.print_json(content(found, output.wording), output.file)


def content(found: Across, wording: Callable[[str], str] = str) -> dict[str, Any]:
  """Returns all of it as JSON can hold it."""
  return {
    'sort': found.sort,
    'base': found.base,
    'mean_over': found.shared,
    'datasets': [
      {
        'name': place.name,
        'title': place.name if place.variant is None else place.variant.title,
        'rule': place.rule,
        'labels': place.labels,
        'clean': place.clean or None,
      }
      for place in found.places
    ],
    'rows': [
      {
        'model': row.name,
        'mean': row.mean,
        'datasets': {
          place.name: cell_entry(row.cells[place.name], place)
          | {'timm': _published(row.name, place)}
          for place in found.places
          if place.name in row.cells
        },
      }
      for row in found.rows
    ],
    'failures': [
      {'name': one.name, 'error': wording(one.reason)} for one in found.failures
    ],
    'remarks': [*map(wording, remarks(found))],
  }


def cell_entry(cell: Cell, place: Place) -> dict[str, Any]:
  """Returns a model on a set as JSON holds it."""
  entry: dict[str, Any] = {
    'value': cell.value,
    'rule': place.rule,
    'labels': place.labels,
    'rank': cell.rank,
    'change': cell.change,
    'effective_robustness': cell.robustness,
    'relative_robustness': cell.relative,
    'measures': cell.extra,
    'runs': [str(run.path) for run in cell.runs],
  }
  if cell.count is not None:
    counted = cell.count
    low, high = _interval(counted.correct, counted.count)
    entry |= {
      'correct': counted.correct,
      'count': counted.count,
      'skipped': counted.skipped,
      'low': low,
      'high': high,
    }
  if cell.gap is not None:
    entry['gap'] = {
      'points': cell.gap.points,
      'low': cell.gap.low,
      'high': cell.gap.high,
      'clean_rule': cell.gap.rule,
      'clean_correct': cell.gap.clean.correct,
      'clean_count': cell.gap.clean.count,
    }
  return entry


def _flat(entry: dict[str, Any]) -> dict[str, Any]:
  gap = entry.get('gap') or {}
  named = {key if key.startswith('clean') else f'gap_{key}': gap[key] for key in gap}
  return entry | named | entry['measures']


def _extras(found: Across) -> Iterator[list[str]]:
  for row in found.rows:
    for cell in row.cells.values():
      yield list(cell.extra)


def _interval(correct: int, count: int) -> tuple[float | None, float | None]:
  return intervals.wilson(correct, count) if count else (None, None)


def _tables(
  titles: list[Any], lines: list[list[Any]], width: int
) -> list[terminal.Table]:
  """Returns what stands beside a name, in as many tables as it takes."""
  needed = [
    max(map(terminal.width_of_cell, column))
    for column in zip(titles, *lines, strict=True)
  ]
  blocks: list[list[int]] = [[]]
  used = needed[0]
  for i in range(1, len(titles)):
    if blocks[-1] and used + terminal.GAP + needed[i] > width:
      blocks.append([])
      used = needed[0]
    blocks[-1].append(i)
    used += terminal.GAP + needed[i]
  tables = []
  for block in blocks:
    table = terminal.new_table()
    table.add_column(titles[0], overflow='fold')
    for i in block:
      table.add_column(titles[i], justify='right')
    for line in lines:
      table.add_row(line[0], *(line[i] for i in block))
    tables.append(table)
  return tables


def _overview_cells(found: Across) -> list[list[Any]]:
  titles: list[Any] = ['model, %']
  titles += [_two_lines(place.name) for place in found.places]
  means = len(found.shared) > 1
  lines: list[list[Any]] = []
  for row in found.rows:
    cells = [_percent(_value(row, place)) for place in found.places]
    lines.append([row.name, *cells, *([_percent(row.mean)] if means else [])])
  return [[*titles, *([MEAN] if means else [])], *lines]


def _two_lines(name: str) -> terminal.Cell:
  return tuple(name.replace('/', '/ ').split(' ')) if '/' in name else name


def _overview_rows(found: Across) -> Iterator[list[str]]:
  titles, *lines = _overview_cells(found)
  yield [''.join(title) if isinstance(title, tuple) else title for title in titles]
  yield ['---', *['---:'] * (len(titles) - 1)]
  yield from lines


def _value(row: Row, place: Place) -> float | None:
  return row.cells[place.name].value if place.name in row.cells else None


def set_title(place: Place) -> str:
  """Returns what readers call a set."""
  title = place.name
  if place.rule != 'all':
    title += f', rule {place.rule}'
  return (
    title
    if place.labels == 'original'
    else f'{title}, {display.labels_name(place.labels)} labels'
  )


def _set_rows(found: Across, place: Place) -> tuple[list[Any], list[list[Any]]]:
  """Returns titles and rows of a set, without columns that nothing stands in."""
  those = [
    (row.name, row.cells[place.name]) for row in found.rows if place.name in row.cells
  ]
  extras = list(dict.fromkeys(key for _, cell in those for key in cell.extra))
  columns: list[tuple[str, list[str]]] = [('model', [name for name, _ in those])]

  def add(title: str, text: Callable[[Cell], str | None]) -> None:
    texts = [text(cell) for _, cell in those]
    if any(texts):
      columns.append((title, [one or '-' for one in texts]))

  add('rank', _rank)
  add('hits', lambda cell: None if cell.count is None else f'{cell.count.correct:,}')
  add('of', lambda cell: None if cell.count is None else f'{cell.count.count:,}')
  add('%', lambda cell: None if cell.count is None else _percent(cell.count.rate))
  add('95 %', lambda cell: None if cell.count is None else _range(cell))
  add('gap', lambda cell: None if cell.gap is None else f'{cell.gap.points:+.2f}')
  add('95 %', lambda cell: None if cell.gap is None else _gap_range(cell.gap))
  add('to base', lambda c: None if c.relative is None else f'{c.relative:+.2f}')
  add('beyond', lambda c: None if c.robustness is None else f'{c.robustness:+.2f}')
  timm = [_percent(_published(name, place)) for name, _ in those]
  if any(text != '-' for text in timm):
    columns.append(('timm %', timm))
  for key in extras:
    add(measure_title(key), functools.partial(_measure, key))
  rows = [list(cells) for cells in zip(*(texts for _, texts in columns), strict=True)]
  return [title for title, _ in columns], rows


def _published(name: str, place: Place) -> float | None:
  known = published_on_sets.of_model(name)
  return None if known is None else known.top1.get(place.name)


def _rank(cell: Cell) -> str | None:
  if cell.rank is None:
    return None
  return f'{cell.rank}' if not cell.change else f'{cell.rank} ({cell.change:+d})'


def _range(cell: Cell) -> str:
  assert cell.count is not None
  low, high = _interval(cell.count.correct, cell.count.count)
  return '-' if low is None or high is None else f'{100 * low:.1f}-{100 * high:.1f}'


def _gap_range(gap: Gap) -> str:
  return f'{gap.low:+.1f} {gap.high:+.1f}'


def measure_title(key: str) -> str:
  """Returns what readers call a measure of a set's own."""
  return _MEASURES.get(key, key)


def _measure(key: str, cell: Cell) -> str | None:
  if key not in cell.extra:
    return None
  value = cell.extra[key]
  return f'{value:,.0f}' if key in _COUNTS else f'{100 * value:.2f}'


def _percent(value: float | None) -> str:
  return '-' if value is None else f'{100 * value:.2f}'


def remarks(found: Across) -> list[str]:
  """Returns what a reader must know beside the figures."""
  lines = [f'models are sorted by {found.sort}']
  cells = [cell for row in found.rows for cell in row.cells.values()]
  if any(cell.gap is not None for cell in cells):
    lines.append(
      'gap: points above (+) or below (-) those on validation images of the same '
      'classes under the same rule (all images where a set has all classes), with '
      "Newcombe's interval of two samples; rank (+1): one place worse than on these"
    )
  if any(cell.robustness is not None for cell in cells):
    lines.append(
      'beyond: points beyond what the line through the models of ImageNet Testbed says '
      'for the clean accuracy (effective robustness, Taori et al. 2020)'
    )
  if found.base is not None:
    lines.append(
      f'to base: points beyond {found.base} on the same set (relative robustness)'
    )
  if any(_published(row.name, p) for row in found.rows for p in found.places):
    lines.append(
      'timm: what timm publishes of the same weights, each at its own size and crop'
    )
  if len(found.shared) > 1:
    lines.append(f'mean: over {listed(found.shared)}, which all models have')
  lines += _of_errors(found)
  lines += found.remarks
  return lines + [f'{one.name} FAILED: {one.reason}' for one in found.failures]


def _of_errors(found: Across) -> list[str]:
  names = {key for row in found.rows for c in row.cells.values() for key in c.extra}
  lines = []
  if any(place.part for place in found.places):
    lines.append(
      'of corruptions errors in %: the mean of five severities, or one of them by its '
      'number'
    )
  if 'mCE' in names:
    lines.append(
      'mCE: errors over those of AlexNet, mean of the fifteen corruptions (Hendrycks '
      'and Dietterich 2019); 100 is AlexNet'
    )
  if any(place.part and place.name != 'imagenet_c' for place in found.places):
    lines.append(
      'corruptions that are made again are no ImageNet-C: their errors are means, not '
      'normalised by AlexNet, and no mCE'
    )
  if 'shape_bias' in names:
    lines.append(
      'shape bias: of images that were told by shape or texture, those by shape '
      '(Geirhos et al. 2019); decided: told by either'
    )
  if 'aupr' in names:
    lines.append(
      'AUPR, AUROC and FPR of telling images of unknown classes by the highest '
      'probability among the classes of the set'
    )
  return lines
