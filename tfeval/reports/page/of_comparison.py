"""A comparison as a page: counts, pairs, what models disagree on."""

from tfeval.analysis.comparison import Comparison
from tfeval.metrics.entry import MetricEntry
from tfeval.reports import comparison as texts
from tfeval.reports import kept
from tfeval.reports.page import content, counts, disagreement
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
  sections.append(Section('Disagreement', disagreement.parts(found)))
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


def _metric(found: Comparison) -> str:
  return display.metric_name('original', found.metric)


def _finite(value: float | None) -> float | None:
  return None if value is None or value == float('inf') else value


def _yes(value: bool) -> str:
  return 'yes' if value else 'no'
