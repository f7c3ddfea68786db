"""What changed between two sets of images, as a page."""

from collections.abc import Iterator

from tfeval.analysis.shift import verdict
from tfeval.analysis.shift.diagnosis import Shift
from tfeval.reports import shift as texts
from tfeval.reports.comparison import p_value
from tfeval.reports.page import about_runs, content
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


def document(found: Shift) -> Document:
  """Returns a page of a diagnosis."""
  sections = []
  title = 'What changed between the images'
  if found.verdict is not None:
    title = f'{title}: {found.verdict.kind}'
    sections.append(Section('Verdict', [Remarks(found.verdict.reasons)]))
  sections.append(Section('Measures', [measures(found)]))
  sections += list(_further(found))
  sections.append(Section('How to read it', [Remarks(texts.remarks(found))]))
  sections += about_runs.sections(found.runs)
  names, images = found.names, found.images
  return Document(
    title,
    sections,
    f'source {names[0]}, {images[0]:,} images; target {names[1]}, {images[1]:,} images',
    texts.caveats(found),
    measures(found),
  )


def measures(found: Shift) -> Table:
  """Returns every measure beside what it is between halves of the source."""
  level = found.options.level
  rows = [
    (one.of, one.name, one.value, one.null, one.p, one.p_holm,
     None if one.p is None else texts.differ(verdict.told_apart(one, level)))
    for one in [*found.measures, *found.statistics]
  ]  # fmt: skip
  columns = (
    Column('of', 'of'),
    Column('name', 'measure'),
    Column('value', 'value', '{:.3g}'.format),
    Column('null', 'two halves', '{:.3g}'.format, 'between halves of the source'),
    Column('p', 'p', p_value),
    Column('p_holm', 'p (Holm)', p_value),
    Column('differ', 'told apart'),
  )
  return Table('Measures', columns, rows, labels=2)


def _further(found: Shift) -> Iterator[Section]:
  if found.shares is not None:
    yield Section('Class shares', _shares(found))
  elif found.no_shares:
    yield Section('Class shares', [Missing('Class shares', found.no_shares)])
  if found.guesses is not None:
    yield Section('Hits guessed without labels', [_guesses(found)])
  if found.farthest:
    rows = [(one.id, one.distance, one.share) for one in found.farthest]
    columns = (
      Column('id', 'image'),
      Column('distance', 'distance', '{:.2f}'.format),
      Column('share', 'as far in source %', content.percent),
    )
    table = Table('Images farthest from the source', columns, rows)
    yield Section('Farthest images', [table])


def _shares(found: Shift) -> list[Part]:
  shares = found.shares
  assert shares is not None
  bbse = shares.bbse
  rows = [
    (found.classes[column], float(shares.source[i]), float(shares.target[i]),
     float(shares.low[i]), float(shares.high[i]),
     None if bbse is None else float(bbse[i]))
    for i, column in enumerate(shares.columns)
  ]  # fmt: skip
  rows.sort(key=lambda row: -abs(row[2] - row[1]))
  columns = (
    Column('class', 'class'),
    Column('source', 'source %', content.percent),
    Column('target', 'target, EM %', content.percent),
    Column('low', 'from %', content.percent),
    Column('high', 'to %', content.percent),
    Column('bbse', 'BBSE %', content.percent),
  )
  return [Table('Class shares, the most moved first', columns, rows[:1000])]


def _guesses(found: Shift) -> Figure:
  guesses = found.guesses
  assert guesses is not None
  rows = [(one.name, one.value, one.low, one.high, one.error) for one in guesses.each]
  columns = (
    Column('by', 'by'),
    Column('value', 'guess %', content.percent),
    Column('low', 'from %', content.percent),
    Column('high', 'to %', content.percent),
    Column('error', 'error, points', lambda value: f'{100 * value:+.1f}'),
  )
  drawn = [
    kinds.Interval(one.name, 100 * one.value, 100 * _or(one.low, one.value),
                   100 * _or(one.high, one.value))
    for one in guesses.each
    if one.value is not None
  ]  # fmt: skip
  return Figure(
    'Hits guessed without labels; no accuracy was measured',
    kinds.Intervals(drawn, 'hits, %; the dashed line: in the source',
                    at=100 * guesses.source_hits),
    Table('Guesses', columns, rows),
  )  # fmt: skip


def _or(value: float | None, other: float) -> float:
  return other if value is None else value
