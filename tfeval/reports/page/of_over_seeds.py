"""Metrics over runs of several seeds as a page."""

from collections.abc import Callable
from typing import Any

from tfeval.analysis.over_seeds import OverSeeds, Spread, is_one_model
from tfeval.metrics.entry import MetricEntry
from tfeval.reports.page.content import (
  Column,
  Document,
  Remarks,
  Section,
  Table,
  counted,
  four_digits,
)
from tfeval.runs import display

_SPREADS = (
  Column('labels', 'labels'),
  Column('metric', 'metric'),
  Column('runs', 'runs', counted),
  Column('mean', 'mean', four_digits),
  Column('sd', 'deviation', four_digits, 'standard deviation, n - 1'),
  Column('error', 'error', four_digits, 'standard error of the mean'),
  Column('low', 'from', four_digits),
  Column('high', 'to', four_digits),
)
_EACH = (
  Column('run', 'run'),
  Column('labels', 'labels'),
  Column('metric', 'metric'),
  Column('value', 'value', four_digits),
  Column('correct', 'correct', counted),
  Column('count', 'of', counted),
)


def document(found: OverSeeds) -> Document:
  """Returns mean and spread of each metric, and what each run has."""
  spreads = [
    (
      one.labels,
      one.metric,
      len(one.entries),
      *(one.mean, one.sd, one.error, one.low, one.high),
    )
    for one in found.spreads
  ]
  each = [
    (name, one.labels, one.metric, entry.value, *_counts(entry))
    for one in found.spreads
    for name, entry in zip(found.names, one.entries, strict=True)
  ]
  share = f'{100 - 100 * found.level:g} %'
  caption = (
    f"from, to: {share} interval of the mean over trainings, by Student's t, on these "
    'very images'
  )
  remarks = [*found.remarks, *_unavailable(found.spreads, display.metric_name)]
  return Document(
    f'{len(found.runs):,} runs' + ' of one model' * is_one_model(found.runs),
    [
      Section(
        'Mean and spread',
        [
          Table('of each metric', _SPREADS, spreads, caption, labels=2),
          *([Remarks(remarks)] if remarks else []),
        ],
      ),
      Section('Each run', [Table('of each metric', _EACH, each, labels=3)]),
    ],
    ', '.join(found.names),
  )


def _counts(entry: MetricEntry) -> tuple[Any, Any]:
  return entry.correct, entry.count


def _unavailable(spreads: Any, named: Callable[[str, str], str]) -> list[str]:
  lacking: list[Spread] = [one for one in spreads if one.unavailable is not None]
  return [f'{named(one.labels, one.metric)}: {one.unavailable}' for one in lacking]
