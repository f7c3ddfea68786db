"""Runs as rows: one for each label set, metric and class rule that has a value.

Names, types and meanings of the columns stand in `columns.tsv`.
"""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

from tfeval.metrics.entry import MetricEntry
from tfeval.runs.result_file import Result
from tfeval.runs.run import Run
from tfeval.utils import fact_table


class Column(NamedTuple):
  """A column of an export.

  Attributes:
    name: what it is called.
    type: of Arrow: `string`, `int64`, `double` or `bool`.
    meaning: in words.
  """

  name: str
  type: str
  meaning: str


@functools.cache
def columns() -> tuple[Column, ...]:
  """Returns the columns, in their order."""
  return tuple(
    Column(**row) for row in fact_table.rows('tfeval.reports.exchange', 'columns.tsv')
  )


def rows_of(runs: Sequence[Run]) -> list[dict[str, Any]]:
  """Returns a dict for each metric of each run, None for what is not known.

  Metrics without a value are left out.
  """
  found = []
  for run in runs:
    of_run = {'run': str(run.path), **_of_result(run.result)}
    for metric in run.metrics:
      if metric.value is not None:
        values = {**of_run, **_of_metric(metric)}
        found.append({column.name: values[column.name] for column in columns()})
  return found


def _of_result(result: Result) -> dict[str, Any]:
  model, dataset, protocol = result.model, result.dataset, result.protocol
  compute, timing, hardware = result.compute, result.timing, result.hardware
  versions = compute.versions or {}
  return {
    'model': model.name,
    'weights': model.weights,
    'weights_sha256': model.weights_sha256 or model.values_sha256,
    'parameters': model.parameters,
    'input_size': model.input_size,
    'dataset': dataset.name,
    'dataset_config': dataset.config,
    'dataset_version': dataset.version,
    'split': dataset.split,
    'expected': dataset.expected,
    'evaluated': dataset.evaluated,
    'failed': len(dataset.failed),
    'partial': dataset.partial,
    'subset': dataset.subset,
    'protocol': protocol.text,
    'protocol_hash': protocol.hash,
    'size': protocol.size,
    'adaptation': None if model.adaptation is None else model.adaptation.text,
    'dtype': compute.dtype,
    'strategy': compute.strategy,
    'batch_size': compute.batch_size,
    'hardware': None if hardware is None else hardware.name,
    'finished': timing.finished,
    'seconds': timing.seconds,
    'images_per_second': timing.images_per_second,
    **{name: versions.get(name) for name in ('tfeval', 'tensorflow', 'keras')},
    'label_digest': dataset.label_digest,
    'content_digest': dataset.content_digest,
  }


def _of_metric(metric: MetricEntry) -> dict[str, Any]:
  interval = metric.interval
  return {
    'labels': metric.labels,
    'metric': metric.name,
    'rule': metric.rule,
    'kind': metric.kind,
    'correct': metric.correct,
    'count': metric.count,
    'skipped': metric.skipped,
    'value': metric.value,
    'interval_method': None if interval is None else interval.method,
    'interval_level': None if interval is None else interval.level,
    'interval_low': None if interval is None else interval.low,
    'interval_high': None if interval is None else interval.high,
  }
