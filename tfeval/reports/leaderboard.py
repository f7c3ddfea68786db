"""A leaderboard as a table 80 columns wide and up, CSV, Markdown and JSON."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from tfeval.analysis import reference_results
from tfeval.analysis.leaderboard import Leaderboard, Row
from tfeval.datasets.labels.sets import SUBSET_SUFFIX
from tfeval.models import published
from tfeval.reports import leaderboard_columns, terminal
from tfeval.reports.formats import Output
from tfeval.reports.leaderboard_columns import Column
from tfeval.runs import display
from tfeval.runs.result_file import PublishedSection, counted
from tfeval.utils.errors import listed

# They stand in every table.
_KEYS = ('rank', 'model')
# Characters that texts are folded to where there is little room.
_FOLDED = 18


class _Shown(NamedTuple):
  """A column as people read it."""

  column: Column
  title: terminal.Cell
  texts: list[terminal.Cell]
  width: int  # What it takes at least.


def text_tables(
  board: Leaderboard, chosen: dict[str, Column], width: int
) -> list[terminal.Table]:
  """Returns the leaderboard for a terminal.

  Args:
    board: the leaderboard.
    chosen: its columns.
    width: of the terminal. What does not fit beside each other goes into further
      tables, each with rank and model: no figure is ever cut.
  """
  lines = [_cells(board, row, chosen) for row in board.rows]
  keys: list[_Shown] = []
  others: list[_Shown] = []
  for i, (name, column) in enumerate(chosen.items()):
    title = tuple(column.title.split(' ')) if column.number else column.title
    texts = [line[i] for line in lines]
    least = max(map(terminal.width_of_cell, (title, *texts)))
    shown = _Shown(
      column, title, texts, least if column.number else min(least, _FOLDED)
    )
    (keys if name in _KEYS else others).append(shown)
  blocks = [[*keys]]
  for shown in others:
    used = sum(one.width + terminal.GAP for one in blocks[-1])
    if used + shown.width > width and len(blocks[-1]) > len(keys):
      blocks.append([*keys])
    blocks[-1].append(shown)
  return [_text_table(block) for block in blocks]


def _text_table(block: list[_Shown]) -> terminal.Table:
  table = terminal.new_table()
  for shown in block:
    table.add_column(
      shown.title,
      justify='right' if shown.column.number else 'left',
      no_wrap=shown.column.number,
      overflow='fold',
      min_width=shown.width,
    )
  for texts in zip(*(shown.texts for shown in block), strict=True):
    table.add_row(*texts)
  return table


def _markdown(board: Leaderboard, chosen: dict[str, Column]) -> Iterator[list[str]]:
  """Yields the rows of a table of Markdown."""
  yield [column.title.replace('- ', '') for column in chosen.values()]
  yield ['---:' if column.number else '---' for column in chosen.values()]
  for row in board.rows:
    cells = _cells(board, row, chosen)
    yield [cell if isinstance(cell, str) else ' '.join(cell) for cell in cells]


def write_table(board: Leaderboard, chosen: dict[str, Column], output: Output) -> None:
  """Writes the leaderboard as tables with their remarks."""
  for table in text_tables(board, chosen, terminal.width_of(output.file)):
    terminal.print_table(table, output.file)
    terminal.print_line(file=output.file)
  terminal.print_remarks(map(output.wording, remarks(board, chosen)), output.file)


def write_markdown(
  board: Leaderboard, chosen: dict[str, Column], output: Output
) -> None:
  """Writes the leaderboard as Markdown with its remarks."""
  terminal.print_markdown_table(_markdown(board, chosen), output.file)
  terminal.print_line(file=output.file)
  terminal.print_markdown_list(map(output.wording, remarks(board, chosen)), output.file)


def write_csv(board: Leaderboard, chosen: dict[str, Column], output: Output) -> None:
  """Writes the leaderboard as CSV: rates in 0..1, nothing for what is not known.

  Each row ends with its `state`. Remarks are written aside.
  """
  known = {**chosen, 'state': leaderboard_columns.columns(board)['state']}
  rows = ([column.value(row) for column in known.values()] for row in board.rows)
  terminal.print_csv([known, *rows], output.file)
  terminal.print_remarks(map(output.wording, remarks(board, chosen)), output.aside)


def write_tsv(board: Leaderboard, _: dict[str, Column], output: Output) -> None:
  """Writes counts and ranks between tabs, as the packaged reference results stand."""
  for row in reference_results.columns(board):
    terminal.print_cells(row, output.file)


def write_json(board: Leaderboard, _: dict[str, Column], output: Output) -> None:
  """Writes a JSON object with all columns, whichever are chosen."""
  terminal.print_json(content(board, output.wording), output.file)


def content(board: Leaderboard, wording: Callable[[str], str] = str) -> dict[str, Any]:
  """Returns the leaderboard with all columns as JSON can hold it."""
  known = leaderboard_columns.columns(board)
  return {
    'sort': '/'.join(board.sort),
    'level': board.level,
    'tests': board.tests,
    'rows': [
      {
        **{name: column.value(row) for name, column in known.items()},
        'path': str(row.run.path) if row.run else None,
        'failure': row.failure,
        **({'reference': True, 'ranks': row.ranks} if row.reference else {}),
        'ties': row.ties,
        'metrics': [
          count.entry(metric, labels) for (labels, metric), count in row.counts.items()
        ],
      }
      for row in board.rows
    ],
    'remarks': [*map(wording, remarks(board, known))],
  }


def remarks(board: Leaderboard, chosen: dict[str, Column]) -> list[str]:
  """Returns what a reader must know beside the figures that are shown."""
  title = display.metric_name(*board.sort)
  found = []
  if board.tests:
    found.append(
      f'rank: by {title}; models share one (=) that do not differ significantly '
      f"from the best of them (McNemar's exact test, Holm's correction for "
      f'{counted(board.tests, "pair")}, p at most {board.level:g})'
    )
    found += _ties_across_ranks(board)
  elif sum(not row.reference for row in board.rows) > 1:
    found.append(f'rank: by {title}')
  if any(name.endswith('/change') for name in chosen):
    found.append(
      f'change: rank by these labels less rank by {title}, -1 is one place better'
    )
  found += _counted(board)
  if any(SUBSET_SUFFIX in name for name in chosen):
    found.append('subset: only images of `keep` and without those of `omit`')
  others = [
    row.name
    for row in board.rows
    if row.run and _by_another_protocol(row.run.result.published)
  ]
  if others and {'published', 'difference'} & chosen.keys():
    found.append(f'published by another protocol than the run: {listed(others)}')
  found += board.remarks
  found += [f'{row.name} FAILED: {row.failure}' for row in board.rows if row.failure]
  return found


def _counted(board: Leaderboard) -> list[str]:
  """Says how many images figures are of, and which are no better than guessing."""
  found = []
  for labels in board.labels:
    counts = {
      row.name: row.counts[labels, board.sort[1]]
      for row in board.rows
      if (labels, board.sort[1]) in row.counts and not row.reference
    }
    sizes = sorted({(one.count, one.skipped) for one in counts.values()})
    of = ' or '.join(f'{count:,}' for count, _ in sizes)
    without = ' or '.join(f'{skipped:,}' for _, skipped in sizes)
    name = display.metric_name(labels, '').strip() or 'original'
    found.append(f'{name} labels: of {of} images, {without} have none')
    if board.sort[1] == 'top1':
      guessing = [
        name
        for name, one in counts.items()
        if display.is_at_chance(one.correct, one.count)
      ]
      if guessing:
        found.append(f'AT CHANCE by {name} labels: {listed(guessing)}')
  return found


def _by_another_protocol(compared: PublishedSection | None) -> bool:
  """Whether a run does not follow the recipe of the published figure."""
  if compared is None:
    return False
  return not compared.same_protocol or compared.figures == published.NATIVE


def _ties_across_ranks(board: Leaderboard) -> list[str]:
  """Names models on different ranks that do not differ significantly either."""
  labels = board.sort[0]
  places = {
    row.name: row.ranks[labels]
    for row in board.rows
    if labels in row.ranks and not row.reference
  }
  found = [
    f'{row.name} ({places[row.name]}) and {other} ({places[other]})'
    for row in board.rows
    for other in row.ties
    if places[row.name] < places[other]
  ]
  if not found:
    return []
  return [
    'not significantly different either, though on different ranks: ' + listed(found)
  ]


def _cells(
  board: Leaderboard, row: Row, chosen: dict[str, Column]
) -> list[terminal.Cell]:
  cells: list[terminal.Cell] = []
  state = leaderboard_columns.state(row)
  for name, column in chosen.items():
    value = column.value(row)
    text = '-' if value is None else column.text(value)
    kind = name.rpartition('/')[2]
    of_references = kind == leaderboard_columns.REFERENCE_RANK
    ranked = of_references or (kind == 'rank' and board.tests)
    if ranked and value is not None:
      same = sum(column.value(other) == value for other in board.rows)
      text = '=' * (same > 1) + text
    named = name == 'model' and state != leaderboard_columns.COMPLETE
    cells.append((text, f'({state})') if named else text)
  return cells
