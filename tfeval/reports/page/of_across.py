"""Models on several test sets as a page: overview, sets, robustness, severities."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from tfeval.analysis import robustness
from tfeval.analysis.across import cells
from tfeval.analysis.across.places import IMAGENET, Place
from tfeval.analysis.across.table import MEAN, Across
from tfeval.metrics.accuracy import Count
from tfeval.reports import across as texts
from tfeval.reports.page import about_run, content
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
from tfeval.runs.result_file import counted
from tfeval.utils.errors import UserError

# Points of the line of expected accuracy.
_LINE = 60


def document(found: Across) -> Document:
  """Returns a page of models on test sets."""
  sections = [
    Section('Overview', [overview(found), *_intervals(found)]),
    *(Section(place.name, [of_set(found, place)]) for place in found.places),
  ]
  scatter = list(scatters(found))
  if scatter:
    sections.insert(1, Section('Effective robustness', scatter))
  lines = severities(found)
  if lines is not None:
    sections.append(Section('Corruptions by severity', [lines]))
  sections.append(Section('How to read it', [Remarks(texts.remarks(found))]))
  sections.append(Section('How it was made', [runs(found)]))
  sets = ', '.join(place.name for place in found.places)
  return Document(
    f'{counted(len(found.rows), "model")} on {counted(len(found.places), "test set")}',
    sections,
    sets,
  )


def overview(found: Across) -> Table:
  """Returns the value of each model on each set."""
  columns = [Column('model', 'model')]
  columns += [
    Column(place.name, f'{place.name} %', content.percent) for place in found.places
  ]
  means = len(found.shared) > 1
  if means:
    columns.append(Column(MEAN, 'mean %', content.percent))
  rows = []
  for row in found.rows:
    values = [
      row.cells[place.name].value if place.name in row.cells else None
      for place in found.places
    ]
    rows.append((row.name, *values, *([row.mean] if means else [])))
  return Table('Models on test sets', columns, rows)


def of_set(found: Across, place: Place) -> Table:
  """Returns all figures of models on one set."""
  columns: dict[str, Column] = {
    'rank': Column('rank', 'rank', str),
    'correct': Column('correct', 'correct', content.counted),
    'count': Column('count', 'of', content.counted),
    'skipped': Column('skipped', 'skipped', content.counted),
    'value': Column('value', '%', content.percent),
    'low': Column('low', 'from %', content.percent),
    'high': Column('high', 'to %', content.percent),
    'gap': Column('gap', 'gap', _signed, 'points to its clean partner'),
    'gap_low': Column('gap_low', 'from', _signed),
    'gap_high': Column('gap_high', 'to', _signed),
    'relative_robustness': Column('relative_robustness', 'to base', _signed),
    'effective_robustness': Column('effective_robustness', 'beyond', _signed),
  }
  entries: list[tuple[str, dict[str, Any]]] = []
  for row in found.rows:
    if place.name not in row.cells:
      continue
    entry = texts.cell_entry(row.cells[place.name], place)
    gap = entry.get('gap') or {}
    entry |= {'gap': gap.get('points'), 'gap_low': gap.get('low')}
    entry |= {'gap_high': gap.get('high')} | entry['measures']
    columns |= {
      name: Column(name, texts.measure_title(name), content.percent)
      for name in entry['measures']
    }
    entries.append((row.name, entry))
  there = [
    name for name in columns if any(entry.get(name) is not None for _, entry in entries)
  ]
  rows = [(name, *(entry.get(key) for key in there)) for name, entry in entries]
  return Table(
    texts.set_title(place),
    [Column('model', 'model'), *(columns[name] for name in there)],
    rows,
  )


def _intervals(found: Across) -> Iterator[Part]:
  """Yields accuracies with intervals, of sets by their colours."""
  rows = []
  names = [place.name for place in found.places]
  for row in found.rows:
    for number, place in enumerate(found.places):
      cell = row.cells.get(place.name)
      if cell is None or cell.count is None or not cell.count.count:
        continue
      entry = texts.cell_entry(cell, place)
      rows.append(
        kinds.Interval(f'{row.name}: {place.name}', 100 * cell.count.rate,
                       100 * entry['low'], 100 * entry['high'], number)
      )  # fmt: skip
  if rows:
    yield Figure(
      'Accuracy on each set with 95 % intervals',
      kinds.Intervals(rows, 'images hit, %', groups=names),
      overview(found),
    )


def scatters(found: Across) -> Iterator[Figure]:
  """Yields accuracy on shifted sets against clean ones, beside the published fit."""
  for place in found.places:
    try:
      kind, fit = robustness.fit_of(place.name)
    except UserError:
      continue
    points, rows = [], []
    for number, row in enumerate(found.rows):
      cell = row.cells.get(place.name)
      clean = row.cells.get(IMAGENET)
      if cell is None or cell.count is None or cell.robustness is None:
        continue
      assert cell.gap is not None  # Robustness has one.
      of_all = None if clean is None else clean.count
      counted = cell.gap.clean if kind == robustness.SAME else of_all
      if counted is None or not counted.count or not cell.count.count:
        continue
      entry = texts.cell_entry(cell, place)
      points.append(
        kinds.Point(row.name, 100 * counted.rate, 100 * cell.count.rate,
                    100 * entry['low'], 100 * entry['high'], number)
      )  # fmt: skip
      rows.append((row.name, counted.correct, counted.count, counted.rate,
                   cell.count.correct, cell.count.count, cell.count.rate,
                   fit.expected(counted.rate), cell.robustness))  # fmt: skip
    if points:
      yield _scatter(place, fit, points, rows)


def _scatter(
  place: Place,
  fit: robustness.Fit,
  points: list[kinds.Point],
  rows: list[tuple[Any, ...]],
) -> Figure:
  xs = [point.x for point in points]
  x = np.linspace(max(min(xs) - 8, 1), min(max(xs) + 8, 99), _LINE)
  y = np.array([100 * fit.expected(value / 100) for value in x])
  columns = (
    Column('model', 'model'),
    Column('clean_correct', 'clean: correct', content.counted),
    Column('clean_count', 'of', content.counted),
    Column('clean', '%', content.percent),
    Column('correct', 'correct', content.counted),
    Column('count', 'of', content.counted),
    Column('value', '%', content.percent),
    Column('expected', 'expected %', content.percent),
    Column('effective_robustness', 'beyond, points', _signed),
  )
  return Figure(
    f'{place.name}: effective robustness',
    kinds.Scatter(
      points, 'clean accuracy, %', f'{place.name}, %',
      line=kinds.Series(f'fit to {fit.models} models of ImageNet Testbed', x, y),
    ),
    Table('Models', columns, rows),
    'Above the line a model is more accurate than its clean accuracy lets expect '
    '(Taori et al. 2020); the line is straight between logits.',
  )  # fmt: skip


def severities(found: Across) -> Figure | None:
  """Returns errors by severity of corruptions, None without any."""
  series, rows = [], []
  for row in found.rows:
    for place in found.places:
      if place.part is None or place.name not in row.cells:
        continue
      by_name: dict[str, dict[int, Count]] = {}
      for name, severity, count in cells.severities(row.cells[place.name], place):
        if count.count:
          by_name.setdefault(name, {})[severity] = count
      for name, of in by_name.items():
        several = f'{row.name}: {name}' if len(found.rows) > 1 else name
        x = sorted(of)
        y = np.array([100 * of[severity].rate for severity in x])
        series.append(kinds.Series(several, np.array(x), y))
        rows += [
          (row.name, place.name, name, s, of[s].correct, of[s].count, of[s].rate)
          for s in x
        ]
  if not series:
    return None
  columns = (
    Column('model', 'model'),
    Column('set', 'set'),
    Column('corruption', 'corruption'),
    Column('severity', 'severity', str),
    Column('correct', 'correct', content.counted),
    Column('count', 'of', content.counted),
    Column('value', '%', content.percent),
  )
  return Figure(
    'Accuracy by severity',
    kinds.Lines(series, 'severity', 'images hit, %', y_range=(0, None), whole_x=True),
    Table('Severities', columns, rows, labels=4),
  )


def runs(found: Across) -> Table:
  """Returns the runs that all of it is made of, and how each is repeated."""
  rows = [
    (row.name, place.name, run.result.protocol.text, run.result.dataset.evaluated,
     str(run.path), run.result.dataset.content_digest, about_run.repeated(run))
    for place in found.places
    for row in found.rows
    if place.name in row.cells
    for run in row.cells[place.name].runs
  ]  # fmt: skip
  columns = (
    Column('model', 'model'),
    Column('set', 'set'),
    Column('protocol', 'protocol'),
    Column('images', 'images', content.counted),
    Column('run', 'run'),
    Column('content_digest', 'content digest'),
    Column('repeat', 'repeat it'),
  )
  return Table('Runs', columns, rows, labels=2)


def _signed(value: float) -> str:
  return f'{value:+.2f}'
