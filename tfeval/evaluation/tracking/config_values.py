"""What a tracker is told of runs: what was evaluated and how, and what came out."""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from tfeval.evaluation.tracking.history_file import flat
from tfeval.metrics.entry import COUNT, MetricEntry
from tfeval.runs.result_file import Result
from tfeval.runs.run import Run
from tfeval.utils.printable import printable

# Of the manifest, which says what is run.
_SECTIONS = ('model', 'dataset', 'protocol', 'store', 'compute', 'imported')
# What came out, which metrics say, and what is as long as the dataset.
_OTHER = ('dataset.failed', 'dataset.classes', 'model.matched', 'dataset.evaluated')
# Of a model in training these are others at each step.
_OF_VALUES = ('model.values_sha256', 'model.weights_sha256', 'model.weights')
_LONGEST = 500


def config_of(result: Result, in_training: bool = False) -> dict[str, Any]:
  """Returns what was evaluated and how, by dotted names such as `model.name`.

  Args:
    result: of a run.
    in_training: whether it is one of many of a model whose values change.
  """
  hidden = _OTHER + (_OF_VALUES if in_training else ())
  sections = {key: result[key] for key in _SECTIONS if result.get(key) is not None}
  return {
    key: _plain(value)
    for key, value in flat(sections).items()
    if value is not None and not key.startswith(hidden)
  }


def _plain(value: Any) -> Any:
  """Returns a number, a truth or a text that is not long."""
  if isinstance(value, bool | int | float):
    return value
  text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
  text = printable(text)
  return text if len(text) <= _LONGEST else f'{text[:_LONGEST]}...'


def values_of(run: Run) -> dict[str, float]:
  """Returns the metrics of a run: `original/top1`, its counts, its interval.

  Metrics without a value are left out, and rules of other test sets.
  """
  found: dict[str, float] = {}
  for metric in run.metrics:
    if metric.value is None or run.classes.is_partner(metric.rule):
      continue
    name = f'{metric.labels}/{metric.key}'
    found[name] = metric.value
    found |= counts_of(name, metric)
  for name in ('seconds', 'images_per_second'):
    if (value := getattr(run.result.timing, name)) is not None:
      found[name] = value
  return found


def counts_of(name: str, metric: MetricEntry) -> dict[str, float]:
  """Returns what a metric was counted of, by names behind its own."""
  found: dict[str, float] = {f'{name}_count': metric.count}
  if metric.kind == COUNT and metric.correct is not None:
    found[f'{name}_correct'] = metric.correct
  if metric.interval is not None:
    found[f'{name}_low'] = metric.interval.low
    found[f'{name}_high'] = metric.interval.high
  return found


def with_counts(
  values: Mapping[str, float | None], counts: Mapping[str, Iterable[int | None]]
) -> dict[str, float]:
  """Returns the finite ones of values by their names, each with its counts behind."""
  found: dict[str, float] = {}
  for name, value in values.items():
    if value is None or not math.isfinite(value):
      continue
    found[name] = value
    for end, number in zip(('correct', 'count'), counts.get(name, ()), strict=False):
      if number is not None:
        found[f'{name}_{end}'] = number
  return found
