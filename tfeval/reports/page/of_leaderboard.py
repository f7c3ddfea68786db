"""A leaderboard as a page: the table, ranks with their ties, accuracy by its price."""

from collections.abc import Iterator
from typing import Any

from tfeval.analysis.leaderboard import Leaderboard, Row
from tfeval.reports import leaderboard as texts
from tfeval.reports import leaderboard_columns
from tfeval.reports.page import content, counts
from tfeval.reports.page.content import (
  Column,
  Document,
  Figure,
  Missing,
  Part,
  Remarks,
  Section,
  Table,
)
from tfeval.reports.plots import kinds
from tfeval.runs import display

# What accuracy is bought with, by the column: title of the axis, and its unit.
_PRICES = {
  'parameters': ('parameters, millions', 1e-6),
  'multiply_adds': ('multiply-adds of one image, billions', 1e-9),
  'images_per_second': ('images per second, as evaluated here', 1.0),
}


def document(board: Leaderboard) -> Document:
  """Returns a page of a leaderboard."""
  title = display.metric_name(*board.sort)
  sections = [
    Section(
      'Ranks', [table(board), ranks(board), Remarks(texts.remarks(board, _all(board)))]
    ),
    Section('Accuracy and its price', tradeoffs(board)),
  ]
  images = f'{len([row for row in board.rows if row.run]):,} runs ranked by {title}'
  return Document('Leaderboard', sections, images)


def _all(board: Leaderboard) -> dict[str, leaderboard_columns.Column]:
  return leaderboard_columns.columns(board)


def table(board: Leaderboard) -> Table:
  """Returns all columns of a leaderboard, those without a value left out."""
  chosen = {
    name: column
    for name, column in _all(board).items()
    if any(column.value(row) is not None for row in board.rows)
  }
  columns = [
    Column(name, one.title.replace('- ', ''), one.text if one.number else None)
    for name, one in chosen.items()
  ]
  columns.append(Column('ties', 'not told from'))
  rows = [
    (*(one.value(row) for one in chosen.values()), ', '.join(row.ties) or None)
    for row in board.rows
  ]
  return Table('Leaderboard', columns, rows, shown=50, labels=2)


def ranks(board: Leaderboard) -> Figure:
  """Returns accuracies with intervals, a bar joining models on one rank.

  References stand below, as they are ranked among themselves.
  """
  labels, metric = board.sort
  ordered = sorted(_ranked(board), key=lambda row: row.reference)
  rows: list[kinds.Interval] = []
  numbers: list[tuple[Any, ...]] = []
  for row in ordered:
    count = row.counts[board.sort]
    interval = count.entry(metric, labels).interval
    assert interval is not None  # Of images.
    ends, place = (interval.low, interval.high), row.ranks.get(labels)
    low, high = (100 * end for end in ends)
    name = row.name if row.reference else f'{place}  {row.name}'
    rows.append(kinds.Interval(name, 100 * count.rate, low, high, int(row.reference)))
    both = (None, place) if row.reference else (place, None)
    numbers.append((both[0], row.name, count.correct, count.count, count.rate, *ends,
                    both[1]))  # fmt: skip
  columns = [
    Column('rank', 'rank', str),
    Column('model', 'model'),
    *(counts.CORRECT, counts.COUNT_OF, *counts.RATES),
    Column(leaderboard_columns.REFERENCE_RANK, 'rank among references', str),
  ]
  title = display.metric_name(*board.sort)
  about = 'Intervals cover 95 % of each by itself; pairs on the same images are told '
  about += 'apart more sharply than where these overlap.'
  if board.tests:
    about += ' A bar joins models on one rank.'
  groups: tuple[str, ...] = ('these runs', 'references')
  if not leaderboard_columns.has_references(board):
    groups, columns = (), columns[:-1]
    numbers = [row[:-1] for row in numbers]
  places = [row.ranks[labels] for row in ordered if not row.reference]
  joined = list(_joined(places, board))
  return Figure(
    f'{title} with intervals',
    kinds.Intervals(rows, f'{title}, %', joined=joined, groups=groups),
    Table('Ranks', columns, numbers, labels=2),
    about,
  )


def _ranked(board: Leaderboard) -> Iterator[Row]:
  """Yields what has a rank and a figure; of references the rank may be of top-1."""
  for row in board.rows:
    if board.sort[0] in row.ranks and board.sort in row.counts:
      yield row


def _joined(places: list[int], board: Leaderboard) -> Iterator[tuple[int, int]]:
  if not board.tests:
    return
  for place in dict.fromkeys(places):
    first, count = places.index(place), places.count(place)
    if count > 1:
      yield first, first + count - 1


def tradeoffs(board: Leaderboard) -> list[Part]:
  """Returns accuracy against each price, as far as it is known of two runs or more."""
  parts: list[Part] = []
  for name, (title, _) in _PRICES.items():
    figure = tradeoff(board, name)
    if figure is None:
      reason = 'is known of fewer than two of the runs: imported ones do not say it'
      parts.append(Missing(f'Accuracy against {title}', reason))
    else:
      parts.append(figure)
  return parts


def tradeoff(board: Leaderboard, name: str) -> Figure | None:
  """Returns accuracy against a column; None where it is known of one run at most.

  Args:
    board: the leaderboard.
    name: `parameters`, `multiply_adds` or `images_per_second`.
  """
  title, scale = _PRICES[name]
  column = _all(board)[name]
  labels, metric = board.sort
  points, rows = [], []
  for row in _ranked(board):
    value, count = column.value(row), row.counts[board.sort]
    if value is None or value <= 0:
      continue
    interval = count.entry(metric, labels).interval
    assert interval is not None
    points.append(
      kinds.Point(row.name, scale * value, 100 * count.correct / count.count,
                  100 * interval.low, 100 * interval.high)
    )  # fmt: skip
    rows.append((row.name, value, count.correct, count.count,
                 count.correct / count.count, interval.low, interval.high))  # fmt: skip
  if len(points) < 2:
    return None
  columns = (
    Column('model', 'model'),
    Column(name, name.replace('_', ' '), column.text),
    Column('correct', 'correct', content.counted),
    Column('count', 'of', content.counted),
    *counts.RATES,
  )
  accuracy = display.metric_name(*board.sort)
  return Figure(
    f'{accuracy} against {title}',
    kinds.Scatter(points, title, f'{accuracy}, %', log_x=True),
    Table('Models', columns, rows),
  )
