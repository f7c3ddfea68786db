"""What differs between two runs, as a page."""

from tfeval.analysis.explanation.two_runs import TwoRuns
from tfeval.reports import two_runs as texts
from tfeval.reports.page import about_runs, content
from tfeval.reports.page.content import (
  Column,
  Document,
  Figure,
  Part,
  Remarks,
  Section,
  Table,
)
from tfeval.reports.plots import kinds
from tfeval.runs import display


def document(found: TwoRuns) -> Document:
  """Returns a page of two runs."""
  parts: list[Part] = [table(found), figure(found), Remarks(texts.remarks(found))]
  runs = [
    f'{name}: {one.run.path}, {hits:,} of {count:,}'
    for name, one, (hits, count) in zip(
      ('first', 'second'), (found.first, found.second), found.of_all, strict=True
    )
  ]
  both = [('the first', found.first.run), ('the second', found.second.run)]
  sections = [Section('Differences', parts), *about_runs.sections(both)]
  counted = display.metric_name(found.labels, found.metric)
  text = f'{counted}: {"; ".join(runs)}'
  return Document('What differs between two runs', sections, text)


def table(found: TwoRuns) -> Table:
  """Returns each difference, what is left, and all of it."""
  rows: list[tuple[object, ...]] = []
  for one in found.differences:
    low, high = found.interval(one) or (None, None)
    ends = (None, None) if low is None or high is None else (100 * low, 100 * high)
    first, second = (content.NOT_KNOWN if x is None else str(x)
                     for x in (one.first, one.second))  # fmt: skip
    rows.append((one.what, first, second, one.points, *ends))
  rows += [(name, None, None, value, None, None) for name, value in _sums(found)]
  points = '{:+.2f}'.format
  columns = (
    Column('what', 'what'),
    Column('first', 'first'),
    Column('second', 'second'),
    Column('points', 'points', points, 'percentage points that it carries'),
    Column('low', 'from', points),
    Column('high', 'to', points),
  )
  return Table('Differences', columns, rows)


def figure(found: TwoRuns) -> Figure:
  """Returns the points that differences carry."""
  rows = []
  for one in found.differences:
    if one.points is not None:
      low, high = found.interval(one) or (one.points / 100,) * 2
      rows.append(kinds.Interval(one.what, one.points, 100 * low, 100 * high))
  rows += [kinds.Interval(name, value, value, value) for name, value in _sums(found)]
  title = 'percentage points of hits, the second run less the first'
  return Figure('Points', kinds.Intervals(rows, title, at=0.0), table(found))


def _sums(found: TwoRuns) -> list[tuple[str, float]]:
  sums = [('unexplained', found.unexplained), ('in all', found.total)]
  if found.changes is not None and found.changes.together is not None:
    sums.insert(0, ('all changes at once', found.changes.together))
  return sums
