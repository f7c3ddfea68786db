"""The columns of a leaderboard: what stands in them, for people and for programs."""

import dataclasses
import numbers
import operator
from collections.abc import Callable, Sequence
from typing import Any

from tfeval.analysis.leaderboard import DATA, PROTOCOL, Leaderboard, Row
from tfeval.datasets.labels.sets import ORIGINAL, SUBSET_SUFFIX
from tfeval.models import published
from tfeval.reports.comparison import points
from tfeval.runs import display
from tfeval.utils import errors

COMPLETE, FAILED, REFERENCE = 'complete', 'failed', 'reference'
# The packaged ranks of references, by top-1 and among references alone.
REFERENCE_RANK = 'reference_rank'
# What is shown where runs differ.
_TELLING = {DATA: 'images', PROTOCOL: 'protocol'}


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
    'rank': Column('rank', _rank(sorted_labels)),
    'model': Column('model', lambda row: row.name, number=False),
  }
  for labels in board.labels:
    for name in dict.fromkeys(key for row in board.rows for _, key in row.counts):
      title = display.metric_name(labels, name) + ' %'
      found[f'{labels}/{name}'] = Column(title, _rate(labels, name), _percent)
  for labels in board.labels:
    for what in ('count', 'skipped'):
      title, value = display.metric_name(labels, what), _images(labels, metric, what)
      found[f'{labels}/{what}'] = Column(title, value, '{:,}'.format)
  for labels in board.labels:
    if labels != sorted_labels:
      kind = display.metric_name(labels, '').strip()
      if labels.removesuffix(SUBSET_SUFFIX) == ORIGINAL:
        kind = f'original {kind}'.strip()
      found[f'{labels}/rank'] = Column(f'{kind} rank', _rank(labels))
      change = _change(labels, sorted_labels)
      found[f'{labels}/change'] = Column(f'{kind} change', change, _signed)
  if has_references(board):
    for labels in board.labels:
      of = '' if labels == sorted_labels else f'{labels}/'
      kind = display.metric_name(labels, '').strip()
      title = f'{kind} rank of refs'.strip()
      found[of + REFERENCE_RANK] = Column(title, _reference_rank(labels))
  found |= {
    'low': Column('95 % low', _interval(board.sort, 'low'), _percent),
    'high': Column('95 % high', _interval(board.sort, 'high'), _percent),
    'published': Column('pub- lished %', _published(metric), _percent),
    'difference': Column('differ- ence', _difference(metric), points),
    'parameters': Column('param 10^6', _of('model.parameters'), _millions),
    'multiply_adds': Column('MAdds 10^9', _multiply_adds, _billions),
    'images_per_second': Column(
      'images /s', _of('timing.images_per_second'), '{:,.1f}'.format
    ),
    'input_size': Column('side px', _of('model.input_size')),
    'images': Column('images', _of('dataset.evaluated'), '{:,}'.format),
    'weights': Column('weights', _of('model.weights', str), number=False),
    'protocol': Column('protocol', _of('protocol.text', str), number=False),
    'state': Column('state', state, number=False),
  }
  return found


def choose(board: Leaderboard, names: Sequence[str] | None) -> dict[str, Column]:
  """Returns the columns to show.

  Args:
    board: the leaderboard.
    names: of columns; None for rank, model, the figure that is sorted by, the same
      figure, rank and change of rank by the other labels, beside references their ranks
      and intervals, what was published where anything is, and the images and protocol
      where these differ.

  Raises:
    UserError: a name is not known or given twice.
  """
  known = columns(board)
  if names is None:
    sorted_labels, metric = board.sort
    others = [labels for labels in board.labels if labels != sorted_labels]
    names = [
      'rank',
      'model',
      f'{sorted_labels}/{metric}',
      *(f'{labels}/{name}' for labels in others for name in (metric, 'rank', 'change')),
      *(name for name in known if name.endswith(REFERENCE_RANK)),
      *(('low', 'high') if has_references(board) else ()),
      *(
        name
        for name in ('published', 'difference')
        if any(known[name].value(row) is not None for row in board.rows)
      ),
      *(_TELLING[what] for what in board.different),
    ]
  for name in names:
    if name not in known:
      raise errors.UserError(
        f'unknown column {name!r}: `columns` takes ' + ', '.join(known)
      )
    if list(names).count(name) > 1:
      raise errors.UserError(f'`columns` has {name} twice')
  return {name: known[name] for name in names}


def state(row: Row) -> str:
  """Returns `complete`, `failed`, `reference`, or what is not complete of a run."""
  if row.reference:
    return REFERENCE
  if row.run is None:
    return FAILED
  return row.run.result.state or COMPLETE


def _rank(labels: str) -> Callable[[Row], int | None]:
  # References are ranked among themselves.
  return lambda row: None if row.reference else row.ranks.get(labels)


def has_references(board: Leaderboard) -> bool:
  """Returns whether packaged results stand beside the runs."""
  return any(row.reference for row in board.rows)


def _reference_rank(labels: str) -> Callable[[Row], int | None]:
  return lambda row: row.ranks.get(labels) if row.reference else None


def _rate(labels: str, metric: str) -> Callable[[Row], float | None]:
  def value(row: Row) -> float | None:
    count = row.counts.get((labels, metric))
    return count.correct / count.count if count and count.count else None

  return value


def _images(labels: str, metric: str, what: str) -> Callable[[Row], int | None]:
  return lambda row: getattr(row.counts.get((labels, metric)), what, None)


def _interval(key: tuple[str, str], end: str) -> Callable[[Row], float | None]:
  def value(row: Row) -> float | None:
    count = row.counts.get(key)
    return count.entry(*key)['interval'][end] if count and count.count else None

  return value


def _change(labels: str, sorted_labels: str) -> Callable[[Row], int | None]:
  def value(row: Row) -> int | None:
    if row.reference or not {labels, sorted_labels} <= row.ranks.keys():
      return None
    return row.ranks[labels] - row.ranks[sorted_labels]

  return value


def _published(metric: str) -> Callable[[Row], float | None]:
  return lambda row: published.figure(row.run.result, metric) if row.run else None


def _difference(metric: str) -> Callable[[Row], float | None]:
  def value(row: Row) -> float | None:
    measured, figure = _rate(ORIGINAL, metric)(row), _published(metric)(row)
    # Of other images than ImageNet's validation images nothing was compared.
    if row.run is None or not row.run.result.published:
      return None
    if measured is None or figure is None:
      return None
    return measured - figure

  return value


def _of(attributes: str, kind: type = numbers.Real) -> Callable[[Row], Any]:
  """Returns what reads an attribute of a result; None where it is of another type."""
  read = operator.attrgetter(attributes)

  def value(row: Row) -> Any:
    found = read(row.run.result) if row.run else None
    return found if isinstance(found, kind) else None

  return value


def _multiply_adds(row: Row) -> int | None:
  facts = row.run and published.facts_of(row.run.result)
  return facts.multiply_adds if facts else None


def _percent(rate: float) -> str:
  return f'{100 * rate:.2f}'


def _signed(change: int) -> str:
  return f'{change:+d}' if change else '0'


def _millions(number: int) -> str:
  return f'{number / 1e6:.2f}'


def _billions(number: int) -> str:
  return f'{number / 1e9:.3f}'
