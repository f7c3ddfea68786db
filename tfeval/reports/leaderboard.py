"""A leaderboard as a table 80 columns wide and up, CSV, Markdown and JSON."""

import csv
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, TextIO

from rich import table as rich_table

from tfeval import errors
from tfeval import leaderboard as leaderboard_lib
from tfeval.alignment import METRICS
from tfeval.label_sets import SUBSET_SUFFIX
from tfeval.leaderboard import Leaderboard, Row
from tfeval.reports import plain, tables
from tfeval.reports.comparison import points

COMPLETE, FAILED = 'complete', 'failed'


@dataclasses.dataclass(frozen=True)
class Column:
  """A column that may be chosen.

  Attributes:
    title: above it, a line for each word where it is a number.
    value: for programs; None where nothing is known.
    text: for people, of a value that is known.
    number: whether it stands to the right.
  """

  title: str
  value: Callable[[Row], Any]
  text: Callable[[Any], str] = str
  number: bool = True


def columns(board: Leaderboard) -> dict[str, Column]:
  """Returns the columns that a leaderboard has, by what `--columns` calls them."""
  sorted_labels, metric = board.sort
  found = {
      'rank': Column('rank', lambda row: row.ranks.get(sorted_labels)),
      'model': Column('model', lambda row: row.name, number=False),
  }
  for labels in board.labels:
    for name in METRICS:
      found[f'{labels}/{name}'] = Column(
          tables.metric_title(labels, name) + ' %', _rate(labels, name), _percent)
  for labels in board.labels:
    if labels != sorted_labels:
      kind = tables.metric_title(labels, '').strip()
      found[f'{labels}/rank'] = Column(
          f'{kind} rank', lambda row, labels=labels: row.ranks.get(labels))
      found[f'{labels}/change'] = Column(
          f'{kind} change', _change(labels, sorted_labels), _signed)
  found |= {
      'low': Column('95 % low', _interval(board.sort, 'low'), _percent),
      'high': Column('95 % high', _interval(board.sort, 'high'), _percent),
      'published': Column(
          'pub- lished %', lambda row: leaderboard_lib.published(row, metric)[0],
          _percent),
      'difference': Column(
          'differ- ence', lambda row: leaderboard_lib.published(row, metric)[1],
          points),
      'parameters': Column('param 10^6', _of('model', 'parameters'), _millions),
      'multiply_adds': Column('MAdds 10^9', _multiply_adds, _billions),
      'images_per_second': Column('images /s', _of('timing', 'images_per_second'),
                                  lambda rate: f'{rate:,.1f}'),
      'input_size': Column('side px', _of('model', 'input_size')),
      'images': Column('images', _of('dataset', 'evaluated'), '{:,}'.format),
      'weights': Column('weights', _of('model', 'weights'), number=False),
      'protocol': Column('protocol', _protocol, number=False),
      'state': Column('state', state, number=False),
  }
  return found


def choose(board: Leaderboard, names: Sequence[str] | None) -> dict[str, Column]:
  """Returns the columns to show.

  Args:
    board: the leaderboard.
    names: of columns; None for rank, model, the figure that is sorted by, the same
      figure, rank and change of rank by the other labels, and what was published
      where anything is.

  Raises:
    UserError: a name is not known or given twice.
  """
  known = columns(board)
  if names is None:
    sorted_labels, metric = board.sort
    others = [labels for labels in board.labels if labels != sorted_labels]
    names = ['rank', 'model', f'{sorted_labels}/{metric}',
             *(f'{labels}/{name}' for labels in others
               for name in (metric, 'rank', 'change')),
             *(name for name in ('published', 'difference')
               if any(known[name].value(row) is not None for row in board.rows))]
  for name in names:
    if name not in known:
      raise errors.UserError(f'unknown column {name!r}: --columns takes '
                             + ', '.join(known))
    if list(names).count(name) > 1:
      raise errors.UserError(f'--columns has {name} twice')
  return {name: known[name] for name in names}


def table(board: Leaderboard, chosen: dict[str, Column]) -> rich_table.Table:
  """Returns the leaderboard as a table for a terminal."""
  found = plain.new_table()
  for column in chosen.values():
    title = column.title.replace(' ', '\n') if column.number else column.title
    found.add_column(title, justify='right' if column.number else 'left',
                     no_wrap=column.number, overflow='fold')
  for row in board.rows:
    found.add_row(*_texts(board, row, chosen, '\n'))
  return found


def markdown(board: Leaderboard, chosen: dict[str, Column]) -> str:
  """Returns the leaderboard as a table of GitHub's Markdown."""
  lines = [[column.title.replace('- ', '') for column in chosen.values()],
           ['---:' if column.number else '---' for column in chosen.values()],
           *(_texts(board, row, chosen, ' ') for row in board.rows)]
  return '\n'.join('| ' + ' | '.join(text.replace('|', '\\|') for text in line) + ' |'
                   for line in lines)


