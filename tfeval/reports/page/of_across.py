"""Models on several test sets as a page: overview, sets, robustness, severities."""

from typing import Any

from tfeval.analysis.across.places import Place
from tfeval.analysis.across.table import MEAN, Across
from tfeval.reports import across as texts
from tfeval.reports.page import about_runs, across_figures, content
from tfeval.reports.page.across_figures import signed
from tfeval.reports.page.content import (
  Column,
  Document,
  Remarks,
  Section,
  Table,
)
from tfeval.runs.result_file import counted
from tfeval.runs.run import Run


def document(found: Across) -> Document:
  """Returns a page of models on test sets."""
  sections = [
    Section('Overview', [overview(found), *across_figures.intervals(found)]),
    *(Section(place.name, [of_set(found, place)]) for place in found.places),
  ]
  scatter = list(across_figures.scatters(found))
  if scatter:
    sections.insert(1, Section('Effective robustness', scatter))
  lines = across_figures.severities(found)
  if lines is not None:
    sections.append(Section('Corruptions by severity', [lines]))
  sections.append(Section('How to read it', [Remarks(texts.remarks(found))]))
  sections.append(about_runs.section(runs(found)))
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
    'gap': Column('gap', 'gap', signed, 'points to its clean partner'),
    'gap_low': Column('gap_low', 'from', signed),
    'gap_high': Column('gap_high', 'to', signed),
    'relative_robustness': Column('relative_robustness', 'to base', signed),
    'effective_robustness': Column('effective_robustness', 'beyond', signed),
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


def runs(found: Across) -> list[tuple[str, str, Run]]:
  """Returns the runs that all of it is made of, each with its model and set."""
  return [
    (row.name, place.name, run)
    for place in found.places
    for row in found.rows
    if place.name in row.cells
    for run in row.cells[place.name].runs
  ]
