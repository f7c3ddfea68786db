"""Metrics of results: counts with intervals, and values."""

from collections.abc import Iterable, Sequence

from tfeval.metrics.entry import COUNT, MetricEntry
from tfeval.reports.page import content
from tfeval.reports.page.content import Column, Figure, Missing, Part, Table
from tfeval.reports.plots import kinds
from tfeval.runs import display

CORRECT = Column('correct', 'correct', content.counted, 'images that were hit')
COUNT_OF = Column('count', 'of', content.counted, 'images with a label')
SKIPPED = Column('skipped', 'skipped', content.counted, 'images without a label')
RATE = Column('value', '%', content.percent, 'correct / of')
LOW = Column('low', 'from %', content.percent, 'lower end of the 95 % interval')
HIGH = Column('high', 'to %', content.percent, 'upper end of the 95 % interval')
# A rate in [0, 1] and the ends of its interval.
RATES = (RATE, LOW, HIGH)
_MODEL, _METRIC = Column('model', 'model'), Column('metric', 'metric')
_LABELS = Column('labels', 'labels', program=True)
_NAME = Column('name', 'name', program=True)
_VALUE = Column('value', 'value', content.four_digits)
_OF_COUNT = (CORRECT, COUNT_OF, SKIPPED, *RATES)

Named = Sequence[tuple[str, Sequence[MetricEntry]]]


def count_table(named: Named) -> Table:
  """Returns the counted metrics of runs.

  Args:
    named: name and metrics of each run.
  """
  several = len(named) > 1
  rows = []
  for name, metrics in named:
    for metric in _counted(metrics):
      interval = metric.interval
      ends = (None, None) if interval is None else (interval.low, interval.high)
      what = display.metric_name(metric.labels, metric.key)
      key = (*([name] if several else []), what, metric.labels, metric.key)
      figures = metric.correct, metric.count, metric.skipped, metric.value, *ends
      rows.append((*key, *figures))
  names = (*([_MODEL] if several else []), _METRIC, _LABELS, _NAME)
  return Table(
    'Counts',
    (*names, *_OF_COUNT),
    rows,
    'Images hit, of those that have a label; skipped ones have none and are in no '
    'figure. Intervals cover 95 % and say how far chance in the choice of images '
    "reaches (Wilson's, unless another one was asked for).",
    labels=1 + several,
  )


def count_figure(named: Named, title: str = 'Accuracy with 95 % intervals') -> Figure:
  """Returns a picture of the same."""
  several = len(named) > 1
  rows = [
    kinds.Interval(
      f'{name}: {what}' if several else what,
      100 * metric.value,
      100 * metric.interval.low,
      100 * metric.interval.high,
      number,
    )
    for number, (name, metrics) in enumerate(named)
    for metric in _counted(metrics)
    if metric.value is not None and metric.interval is not None
    for what in [display.metric_name(metric.labels, metric.key)]
  ]
  return Figure(title, kinds.Intervals(rows, 'images hit, %'), count_table(named))


def value_table(named: Named) -> Table | None:
  """Returns the metrics that are no counts, None where there are none."""
  several = len(named) > 1
  rows = [
    (*([name] if several else []), display.metric_name(metric.labels, metric.key),
     metric.labels, metric.key, metric.count, metric.skipped, metric.value)
    for name, metrics in named
    for metric in metrics
    if metric.kind != COUNT and metric.value is not None
  ]  # fmt: skip
  if not rows:
    return None
  names = (*([_MODEL] if several else []), _METRIC, _LABELS, _NAME)
  return Table(
    'Other metrics', (*names, COUNT_OF, SKIPPED, _VALUE), rows, labels=1 + several
  )


def unavailable(named: Named) -> list[Part]:
  """Returns which metrics there are not, those with the same reason together."""
  reasons: dict[str, dict[str, None]] = {}
  for _, metrics in named:
    for metric in metrics:
      if metric.unavailable is not None:
        what = display.metric_name(metric.labels, metric.key)
        reasons.setdefault(metric.unavailable, {})[what] = None
  return [Missing(', '.join(names), reason) for reason, names in reasons.items()]


def _counted(metrics: Iterable[MetricEntry]) -> list[MetricEntry]:
  return [metric for metric in metrics if metric.kind == COUNT]