def write_csv(board: Leaderboard, chosen: dict[str, Column], file: TextIO) -> None:
  """Writes the leaderboard as CSV: rates in 0..1, nothing for what is not known.

  Each row ends with its `state`.
  """
  known = {**chosen, 'state': columns(board)['state']}
  writer = csv.writer(file, lineterminator='\n')
  writer.writerow(known)
  writer.writerows([column.value(row) for column in known.values()]
                   for row in board.rows)


def content(board: Leaderboard) -> dict[str, Any]:
  """Returns the leaderboard with all columns as JSON can hold it."""
  known = columns(board)
  return {
      'sort': '/'.join(board.sort),
      'level': board.level,
      'tests': board.tests,
      'rows': [{
          **{name: column.value(row) for name, column in known.items()},
          'path': str(row.run.path) if row.run else None,
          'failure': row.failure,
          'ties': list(row.ties),
          'metrics': [count.entry(metric, labels)
                      for (labels, metric), count in row.counts.items()],
      } for row in board.rows],
      'remarks': remarks(board),
  }


def remarks(board: Leaderboard) -> list[str]:
  """Returns what a reader must know beside the figures."""
  title = tables.metric_title(*board.sort)
  found = []
  if board.tests:
    found.append(
        f'rank: by {title}; models share one (=) that do not differ significantly '
        f"from the best of them (McNemar's exact test, Holm's correction for "
        f'{board.tests} pairs, p at most {board.level:g})')
    found += _ties_across_ranks(board)
  elif len(board.rows) > 1:
    found.append(f'rank: by {title}')
  if len(board.labels) > 1:
    found.append(f'change: rank by these labels less rank by {title}, -1 is one place '
                 'better')
  if any(labels.endswith(SUBSET_SUFFIX) for labels in board.labels):
    found.append('subset: only images of --keep and without those of --omit')
  found += board.remarks
  found += [f'{row.name} FAILED: {row.failure}' for row in board.rows if row.failure]
  return found


def _ties_across_ranks(board: Leaderboard) -> list[str]:
  """Names models on different ranks that do not differ significantly either."""
  place = {row.name: row.ranks.get(board.sort[0]) for row in board.rows}
  found = [f'{row.name} ({place[row.name]}) and {other} ({place[other]})'
           for row in board.rows for other in row.ties
           if place[row.name] < place[other]]
  if not found:
    return []
  more = f' and {len(found) - 10} more pairs' if found[10:] else ''
  return ['not significantly different either, though on different ranks: '
          + ', '.join(found[:10]) + more]


def state(row: Row) -> str:
  """Returns `complete`, `failed`, or what is not complete of a run."""
  if row.run is None:
    return FAILED
  return tables.state(row.run.result).strip('()') or COMPLETE


def _texts(board: Leaderboard, row: Row, chosen: dict[str, Column],
           newline: str) -> list[str]:
  texts = []
  for name, column in chosen.items():
    value = column.value(row)
    text = '-' if value is None else column.text(value)
    if name == 'model' and state(row) != COMPLETE:
      text += f'{newline}({state(row)})'
    if name.rpartition('/')[2] == 'rank' and value is not None and board.tests:
      labels = name.rpartition('/')[0] or board.sort[0]
      shared = [other for other in board.rows if other.ranks.get(labels) == value]
      text = '=' * (len(shared) > 1) + text
    texts.append(text)
  return texts


def _rate(labels: str, metric: str) -> Callable[[Row], float | None]:
  def value(row: Row) -> float | None:
    count = row.counts.get((labels, metric))
    return count.correct / count.count if count and count.count else None
  return value


def _interval(key: tuple[str, str], end: str) -> Callable[[Row], float | None]:
  def value(row: Row) -> float | None:
    count = row.counts.get(key)
    return count.entry(*key)['interval'][end] if count and count.count else None
  return value


def _change(labels: str, sorted_labels: str) -> Callable[[Row], int | None]:
  def value(row: Row) -> int | None:
    if not {labels, sorted_labels} <= row.ranks.keys():
      return None
    return row.ranks[labels] - row.ranks[sorted_labels]
  return value


def _of(section: str, key: str) -> Callable[[Row], Any]:
  return lambda row: row.run and row.run.result.get(section, {}).get(key)


def _multiply_adds(row: Row) -> int | None:
  facts = row.run and leaderboard_lib.known_facts(row.run)
  return facts.multiply_adds if facts else None


def _protocol(row: Row) -> str | None:
  protocol = row.run and row.run.result['protocol']
  return protocol and protocol.get('spec', protocol['name'])


def _percent(rate: float) -> str:
  return f'{100 * rate:.2f}'


def _signed(change: int) -> str:
  return f'{change:+d}' if change else '0'


def _millions(number: int) -> str:
  return f'{number / 1e6:.2f}'


def _billions(number: int) -> str:
  return f'{number / 1e9:.3f}'
