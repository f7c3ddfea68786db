"""Accuracy in slices as tables 80 columns wide, and as JSON."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tfeval.analysis.reversals import LEVEL, Reversal
from tfeval.analysis.slices import Report, Sliced
from tfeval.metrics.slices import Slice
from tfeval.reports import terminal
from tfeval.reports.comparison import p_value, points
from tfeval.reports.formats import Output
from tfeval.runs import display

# Characters that slices are folded to.
_FOLDED = 24
_Text = Callable[[Slice], str]
_Column = tuple[terminal.Cell, list[str]]


def _interval(found: tuple[float, float] | None, text: Callable[[float], str]) -> str:
  return '-' if found is None else ' to '.join(map(text, found))


def _percent(rate: float) -> str:
  return f'{100 * rate:.2f}'


def _p(p: float | None) -> str:
  if p is None:
    return '-'
  return p_value(p) + (' *' if p <= LEVEL else '  ')


def _ratio(found: Slice) -> str:
  return '-' if found.error_ratio is None else f'{found.error_ratio:.3f}'


# What is told of a slice, and what of it where there are several runs.
_COLUMNS: dict[terminal.Cell, _Text] = {
  'correct': lambda one: f'{one.correct:,}',
  'of': lambda one: f'{one.count:,}',
  '%': lambda one: _percent(one.rate),
  '95 % interval': lambda one: _interval(one.interval, _percent),
  ('error', 'ratio'): _ratio,
  ('less', 'rest'): lambda one: points(one.difference),
  ('its 95 %', 'interval'): lambda one: _interval(one.difference_interval, points),
  'p': lambda one: '-' if one.p is None else p_value(one.p),
  'p (Holm)': lambda one: _p(one.p_holm),
}
_OF_SEVERAL = ('%', ('error', 'ratio'), 'p (Holm)')


def write_table(report: Report, most: int, output: Output) -> None:
  """Writes tables of the slices, the worst first, and what their columns are.

  Args:
    report: runs in slices.
    most: how many slices to show; 0: all.
    output: where to.
  """
  several = len(report.runs) > 1
  for sliced in report.sliced:
    title = display.metric_name(sliced.labels, sliced.metric)
    terminal.print_line(f'{title} by {report.by}:', output.file)
    for number, (name, count) in enumerate(
      zip(report.names, sliced.all, strict=True), 1
    ):
      which = f'{number}  {name}: ' * several or 'all: '
      rate = _percent(count.correct / count.count)
      text = f'{which}{count.correct:,} of {count.count:,}, {rate} %'
      terminal.print_paragraph(text, output.file, '  ', '     ')
    for table in _tables(sliced, most, terminal.width_of(output.file)):
      terminal.print_line(file=output.file)
      terminal.print_table(table, output.file)
    if 0 < most < len(sliced.slices):
      hidden = len(sliced.slices) - most
      text = f'{hidden:,} better slices are not shown: `slices=0` shows all'
      terminal.print_line(output.wording(text), output.file)
    terminal.print_line(file=output.file)
  remarks = [*warnings(report), *legend(report), *report.remarks]
  terminal.print_remarks(map(output.wording, remarks), output.file)


def _tables(sliced: Sliced, most: int, width: int) -> list[terminal.Table]:
  """Returns the table, in several where the columns do not fit beside each other."""
  shown = range(min(most or len(sliced.slices), len(sliced.slices)))
  attributes = {attribute for attribute, _ in sliced.slices}
  alone = attributes.pop() if len(attributes) == 1 else None
  names = [_name(*sliced.slices[i], alone is not None) for i in shown]
  title = alone or 'slice'
  key = min(_FOLDED, max(map(terminal.width_of_cell, (title, *names))))
  blocks: list[list[_Column]] = [[]]
  room = width - key
  for group in _groups(sliced, shown):
    needed = sum(_width(column) + terminal.GAP for column in group)
    if needed > room and blocks[-1]:
      blocks.append([])
      room = width - key
    blocks[-1] += group
    room -= needed
  return [_table((title, names), key, block) for block in blocks]


def _groups(sliced: Sliced, shown: Sequence[int]) -> Iterator[list[_Column]]:
  """Yields columns; those of one of several runs stay beside each other."""

  def column(title: terminal.Cell, text: _Text, run: int) -> _Column:
    found = sliced.found[run]
    return title, ['-' if (one := found[i]) is None else text(one) for i in shown]

  if len(sliced.found) == 1:
    for title, text in _COLUMNS.items():
      yield [column(title, text, 0)]
    return
  sizes = [column('of', _COLUMNS['of'], run) for run in range(len(sliced.found))]
  same = all(one == sizes[0] for one in sizes)
  if same:
    yield sizes[:1]
  for run in range(len(sliced.found)):
    titles = _OF_SEVERAL if same else ('of', *_OF_SEVERAL)
    yield [
      column((str(run + 1), *(title if isinstance(title, tuple) else (title,))),
             _COLUMNS[title], run)
      for title in titles
    ]  # fmt: skip


def _width(column: _Column) -> int:
  title, cells = column
  return max(map(terminal.width_of_cell, (title, *cells)))


def _table(
  key: tuple[str, list[str]], width: int, block: Sequence[_Column]
) -> terminal.Table:
  table, (name, names) = terminal.new_table(), key
  table.add_column(name, overflow='fold', min_width=width)
  for column in block:
    title = column[0]
    table.add_column(title, justify='right', no_wrap=True, min_width=_width(column))
  for i, text in enumerate(names):
    table.add_row(text, *(cells[i] for _, cells in block))
  return table


def _name(attribute: str, text: str, alone: bool = False) -> str:
  """Returns what readers call a slice, `alone` where there is no other attribute.

  >>> _name('pose', 'pose'), _name('angle', '20')
  ('pose', 'angle 20')
  """
  return text if alone or attribute == text else f'{attribute} {text}'


def legend(report: Report) -> list[str]:
  """Returns what the columns are."""
  several = len(report.runs) > 1
  share = f'{100 - 100 * LEVEL:g} %'
  rest = (
    'less rest: points of the slice less those of all other images of which the '
    f"attribute is known, with Newcombe's interval of {share}"
  )
  return [
    f'slices: the worst first{" of the first run" * several}; error ratio: share of '
    'errors in the slice over that of all images of which the attribute is known'
    f"{f'; {rest}' * (not several)}; p: of Fisher's exact test of the slice and the "
    "rest of these, which holds for small slices too; p (Holm): by Holm's method for "
    f'all slices of a table and run, * at most {LEVEL:g}'
  ]


def warnings(report: Report) -> list[str]:
  """Says where slices reverse the order of two runs."""
  found = []
  for sliced in report.sliced:
    title = display.metric_name(sliced.labels, sliced.metric)
    for worse, better, attribute in sliced.simpson:
      found.append(
        f'SIMPSON: {title}: {report.names[better]} is better of all images, '
        f'{report.names[worse]} in each slice of {attribute}: of the easier slices one '
        'has more images, or images outside of these decide'
      )
    sure = [one for one in sliced.reversed if one.p_holm <= LEVEL]
    found += [_reversal(report, sliced, title, one) for one in sure[:10]]
    if more := len(sure) - 10 if sure[10:] else 0:
      found.append(f'ORDER REVERSED: {title}: {more:,} more slices, see `json`')
    if by_chance := len(sliced.reversed) - len(sure):
      found.append(
        f'{title}: the order of two runs is the other way round in {by_chance:,} more '
        f'slices, as chance may have it (p, Holm, above {LEVEL:g})'
      )
  return found


def _reversal(report: Report, sliced: Sliced, title: str, one: Reversal) -> str:
  rates = [sliced.found[run][one.slice] for run in (one.worse, one.better)]
  worse, better = (_percent(each.rate) if each else '-' for each in rates)
  return (
    f'ORDER REVERSED: {title}: {report.names[one.better]} is better of all images, but '
    f'of {_name(*sliced.slices[one.slice])} {report.names[one.worse]} is: {worse} and '
    f'{better} %, p (Holm) {p_value(one.p_holm)}'
  )


def write_json(report: Report, _: int, output: Output) -> None:
  """Writes a JSON object with all slices."""
  content = {
    'by': report.by,
    'level': LEVEL,
    'runs': [
      {'name': name, 'path': str(run.path)}
      for name, run in zip(report.names, report.runs, strict=True)
    ],
    'sliced': [_entry(report, sliced) for sliced in report.sliced],
    'remarks': [*map(output.wording, [*warnings(report), *report.remarks])],
  }
  terminal.print_json(content, output.file)


def _entry(report: Report, sliced: Sliced) -> dict[str, Any]:
  return {
    'labels': sliced.labels,
    'metric': sliced.metric,
    'all': [count.entry(sliced.metric, sliced.labels) for count in sliced.all],
    'slices': [
      {
        'attribute': attribute,
        'slice': text,
        'runs': [(one := found[i]) and _slice(one) for found in sliced.found],
      }
      for i, (attribute, text) in enumerate(sliced.slices)
    ],
    'reversed': [
      {
        'attribute': sliced.slices[one.slice][0],
        'slice': sliced.slices[one.slice][1],
        'better_of_all': report.names[one.better],
        'better_here': report.names[one.worse],
        'p_holm': one.p_holm,
      }
      for one in sliced.reversed
    ],
    'simpson': [
      {
        'attribute': attribute,
        'better_of_all': report.names[better],
        'better_in_each': report.names[worse],
      }
      for worse, better, attribute in sliced.simpson
    ],
  }


def _slice(one: Slice) -> dict[str, Any]:
  low, high = one.interval
  beside = one.difference_interval
  return {
    'correct': one.correct,
    'count': one.count,
    'rate': one.rate,
    'interval': {'low': low, 'high': high},
    'rest': {'correct': one.rest_correct, 'count': one.rest_count},
    'difference': one.difference,
    'difference_interval': beside and {'low': beside[0], 'high': beside[1]},
    'p': one.p,
    'p_holm': one.p_holm,
    'error_ratio': one.error_ratio,
  }
