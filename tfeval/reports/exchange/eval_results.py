"""`.eval_results/*.yaml`: what leaderboards of benchmarks on the Hub are made of.

An entry is a value of a task of a benchmark, without a name for its metric, so by
default each run gives one: top-1 by the rule of the set's authors.
"""

from collections.abc import Sequence
from typing import Any

from tfeval.datasets import variants
from tfeval.datasets.labels import sets
from tfeval.metrics.competition import suffix
from tfeval.metrics.entry import COUNT, MetricEntry
from tfeval.reports.exchange import export, hub, yaml_text
from tfeval.reports.exchange.export import Export, Request
from tfeval.runs import display
from tfeval.runs.run import Run
from tfeval.utils import errors
from tfeval.utils.errors import UserError


def export_eval_results(runs: Sequence[Run], request: Request) -> Export:
  """Returns YAML for a file in `.eval_results/` of the model's repository.

  Raises:
    UserError: the runs are of several models, the Hub has not their dataset as far as
      is known, or a metric has no value.
  """
  hub.check_used(runs, request)
  export.model_name(runs, request)
  entries = [
    _entry(metric, run, request) for run in runs for metric in _values(run, request)
  ]
  remarks = []
  keys = [(one['dataset']['id'], one['dataset']['task_id']) for one in entries]
  if len(set(keys)) < len(keys):
    remarks.append(
      'several values are of one task of one dataset, and the Hub does not name their '
      'metrics: choose one by `value`'
    )
  remarks.append(
    'the Hub shows values of datasets that are registered as benchmarks, of tasks in '
    f'their eval.yaml: here `task_id={request.task_id}` of '
    + ', '.join(dict.fromkeys(one for one, _ in keys))
  )
  return Export(yaml_text.dump(entries).encode(), remarks)


def _values(run: Run, request: Request) -> list[MetricEntry]:
  """Returns the metrics of a run that become entries."""
  rule = variants.first_rule(run.result.dataset.name)
  asked = request.values or (f'{sets.ORIGINAL}/top1{suffix(rule)}',)
  known = {f'{one.labels}/{one.key}': one for one in run.metrics}
  if not request.values and asked[0] not in known:
    asked = (f'{sets.ORIGINAL}/top1',)
  found = []
  for name in asked:
    if name not in known:
      raise errors.unknown(f'value of {run.path}', name, known)
    metric = known[name]
    if metric.value is None:
      why = metric.unavailable or 'no image has a label'
      raise UserError(f'{run.path} has no value for {name}: {why}')
    found.append(metric)
  return found


def _entry(metric: MetricEntry, run: Run, request: Request) -> dict[str, Any]:
  dataset = hub.dataset_of(run, request)
  if not dataset.is_known or '/' not in dataset.id:
    raise UserError(
      f'{run.path} is on {hub.shown_name(run.result.dataset)}, of which no dataset of '
      'the Hub is known: give `hub_dataset=OWNER/NAME`'
    )
  of = {'id': dataset.id, 'task_id': request.task_id}
  if dataset.revision is not None:
    of['revision'] = dataset.revision
  found = {
    'dataset': of,
    'value': hub.value(metric, request),
    'date': run.result.timing.finished,
    'notes': notes(metric, run),
  }
  source = hub.source_of(request)
  return found if source is None else {**found, 'source': source}


def notes(metric: MetricEntry, run: Run) -> str:
  """Returns how a value was measured, in one line.

  That is the metric, its label set and class rule, what was counted with its interval,
  the protocol, what of the dataset was evaluated, and by which version.
  """
  result = run.result
  protocol, dataset = result.protocol, result.dataset
  rule = 'all that the model can say' if metric.rule == 'all' else metric.rule
  size = '' if protocol.size is None else f' at {protocol.size} pixels'
  counted = f'of {metric.count} images'
  if metric.kind == COUNT and metric.correct is not None:
    counted = f'{metric.correct} of {metric.count} images'
  split = ' '.join(
    filter(None, [hub.shown_name(dataset), dataset.config, dataset.split])
  )
  version = (result.compute.versions or {}).get('tfeval', '')
  parts = [
    f'{metric.name} of {display.labels_name(metric.labels)} labels',
    f'class rule {metric.rule}' + (f' ({rule})' if metric.rule == 'all' else ''),
    counted,
    hub.interval_text(metric),
    f'protocol {protocol.text}{size}',
    f'{split} {dataset.version or ""}'.rstrip(),
    f'PARTIAL: {dataset.subset} only' if dataset.partial else None,
    f'{len(dataset.failed)} images failed' if dataset.failed else None,
    None
    if result.model.adaptation is None
    else f'adapted {result.model.adaptation.text}',
    f'tfeval {version}'.rstrip(),
  ]
  return '; '.join(filter(None, parts))
