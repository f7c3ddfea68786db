"""What models disagree on: how often, in which classes, on which images."""

import numpy as np

from tfeval.analysis.alignment import AlignedPredictions
from tfeval.analysis.comparison import Comparison
from tfeval.metrics import registry
from tfeval.reports.page import content
from tfeval.reports.page.content import Column, Figure, Part, Table
from tfeval.reports.plots import kinds
from tfeval.runs import display

# Images and classes that two models disagree on, those told first.
_IMAGES, _CLASSES, _MATRIX = 200, 200, 40


def parts(found: Comparison) -> list[Part]:
  """Returns how often models say the same, and of two runs on what they do not."""
  shown: list[Part] = [agreement(found)]
  if len(found.aligned) == 2:
    labels = next(iter(found.pairs))
    shown += [_classes(found, labels), _images(found, labels)]
  return shown


def agreement(found: Comparison) -> Figure:
  """Returns how often every two runs say the same first class."""
  names = [one.name for one in found.aligned]
  images = len(found.aligned[0].ids)
  rule = found.metric.partition('@')[2]
  under = f' under the rule {rule}' if rule else ''
  rows = [
    (names[i], names[j], int(found.agreement[i, j]), found.agreement[i, j] / images)
    for i in range(len(names))
    for j in range(len(names))
    if i < j
  ]
  columns = (
    Column('first', 'first'),
    Column('second', 'second'),
    Column('same', 'the same first class', content.counted),
    Column('share', '%', content.percent),
  )
  shares = found.agreement[:_MATRIX, :_MATRIX] / images
  cells = [[f'{100 * share:.1f}' for share in row] for row in shares]
  some = names[:_MATRIX]
  return Figure(
    f'The same first class{under}, right or wrong, of {images:,} images',
    kinds.Matrix(some, some, shares, cells, '', ''),
    Table('Pairs of runs', columns, rows, labels=2),
  )


def _classes(found: Comparison, labels: str) -> Table:
  """Returns in which classes one of two runs hits more."""
  first, second = found.aligned
  space = first.run.classes.space
  right, rows_of = _single_labels(first, labels)
  hits = [one.hits(labels, found.metric)[rows_of] for one in found.aligned]
  only = [
    np.bincount(right[mine & ~other], minlength=len(space))
    for mine, other in ((hits[0], hits[1]), (hits[1], hits[0]))
  ]
  count = np.bincount(right, minlength=len(space))
  names = space.readable_names
  gap = only[0] - only[1]
  order = [i for i in np.argsort(-abs(gap), kind='stable') if only[0][i] + only[1][i]]
  rows = [
    (names[i], space.class_ids[i], int(count[i]), int(only[0][i]), int(only[1][i]),
     int(gap[i]))
    for i in order[:_CLASSES]
  ]  # fmt: skip
  columns = (
    Column('name', 'class'),
    Column('class', 'id'),
    Column('count', 'images', content.counted),
    Column('only_first', f'only {first.name}', content.counted),
    Column('only_second', f'only {second.name}', content.counted),
    Column('gap', 'first less second', '{:+,}'.format),
  )
  title = f'Classes that they differ in by {_by(found, labels)}'
  about = '' if len(rows_of) else 'Images have several labels, or none.'
  return Table(title, columns, rows, about, more=len(order) - len(rows))


def _images(found: Comparison, labels: str) -> Table:
  """Returns images that one of two runs hits and the other one does not."""
  first, second = found.aligned
  counted = first.counted(labels)
  hit = [one.hits(labels, found.metric) & counted for one in found.aligned]
  names = first.run.classes.space.readable_names
  sets = first.labels[labels.partition('@')[0]]
  starts = np.concatenate([[0], np.cumsum(sets.sizes)])
  at = np.flatnonzero(hit[0] != hit[1])
  rows = [
    (first.ids[int(i)].as_py(),
     ', '.join(names[c] for c in sets.values[starts[i] : starts[i + 1]]),
     _said(found, first, i), _said(found, second, i),
     first.name if hit[0][i] else second.name)
    for i in at[:_IMAGES]
  ]  # fmt: skip
  columns = (
    Column('id', 'image'),
    Column('label', 'label'),
    Column('first', first.name),
    Column('second', second.name),
    Column('right', 'right'),
  )
  title = f'Images that only one of them hits by {_by(found, labels)}'
  return Table(title, columns, rows, more=len(at) - len(rows))


def _said(found: Comparison, one: AlignedPredictions, at: int) -> str:
  """Returns the classes of an image that a metric counts, best first."""
  ranked = one.ranked(found.metric)
  assert ranked is not None  # It was compared by it.
  names = one.run.classes.space.readable_names
  count = registry.get_metric(found.metric).classes
  return ', '.join(names[c] for c in ranked[at, :count])


def _single_labels(
  one: AlignedPredictions, labels: str
) -> tuple[np.ndarray, np.ndarray]:
  """Returns the label of images that have just one, and which these are."""
  sets = one.labels[labels.partition('@')[0]]
  sizes = np.asarray(sets.sizes)
  chosen = one.counted(labels) & (sizes == 1)
  starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]) if len(sizes) else sizes
  return np.asarray(sets.values)[starts[chosen]], np.flatnonzero(chosen)


def _by(found: Comparison, labels: str) -> str:
  """Returns by which metric and labels images are right."""
  metric = display.metric_name('original', found.metric)
  return f'{metric}, {display.labels_name(labels)} labels'
