"""The `model-index` of a model card: what the Hub shows beside a model.

Shares are in 0..1, as the metric `accuracy` of the Hub has them.
"""

import re
from collections.abc import Sequence
from typing import Any

from tfeval.metrics.entry import MetricEntry
from tfeval.reports.exchange import export, hub, yaml_text
from tfeval.reports.exchange.export import Export, Request
from tfeval.runs.run import Run
from tfeval.utils.errors import UserError

_TASK = {'type': 'image-classification', 'name': 'Image Classification'}
_TOP = re.compile(r'top(\d+)')


def export_model_index(runs: Sequence[Run], request: Request) -> Export:
  """Returns YAML, or the head of a Markdown file where its name ends in .md.

  Raises:
    UserError: the runs are of several models.
  """
  text = yaml_text.dump({'model-index': model_index(runs, request)})
  if request.output.endswith('.md'):
    text = f'---\n{text}---\n'
  return Export(text.encode(), export.left_out(runs))


def model_index(runs: Sequence[Run], request: Request) -> list[dict[str, Any]]:
  """Returns the one model with the results of its runs, in their order."""
  hub.check_used(runs, request)
  name = export.model_name(runs, request)
  results = [one for run in runs if (one := _result(run, request))['metrics']]
  if not results:
    raise UserError('no metric of these runs has a value: there is nothing to export')
  return [{'name': name, 'results': results}]


def _result(run: Run, request: Request) -> dict[str, Any]:
  found = hub.dataset_of(run, request)
  dataset = {
    'type': found.id,
    'name': found.name,
    'config': found.config,
    'split': found.split or None,
    'revision': found.revision,
  }
  metrics = [_metric(one, run, request) for one in export.of_card(run)]
  source = hub.source_of(request)
  return {
    'task': dict(_TASK),
    'dataset': _known(dataset),
    'metrics': metrics,
    **({} if source is None else {'source': source}),
  }


def _metric(metric: MetricEntry, run: Run, request: Request) -> dict[str, Any]:
  # Here and not with the dataset: huggingface_hub makes one of results on the same
  # dataset, and keeps what the first of them says of it.
  top = _TOP.fullmatch(metric.name)
  protocol, dataset, interval = run.result.protocol, run.result.dataset, metric.interval
  arguments = {
    'labels': metric.labels,
    'class_rule': metric.rule,
    'k': int(top[1]) if top else None,
    'correct': metric.correct,
    'count': metric.count,
    'skipped': metric.skipped,
    'interval_low': None if interval is None else interval.low,
    'interval_high': None if interval is None else interval.high,
    'interval': None if interval is None else f'{interval.method} {interval.level:g}',
    'protocol': protocol.text,
    'size': protocol.size,
    'dataset': hub.shown_name(dataset),
    'dataset_version': dataset.version,
    'images': dataset.evaluated,
    'failed': len(dataset.failed) or None,
    'subset': dataset.subset,
  }
  subset = '' if dataset.subset is None else f' ({dataset.subset} only)'
  return {
    'type': metric_type(metric.name),
    'value': hub.value(metric, request),
    'name': export.title(metric) + subset,
    'args': _known(arguments),
    # True is what the Hub has computed itself.
    'verified': False,
  }


def metric_type(name: str) -> str:
  """Returns a metric's id on the Hub; of those that it has not, a name like its ids.

  >>> metric_type('top1'), metric_type('top5'), metric_type('nll')
  ('accuracy', 'top_5_accuracy', 'nll')
  """
  top = _TOP.fullmatch(name)
  if top is None:
    return name
  return 'accuracy' if top[1] == '1' else f'top_{top[1]}_accuracy'


def _known(values: dict[str, Any]) -> dict[str, Any]:
  return {key: value for key, value in values.items() if value is not None}
