"""What may be behind a number, as a page."""

import contextlib

from tfeval.analysis.explanation.candidates import Explanation
from tfeval.reports import explanation as texts
from tfeval.reports.comparison import p_value
from tfeval.reports.page import about_runs, content, counts
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
from tfeval.runs.run import Run, load_run
from tfeval.utils.errors import UserError

# Candidates of which is told how they were made.
_MADE = 20


def document(found: Explanation) -> Document:
  """Returns a page of an explanation."""
  parts: list[Part] = [table(found), figure(found)]
  parts.append(Remarks([*found.remarks, texts.legend(found)]))
  parts += [Missing(name, why) for name, why in found.failed.items()]
  sections = [Section('Candidates', parts), *about_runs.sections(_runs(found), 1)]
  return Document('Why the number is different', sections, found.title)


def _runs(found: Explanation) -> list[tuple[str, Run]]:
  """Returns the best candidates that were evaluated and are there."""
  runs = []
  for one in found.candidates[:_MADE]:
    with contextlib.suppress(UserError):
      if one.run is not None:
        runs.append((one.name, load_run(one.run)))
  return runs


def table(found: Explanation) -> Table:
  """Returns the candidates, best first."""
  rows = [
    (one.name, one.state, one.agree, one.of, one.correct, one.count, one.value,
     one.points, one.p)
    for one in found.candidates
  ]  # fmt: skip
  columns = (
    Column('candidate', 'done otherwise'),
    Column('state', 'state'),
    Column('agree', 'same answer', content.counted),
    Column('of', 'of', content.counted),
    Column('correct', 'correct', content.counted),
    Column('count', 'of', content.counted),
    Column('value', '%', content.percent),
    Column('points', 'points', '{:+.2f}'.format, 'against the base'),
    Column('p', 'p', p_value),
  )
  return Table('Candidates, best first', columns, rows)


def figure(found: Explanation) -> Figure:
  """Returns the best candidates with intervals of 95 %."""
  rows = [kinds.Interval(*row) for row in texts.intervals_of(found)]
  reported = found.reported
  if reported is None:
    title, at = 'images with the same answer, %', 100.0
  else:
    title, at = f'{display.metric_name(found.labels, found.metric)}, %', reported
  about = '' if reported is None else f'The dashed line: {reported:g} % reported.'
  return Figure(
    'The best candidates',
    kinds.Intervals(rows, title, at=at),
    _best(found, title),
    about,
  )


def _best(found: Explanation, title: str) -> Table:
  """Returns what is drawn of the best candidates, rates in [0, 1]."""
  drawn = texts.intervals_of(found)
  rows = [
    (one.name, one.state, one.agree, one.of, *(end / 100 for end in ends))
    for one, (_, *ends) in zip(found.candidates, drawn, strict=False)
  ]
  columns = (
    Column('candidate', 'done otherwise'),
    Column('state', 'state'),
    Column('agree', 'same answer', content.counted),
    Column('of', 'of', content.counted),
    Column('value', title, content.percent),
    *counts.RATES[1:],
  )
  return Table('The best candidates', columns, rows)
