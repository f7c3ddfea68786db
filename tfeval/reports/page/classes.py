"""Which classes a model does badly on, and which it takes for which."""

import numpy as np

from tfeval.analysis.portrait import OfLabels, Portrait
from tfeval.datasets.labels import class_groups
from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.metrics import accuracy, intervals
from tfeval.metrics.confusion import Confusion
from tfeval.reports.page import content
from tfeval.reports.page.content import Column, Figure, Missing, Part, Section, Table
from tfeval.reports.plots import kinds
from tfeval.runs import display

# Rows of a page; 20,000 classes would make it 20 MB.
_CLASSES, _PAIRS = 1000, 200
# Classes that have room in a matrix, each for itself.
_CELLS = 20
_OTHERS = 'all others'
_CLASS = (
  Column('name', 'class'),
  Column('id', 'id'),
  Column('class', 'index', str),
)


def section(portrait: Portrait) -> Section:
  """Returns tables by class, confusions and their matrix, of each label set."""
  parts: list[Part] = []
  space = portrait.run.classes.space
  for one in portrait.sets:
    found = one.confusion()
    if found is None or one.predictions is None:
      parts.append(_missing(one))
      continue
    parts += [per_class(one, space, found), pairs(one, space, found)]
    parts.append(matrix(one, space, found))
  return Section('Classes', parts)


def _missing(one: OfLabels) -> Missing:
  return Missing(
    f'Classes, {display.labels_name(one.labels)} labels',
    'images have several labels, or none',
  )


def per_class(one: OfLabels, space: LabelSpace, found: Confusion) -> Table:
  """Returns a row for each class that has images, worst first."""
  assert one.predictions is not None
  ranked, right = one.predictions.ranked, one.predictions.labels
  top1 = accuracy.per_class_hits(ranked, right, 1, len(space))
  top5 = None
  if ranked.shape[1] >= 5 and len(space) > 5:
    top5 = accuracy.per_class_hits(ranked, right, 5, len(space)).correct
  worst = _most_frequent_error(found, len(space))
  names = space.readable_names
  order = [i for i in _worst_first(top1.correct, top1.count) if top1.count[i]]
  rows = []
  for i in order[:_CLASSES]:
    correct, count = int(top1.correct[i]), int(top1.count[i])
    taken, times = worst.get(i, (None, None))
    rows.append((
      names[i], space.class_ids[i], i, correct, count, correct / count,
      *intervals.wilson(correct, count), None if top5 is None else int(top5[i]),
      None if taken is None else names[taken], times,
    ))  # fmt: skip
  columns = (
    *_CLASS,
    Column('top1', 'top-1', content.counted),
    Column('count', 'of', content.counted),
    Column('top1_rate', '%', content.percent),
    Column('low', 'from %', content.percent),
    Column('high', 'to %', content.percent),
    Column('top5', 'top-5', content.counted),
    Column('taken_for', 'most often taken for'),
    Column('times', 'times', content.counted),
  )
  return Table(
    f'Per class, worst first, {_name(one)} labels', columns, rows,
    'Wilson intervals of 95 % of each class by itself: of a thousand classes fifty '
    'lie outside of theirs by chance.', more=len(order) - len(rows),
  )  # fmt: skip


def _worst_first(correct: np.ndarray, count: np.ndarray) -> list[int]:
  """Returns classes by their rate, of equal ones those with more images first."""
  rate = correct / np.maximum(count, 1)
  return np.lexsort((np.arange(len(rate)), -count, rate)).tolist()


def _most_frequent_error(found: Confusion, classes: int) -> dict[int, tuple[int, int]]:
  """Returns for classes the one that they are most often taken for, and how often."""
  worst: dict[int, tuple[int, int]] = {}
  for pair in found.pairs(len(found.counts)):
    worst.setdefault(pair.label, (pair.predicted, pair.count))
  return worst


def pairs(one: OfLabels, space: LabelSpace, found: Confusion) -> Table:
  """Returns the most frequent confusions."""
  names = space.readable_names
  there = found.pairs(len(found.counts))
  rows = [
    (names[p.label], space.class_ids[p.label], names[p.predicted],
     space.class_ids[p.predicted], p.count, p.of, p.count / p.of)
    for p in there[:_PAIRS]
  ]  # fmt: skip
  columns = (
    Column('label_name', 'class'),
    Column('label', 'id'),
    Column('predicted_name', 'taken for'),
    Column('predicted', 'id'),
    Column('count', 'images', content.counted),
    Column('of', 'of', content.counted),
    Column('share', '%', content.percent),
  )
  title = f'Most frequent confusions, {_name(one)} labels'
  return Table(title, columns, rows, more=len(there) - len(rows))


def matrix(one: OfLabels, space: LabelSpace, found: Confusion) -> Figure:
  """Returns a matrix of groups of classes: of ImageNet's those of WordNet."""
  names, of, about = groups(space, found)
  counts = np.zeros((len(names), len(names)), np.int64)
  np.add.at(counts, (of[found.labels], of[found.predicted]), found.counts)
  totals = counts.sum(axis=1)
  kept = np.flatnonzero((totals > 0) | (counts.sum(axis=0) > 0))
  counts, totals = counts[np.ix_(kept, kept)], totals[kept]
  names = [names[i] for i in kept]
  shares = counts / np.maximum(totals, 1)[:, None]
  texts = [[f'{n}' if n else '' for n in row] for row in counts.tolist()]
  columns = (
    Column('label', 'images of'),
    Column('predicted', 'taken for'),
    Column('count', 'images', content.counted),
    Column('share', '%', content.percent),
  )
  rows = [
    (names[i], names[j], int(counts[i, j]), float(shares[i, j]))
    for i, j in zip(*np.nonzero(counts), strict=True)
  ]
  plot = kinds.Matrix(names, names, shares, texts, 'taken for', 'images of')
  return Figure(
    f'Confusion matrix, {_name(one)} labels', plot,
    Table('Cells of the matrix', columns, rows, labels=2), about,
  )  # fmt: skip


def groups(space: LabelSpace, found: Confusion) -> tuple[list[str], np.ndarray, str]:
  """Returns names of groups, int64 [classes], the group of each, and what they are."""
  shade = ' The darker, the larger the share of a row; numbers are images.'
  if len(space) <= _CELLS:
    return list(space.readable_names), np.arange(len(space)), shade.strip()
  if known := class_groups.groups_of(space):
    text = 'Groups of classes are cut from the hierarchy of WordNet.'
    return list(known[0]), known[1], text + shade
  wrong = found.labels != found.predicted
  errors = np.bincount(found.labels[wrong], found.counts[wrong], len(space))
  chosen = np.sort(np.argsort(-errors, kind='stable')[: _CELLS - 1])
  of = np.full(len(space), len(chosen))
  of[chosen] = np.arange(len(chosen))
  names = [space.readable_names[i] for i in chosen]
  text = f'The {len(chosen)} classes with the most errors, and all others together.'
  return [*names, _OTHERS], of, text + shade


def _name(one: OfLabels) -> str:
  return display.labels_name(one.labels)
