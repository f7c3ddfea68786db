"""A comparison as a page: counts, pairs, what models disagree on."""

import numpy as np

from tfeval.analysis.alignment import AlignedPredictions
from tfeval.analysis.comparison import Comparison
from tfeval.metrics.entry import MetricEntry
from tfeval.reports import comparison as texts
from tfeval.reports import kept
from tfeval.reports.page import content, counts
from tfeval.reports.page.content import (
  Column,
  Document,
  Figure,
  Part,
  Remarks,
  Section,
  Table,
)
from tfeval.reports.plots import kinds
from tfeval.runs import display

# Images and classes that two models disagree on, those told first.
_IMAGES, _CLASSES, _MATRIX = 200, 200, 40
P = Column('p', 'p', texts.p_value, "McNemar's exact test, two-sided")
P_HOLM = Column('p_holm', 'p (Holm)', texts.p_value, "after Holm's correction")
POINTS = Column('difference', 'points', texts.points, 'percentage points')
FROM = Column('low', 'from', texts.points, 'lower end of the interval, points')
TO = Column('high', 'to', texts.points, 'upper end of the interval, points')
SIGNIFICANT = Column('significant', 'significant')


def document(found: Comparison) -> Document:
  """Returns a page of a comparison."""
  names = ', '.join(one.name for one in found.aligned)
  images = len(found.aligned[0].ids)
  sections = [
    Section('Counts', _counts(found)),
    Section('Pairs', [*_pairs(found), Remarks(texts.legend(found))]),
  ]
  if found.margin is not None:
    sections.append(Section('Kept', [_kept(found)]))
  sections.append(Section('Disagreement', disagreement(found)))
  return Document(
    f'{len(found.aligned)} runs compared',
    sections,
    f'{names}: {images:,} images',
    main=pair_table(found),
  )


def entries(found: Comparison) -> list[tuple[str, list[MetricEntry]]]:
  """Returns name and metrics of each run, by the label sets that are compared."""
  return [
    (
      one.name,
      [
        count.entry(found.metric, labels)
        for labels in found.pairs
        if (count := one.count(labels, found.metric)) is not None
      ],
    )
    for one in found.aligned
  ]


def _counts(found: Comparison) -> list[Part]:
  named = entries(found)
  return [counts.count_table(named), counts.count_figure(named)]


def pair_table(found: Comparison) -> Table:
  """Returns a row for each pair and label set."""
  rows = []
  for labels, pairs in found.pairs.items():
    for pair in pairs:
      low, high = found.interval(pair)
      hits = pair.hits
      rows.append((
        labels, found.aligned[pair.first].name, found.aligned[pair.second].name,
        hits.both, hits.first, hits.second, hits.neither, hits.skipped,
        hits.difference, low, high, pair.p, pair.p_holm,
        pair.p_holm <= found.level, pair.images_needed(found.level),
      ))  # fmt: skip
  columns = (
    Column('labels', 'labels'),
    Column('first', 'first'),
    Column('second', 'second'),
    Column('both', 'both', content.counted, 'images that both hit'),
    Column('only_first', 'only first', content.counted),
    Column('only_second', 'only second', content.counted),
    Column('neither', 'neither', content.counted),
    Column('skipped', 'skipped', content.counted, program=True),
    *(POINTS, FROM, TO, P, P_HOLM),
    Column('significant', 'significant', _yes),
    Column('images_needed', 'images needed', content.counted),
  )
  return Table(f'{_metric(found)}: first less second', columns, rows, labels=3)


def _pairs(found: Comparison) -> list[Part]:
  rows = []
  for number, (labels, pairs) in enumerate(found.pairs.items()):
    for pair in pairs:
      if pair.hits.difference is None:
        continue
      low, high = (100 * end for end in found.interval(pair))
      names = (found.aligned[i].name for i in (pair.first, pair.second))
      text = f'{display.labels_name(labels)}: {" less ".join(names)}'
      rows.append(kinds.Interval(text, 100 * pair.hits.difference, low, high, number))
  title = 'percentage points of hits, first less second'
  table = pair_table(found)
  return [
    table,
    Figure(
      'Differences with paired bootstrap intervals',
      kinds.Intervals(rows, title, at=0.0, groups=list(found.pairs)),
      table,
    ),
  ]


def _kept(found: Comparison) -> Table:
  margin = found.margin
  assert margin is not None
  rows = [
    (labels, found.aligned[one.first].name, found.aligned[one.second].name,
     one.hits.first, one.hits.second, *map(_finite, (one.kept, one.low, one.high)),
     one.verdict, one.more_images)
    for labels in found.pairs
    for one in found.verdicts(labels)
  ]  # fmt: skip
  columns = (
    Column('labels', 'labels'),
    Column('first', 'first'),
    Column('second', 'second'),
    Column('only_first', 'only first', content.counted),
    Column('only_second', 'only second', content.counted),
    Column('kept', 'kept %' if margin.is_relative else 'points', content.percent),
    Column('low', 'at least', content.percent),
    Column('high', 'at most', content.percent),
    Column('verdict', 'verdict'),
    Column('more_images', 'more images', content.counted),
  )
  return Table(f'{_metric(found)}, {kept.rule(margin)}', columns, rows, labels=3)


def disagreement(found: Comparison) -> list[Part]:
  """Returns how often models say the same, and of two runs on what they do not."""
  parts: list[Part] = [agreement(found)]
  if len(found.aligned) == 2:
    labels = next(iter(found.pairs))
    parts += [_classes(found, labels), _images(found, labels)]
  return parts


def agreement(found: Comparison) -> Figure:
  """Returns how often every two runs say the same first class."""
  names = [one.name for one in found.aligned]
  images = len(found.aligned[0].ids)
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
    f'The same answer, right or wrong, of {images:,} images',
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
  title = f'Classes that they differ in, {display.labels_name(labels)} labels'
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
     names[first.predicted[i, 0]], names[second.predicted[i, 0]],
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
  title = f'Images that only one of them hits, {display.labels_name(labels)} labels'
  return Table(title, columns, rows, more=len(at) - len(rows))


def _single_labels(
  one: AlignedPredictions, labels: str
) -> tuple[np.ndarray, np.ndarray]:
  """Returns the label of images that have just one, and which these are."""
  sets = one.labels[labels.partition('@')[0]]
  sizes = np.asarray(sets.sizes)
  chosen = one.counted(labels) & (sizes == 1)
  starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]) if len(sizes) else sizes
  return np.asarray(sets.values)[starts[chosen]], np.flatnonzero(chosen)


def _metric(found: Comparison) -> str:
  return display.metric_name('original', found.metric)


def _finite(value: float | None) -> float | None:
  return None if value is None or value == float('inf') else value


def _yes(value: bool) -> str:
  return 'yes' if value else 'no'
