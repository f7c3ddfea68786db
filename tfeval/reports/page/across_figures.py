"""Figures of models on several test sets, each with its numbers."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from tfeval.analysis import robustness
from tfeval.analysis.across import cells
from tfeval.analysis.across.places import IMAGENET, Place
from tfeval.analysis.across.table import Across
from tfeval.metrics.accuracy import Count
from tfeval.reports import across as texts
from tfeval.reports.page import content, counts
from tfeval.reports.page.content import Column, Figure, Table
from tfeval.reports.plots import kinds
from tfeval.utils.errors import UserError

# Points of the line of expected accuracy.
_LINE = 60


def intervals(found: Across) -> Iterator[Figure]:
  """Yields accuracies with intervals, of sets by their colours."""
  rows, numbers = [], []
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
      counted = cell.count.correct, cell.count.count, cell.count.rate
      ends = entry['low'], entry['high']
      numbers.append((row.name, place.name, *counted, *ends))
  columns = (
    Column('model', 'model'),
    Column('set', 'set'),
    *(counts.CORRECT, counts.COUNT_OF, *counts.RATES),
  )
  if rows:
    yield Figure(
      'Accuracy on each set with 95 % intervals',
      kinds.Intervals(rows, 'images hit, %', groups=names),
      Table('Accuracies', columns, numbers, labels=2),
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
                   entry['low'], entry['high'], fit.expected(counted.rate),
                   cell.robustness))  # fmt: skip
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
    *counts.RATES,
    Column('expected', 'expected %', content.percent),
    Column('effective_robustness', 'beyond, points', signed),
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


def signed(value: float) -> str:
  """Returns points with their sign."""
  return f'{value:+.2f}'
