"""Whether the figures of a result agree with each other."""

import math
from collections.abc import Mapping
from typing import Any

from tfeval.datasets.labels import sets
from tfeval.metrics import accuracy
from tfeval.metrics.entry import COUNT
from tfeval.runs.result_file import Result

# Beside integers, which are compared exactly: sums may be rounded otherwise elsewhere.
_TOLERANCE = 1e-12


class Failed(Exception):
  """A check does not hold; the message is what was seen."""


def hold(holds: bool, seen: str) -> None:
  """Raises `Failed` with what was seen if something does not hold."""
  if not holds:
    raise Failed(seen)


def intervals(result: Result) -> str:
  """Checks that a metric's own figures agree, whatever its labels are."""
  for metric in result.metrics:
    name = f'{metric.labels}/{metric.key}'
    total = metric.count + metric.skipped
    hold(
      total == result.dataset.evaluated,
      f'{name}: {total:,} counted and skipped of '
      f'{result.dataset.evaluated:,} evaluated',
    )
    if metric.kind != COUNT or metric.correct is None:
      continue
    hold(
      metric.correct <= metric.count,
      f'{name}: {metric.correct:,} correct of {metric.count:,}',
    )
    entry = accuracy.Count(metric.correct, metric.count, metric.skipped).entry(
      metric.name, metric.labels
    )
    for field in ('value', 'interval'):
      hold(
        same(metric[field], entry[field]),
        f'{name}: {field} is {metric[field]}, its counts give {entry[field]}',
      )
  return 'values and intervals are those of the counts'


def published(result: Result, again: Mapping[str, Any] | None = None) -> str:
  """Checks that a comparison with published figures is of the metrics.

  Args:
    result: of a run.
    again: the same comparison, made again; empty where it should not be there; None:
      it was not made.
  """
  compared = result.published
  if compared is None:
    return 'nothing is compared'
  reported = {m.key: m for m in result.metrics if m.labels == sets.ORIGINAL}
  for figure in compared.metrics:
    metric, name = reported.get(figure.name), figure.name
    if metric is None or metric.value is None or metric.interval is None:
      raise Failed(f'{name} is compared, not measured')
    interval = metric.interval
    expected = {
      'measured': metric.value,
      'difference': metric.value - figure.published,
      'inside': interval.low <= figure.published <= interval.high,
    }
    for field, value in expected.items():
      hold(
        same(figure[field], value),
        f'{name}: {field} is {figure[field]}, the metrics give {value}',
      )
  if again is None:
    return 'the comparison is with the metrics'
  hold(bool(again), 'figures are compared, none are known of such a run')
  for key in ('figures', 'protocol', 'same_protocol'):
    # Of earlier versions, which knew one kind of figures.
    if compared[key] is not None or key != 'figures':
      hold(
        compared[key] == again[key],
        f'{key} is {compared[key]}, of this model it is {again[key]}',
      )
  figures = {figure['name']: figure['published'] for figure in again['metrics']}
  for figure in compared.metrics:
    known = figures.get(figure.name)
    hold(
      same(figure.published, known),
      f'{figure.name}: published is {figure.published}, of this model it is {known}',
    )
  return 'figures looked up, and the comparison with the metrics made, again'


def same(reported: Any, value: Any, tolerance: float = _TOLERANCE) -> bool:
  """Whether JSON values are equal; floats up to rounding, relative and absolute."""
  if isinstance(value, Mapping):
    if not isinstance(reported, Mapping) or reported.keys() != value.keys():
      return False
    return all(same(reported[key], value[key], tolerance) for key in value)
  if isinstance(value, float) and isinstance(reported, int | float):
    return math.isclose(reported, value, rel_tol=tolerance, abs_tol=tolerance)
  return type(reported) is type(value) and reported == value
