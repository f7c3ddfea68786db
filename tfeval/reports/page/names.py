"""What pages call label sets and class rules."""

from tfeval.analysis.portrait import OfLabels
from tfeval.metrics.entry import ALL
from tfeval.runs import display


def of_labels(one: OfLabels) -> str:
  """Returns by which labels, and under which rule, figures are.

  >>> of_labels(OfLabels('real', 'all', None, '', None))
  'ReaL labels'
  >>> of_labels(OfLabels('original', 'restricted', None, '', None))
  'original labels, rule restricted'
  """
  return f'{display.labels_name(one.labels)} labels' + (
    f', rule {one.rule}' if one.rule != ALL else ''
  )
