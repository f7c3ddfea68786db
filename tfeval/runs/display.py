"""A result in a few lines."""

from tfeval.metrics.entry import COUNT, MetricEntry
from tfeval.runs import run_classes
from tfeval.runs.result_file import Result
from tfeval.runs.run_key import RunKey
from tfeval.utils.printable import printable

_FEWEST = 500
_LABELS = {'real': 'ReaL', 'label_errors': 'cleaned'}


def labels_name(labels: str) -> str:
  """Returns what readers call a label set.

  >>> labels_name('real'), labels_name('original'), labels_name('label_errors@subset')
  ('ReaL', 'original', 'cleaned subset')
  """
  kind, at, subset = labels.partition('@')
  return _LABELS.get(kind, kind) + f' {subset}' * bool(at)


def metric_name(labels: str, name: str) -> str:
  """Returns what readers call a metric.

  >>> metric_name('real@subset', 'top1')
  'ReaL top-1 subset'
  >>> metric_name('original', 'top1@restricted')
  'top-1 restricted'
  """
  kind, at, subset = labels.partition('@')
  name, _, rule = name.partition('@')
  if name.startswith('top') and name[3:].isdigit():
    name = f'top-{name[3:]}'
  suffix = f' {rule}' * bool(rule) + f' {subset}' * bool(at)
  return ('' if kind == 'original' else labels_name(kind) + ' ') + name + suffix


def figure(metric: MetricEntry) -> str:
  """Returns a metric's value: a share in percent, anything else as it is."""
  if metric.value is None:
    return '-'
  return (
    f'{100 * metric.value:.2f} %' if metric.kind == COUNT else f'{metric.value:.4f}'
  )


def is_at_chance(correct: int, count: int, classes: int = 1000) -> bool:
  """Returns whether top-1 hits are no more than a guesser may have.

  That is ten times the chance of 1000 classes, which is 1 %; less of fewer classes,
  1.09 times that of ten; of images enough to say so.

  >>> is_at_chance(15, 50_000), is_at_chance(0, 20), is_at_chance(150, 1000, 10)
  (True, False, False)
  """
  likely = (1 + 9 * min(1, classes / 1000)) / classes
  return count >= _FEWEST and correct <= likely * count


def chance_remarks(result: Result) -> list[str]:
  """Says by which labels a model is no better than guessing."""
  classes = run_classes.of(result).outputs
  return [
    f'AT CHANCE by the {labels_name(metric.labels)} labels: {metric.correct:,} of '
    f'{metric.count:,}: these, or its answers, probably stand in another order'
    for metric in result.metrics
    if metric.key == 'top1'
    and metric.correct is not None
    and is_at_chance(metric.correct, metric.count, classes)
  ]


def basis(metric: MetricEntry) -> str:
  """Returns what a metric was counted over, or why it is not there."""
  if metric.value is None:
    return metric.unavailable or 'no image has a label'
  if metric.kind == COUNT:
    return f'{metric.correct:,} of {metric.count:,}'
  return f'of {metric.count:,}'


def text(result: Result) -> str:
  """Returns a result in lines: a title, caveats, and one for each metric."""
  rows = _rows(result)
  name, value = (max((len(row[i]) for row in rows), default=0) for i in (0, 1))
  return '\n'.join(
    [printable(RunKey.of(result).title)]
    + [f'  {printable(caveat)}' for caveat in result.caveats]
    + [f'  {row[0]:<{name}}  {row[1]:>{value}}  ({row[2]})' for row in rows]
  )


def _rows(result: Result) -> list[tuple[str, str, str]]:
  """Returns names, figures and their basis, but under rules of other sets."""
  matched = result.model.matched
  packaged = (matched.rules if matched else None) or ()
  partners = {rule.name for rule in packaged if rule.partner}
  return [
    (printable(metric_name(m.labels, m.key)), figure(m), printable(basis(m)))
    for m in result.metrics
    if m.rule not in partners
  ]
