"""A sweep as a page: what each departure costs."""

from tfeval.analysis.against_base import Sweep
from tfeval.reports.comparison import p_value
from tfeval.reports.page import about_runs, content
from tfeval.reports.page.content import (
  Column,
  Document,
  Figure,
  Missing,
  Part,
  Section,
  Table,
)
from tfeval.reports.page.of_comparison import FROM, POINTS, TO, P
from tfeval.reports.plots import kinds
from tfeval.runs import display

# Runs with a section of their own.
_FEW = 2


def document(found: Sweep) -> Document:
  """Returns a page of a sweep."""
  made = about_runs.sections([*found.runs.items()], _FEW)
  return Document('Sweep', [section(found), *made], found.title)


def section(found: Sweep) -> Section:
  """Returns the table, the picture, and what could not be evaluated."""
  parts: list[Part] = [table(found), figure(found)]
  parts += [Missing(one.name, one.reason) for one in found.failed]
  count = found.effects[0].count.count
  return Section(
    'What each departure costs',
    parts,
    f'Of {count:,} images. Points are of hits against the base on the same images, '
    f'with a paired bootstrap interval of {100 * (1 - found.level):g} %; flips are '
    'images whose first class is another one.',
  )


def table(found: Sweep) -> Table:
  """Returns a row for each cell, the base first."""
  rows = []
  for one in found.effects:
    low, high = found.interval(one) or (None, None)
    count = one.count
    rows.append((
      one.name, count.correct, count.count, count.skipped,
      count.correct / count.count if count.count else None,
      None if one.hits is None else one.hits.difference, low, high, one.p, one.p_holm,
      None if one.hits is None else one.flipped,
    ))  # fmt: skip
  columns = (
    Column('cell', 'departure'),
    Column('correct', 'correct', content.counted),
    Column('count', 'of', content.counted),
    Column('skipped', 'skipped', content.counted),
    Column('value', '%', content.percent),
    *(POINTS, FROM, TO, P),
    Column('p_holm', 'p (Holm)', p_value),
    Column('flips', 'flips', content.counted),
  )
  title = display.metric_name(found.labels, found.metric)
  return Table(f'{title} of each cell', columns, rows)


def figure(found: Sweep) -> Figure:
  """Returns the points of each cell with intervals."""
  rows = []
  for one in found.effects[1:]:
    interval = found.interval(one)
    if one.hits is None or one.hits.difference is None or interval is None:
      continue
    low, high = (100 * end for end in interval)
    rows.append(kinds.Interval(one.name, 100 * one.hits.difference, low, high))
  return Figure(
    'Points against the base',
    kinds.Intervals(rows, 'percentage points of hits against the base', at=0.0),
    table(found),
  )
