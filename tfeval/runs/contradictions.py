"""Metrics of a result that its stored rows do not give."""

from collections.abc import Iterable

from tfeval.metrics.entry import MetricEntry
from tfeval.runs import display
from tfeval.runs.result_file import RESULT
from tfeval.runs.verification import result_checks
from tfeval.utils.paths import Path


def found(
  path: Path, metrics: Iterable[MetricEntry], computed: Iterable[MetricEntry]
) -> str | None:
  """Says in which metrics a result is not what its rows give; None: in none.

  Args:
    path: the run's directory, for the message.
    metrics: of the result.
    computed: from the rows, by the labels that they carry. A result may have more:
      of labels that lie in a file.
  """
  stored = {(m.labels, m.key): m for m in metrics}
  differ = [
    f'{one.labels}/{one.key} is {_seen(there)} there, the rows give {_seen(one)}'
    for one in computed
    if one.value is not None
    and not _agree(there := stored.get((one.labels, one.key)), one)
  ]
  if not differ:
    return None
  return (
    f'{path}: the stored predictions give other metrics than its {RESULT}: '
    f'{"; ".join(differ)}; these are those of the predictions'
  )


def _agree(there: MetricEntry | None, computed: MetricEntry) -> bool:
  return there is not None and all(
    result_checks.same(there.get(key), value) for key, value in computed.items()
  )


def _seen(metric: MetricEntry | None) -> str:
  if metric is None:
    return 'not'
  return f'{display.figure(metric)} ({display.basis(metric)})'
