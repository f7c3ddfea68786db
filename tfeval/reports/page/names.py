"""What pages call label sets and class rules."""

from tfeval.analysis.portrait import OfLabels
from tfeval.metrics.entry import ALL
from tfeval.runs import display


def of_labels(one: OfLabels) -> str:
  """Returns by which labels, and under which rule, figures are; see `of`."""
  return of(one.labels, one.rule)


def of(labels: str, rule: str) -> str:
  """Returns what pages call a label set under a class rule.

  >>> of('real', 'all'), of('original', 'restricted')
  ('ReaL labels', 'original labels, rule restricted')
  """
  suffix = f', rule {rule}' if rule != ALL else ''
  return f'{display.labels_name(labels)} labels{suffix}'
