"""Accuracy in slices as a page."""

import dataclasses

from tfeval.analysis.slices import Report, Sliced
from tfeval.reports import slices as texts
from tfeval.reports.comparison import p_value, points
from tfeval.reports.page import content
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

# Slices that a page and a figure have room for.
_SLICES, _DRAWN = 500, 40


def document(found: Report) -> Document:
  """Returns a page of runs in slices."""
  return Document(f'Accuracy by {found.by}', [section(found)], ', '.join(found.names))


def section(found: Report) -> Section:
  """Returns the slices of each label set and metric."""
  parts: list[Part] = []
  for sliced in found.sliced:
    parts += [table(found, sliced), figure(found, sliced)]
  remarks = [*texts.warnings(found), *texts.legend(found), *found.remarks]
  return Section(f'Slices by {found.by}', [*parts, Remarks(remarks)])


def table(found: Report, sliced: Sliced, most: int = _SLICES) -> Table:
  """Returns a row for each of the worst slices of each run that has images in it."""
  rows = []
  for i, (attribute, text) in enumerate(sliced.slices[:most]):
    for name, of_run in zip(found.names, sliced.found, strict=True):
      if (one := of_run[i]) is None:
        continue
      beside = one.difference_interval or (None, None)
      rows.append((
        attribute, text, name, one.correct, one.count, one.rate, *one.interval,
        one.difference, *beside, one.p, one.p_holm, one.error_ratio,
      ))  # fmt: skip
  columns = (
    Column('attribute', 'attribute'),
    Column('slice', 'slice'),
    Column('model', 'model'),
    Column('correct', 'correct', content.counted),
    Column('count', 'of', content.counted),
    Column('value', '%', content.percent),
    Column('low', 'from %', content.percent),
    Column('high', 'to %', content.percent),
    Column('difference', 'less rest', points, 'points less those of the rest'),
    Column('difference_low', 'from', points),
    Column('difference_high', 'to', points),
    Column('p', 'p', p_value, "Fisher's exact test"),
    Column('p_holm', 'p (Holm)', p_value),
    Column('error_ratio', 'error ratio', '{:.3f}'.format),
  )
  title = f'{display.metric_name(sliced.labels, sliced.metric)} by slice'
  more = max(0, len(sliced.slices) - most)
  return Table(title, columns, rows, labels=3, more=more)


def figure(found: Report, sliced: Sliced) -> Figure:
  """Returns the worst slices with intervals, a line at all images of the first run."""
  rows = []
  shown = sliced.slices[:_DRAWN]
  for i, (attribute, text) in enumerate(shown):
    for number, of_run in enumerate(sliced.found):
      if (one := of_run[i]) is not None:
        low, high = one.interval
        name = text if attribute == text else f'{attribute} {text}'
        rows.append(kinds.Interval(name, 100 * one.rate, 100 * low, 100 * high, number))
  every = sliced.all[0]
  at = 100 * every.correct / every.count if every.count else None
  title = display.metric_name(sliced.labels, sliced.metric)
  names = found.names if len(found.names) > 1 else ()
  return Figure(
    f'{title} by slice, the worst first',
    kinds.Intervals(rows, f'{title}, %', at=at, groups=names),
    dataclasses.replace(table(found, sliced, _DRAWN), more=0),
    f'Intervals cover 95 % (Wilson). The dashed line: all images of {found.names[0]}.',
  )
