"""Accuracy of runs in slices of their images, and where slices reverse their order."""

import dataclasses
import itertools
import pathlib
from collections.abc import Iterator, Sequence

import numpy as np

from tfeval.analysis import alignment, attributes, reversals
from tfeval.analysis.alignment import AlignedPredictions
from tfeval.analysis.attributes import Attribute
from tfeval.analysis.reversals import Reversal
from tfeval.datasets.labels import group_files
from tfeval.datasets.labels.group_files import GroupTable
from tfeval.datasets.labels.matching import Matcher
from tfeval.datasets.labels.sets import LabelSource
from tfeval.datasets.labels.subsets import Subset
from tfeval.metrics import accuracy, slices
from tfeval.metrics.slices import UNKNOWN, Slice
from tfeval.runs import discovery
from tfeval.runs.run import Run
from tfeval.utils.errors import UserError, listed
from tfeval.utils.shown import Shown


@dataclasses.dataclass(frozen=True)
class Sliced:
  """Runs in slices, by one label set and metric.

  Attributes:
    labels, metric: the names of the label set and of the metric.
    slices: (attribute, slice) of each, the worst of the first run first.
    found: by run, a `Slice` for each of `slices`; None where it has no image.
    all: by run, of the images that some attribute is known of.
    reversed: where the order of two runs is reversed, those of the lowest p first.
    simpson: (worse, better, attribute): runs, of different images, whose order is
      reversed in each slice of an attribute.
  """

  labels: str
  metric: str
  slices: list[tuple[str, str]]
  found: list[list[Slice | None]]
  all: list[accuracy.Count]
  reversed: list[Reversal]
  simpson: list[tuple[int, int, str]]


@dataclasses.dataclass(frozen=True, repr=False)
class Report(Shown):
  """Runs in slices.

  Attributes:
    by: what the slices are made by.
    runs: the runs.
    names: what readers call them.
    sliced: by label set and metric.
    remarks: what a reader must know beside the figures.
  """

  DOCUMENT = 'tfeval.reports.page.of_slices:document'

  by: str
  runs: list[Run]
  names: list[str]
  sliced: list[Sliced]
  remarks: list[str]


def groups_by(by: str, runs: Sequence[Run]) -> GroupTable:
  """Returns what is known of images.

  Args:
    by: one of `attributes.OF_ROWS`, a file of `group_files.read_groups`, or such a file
      with one of its columns, `FILE:COLUMN`.
    runs: whose images.

  Raises:
    UserError: there is no such column or file, or it is not as it should be.
  """
  if by in attributes.OF_ROWS:
    return attributes.of_rows(by, runs)
  path, column = pathlib.Path(by).expanduser(), ''
  if not path.exists() and ':' in by:
    file, _, column = by.rpartition(':')
    path = pathlib.Path(file).expanduser()
  if not path.exists():
    raise UserError(
      f'`by={by}` is no file, and none of {", ".join(attributes.OF_ROWS)} and images: '
      'give a file of groups, perhaps with one of its columns, FILE:COLUMN'
    )
  table = group_files.read_groups(path)
  if not column:
    return table
  if column not in table.columns:
    raise UserError(
      f'`by={by}`: {path} has no column {column}: {listed(table.columns)}'
    )
  return dataclasses.replace(table, columns={column: table.columns[column]})


def report(
  runs: Sequence[Run],
  by: str,
  table: GroupTable,
  labels: Sequence[LabelSource] | None = None,
  subset: Subset | None = None,
  metrics: Sequence[str] = ('top1',),
) -> Report:
  """Counts the hits of runs in slices.

  Args:
    runs: at least one.
    by: what messages call the table.
    table: of attributes, matched by ids.
    labels: what to count against; by default what the rows of all runs carry.
    subset: images to count once more by themselves.
    metrics: those of `registry.paired_metrics`.

  Raises:
    UserError: none of the images is in the table; a metric is not known of a run.
  """
  found, remarks = attributes.of_table(table)
  names = discovery.distinct_names(runs)
  aligned = [
    alignment.align_run(run, name, labels, subset)
    for run, name in zip(runs, names, strict=True)
  ]
  used, more = alignment.used_labels(aligned)
  aligned = alignment.with_common_rule(aligned)
  coded = [_codes(one, by, table, found) for one in aligned]
  sliced = [
    _sliced(aligned, coded, found, name, metric)
    for name, metric in itertools.product(used, metrics)
  ]
  remarks = [*table.notes, *remarks, *_left_out(by, names, coded), *more]
  told = alignment.contradictions(aligned)
  return Report(by, list(runs), names, sliced, remarks + told)


def _left_out(
  by: str, names: Sequence[str], coded: Sequence[np.ndarray]
) -> Iterator[str]:
  """Says how many images are in no slice and in no rest."""
  of_count: dict[tuple[int, int], list[str]] = {}
  for name, codes in zip(names, coded, strict=True):
    unknown = int(np.count_nonzero((codes == UNKNOWN).all(axis=0)))
    of_count.setdefault((unknown, codes.shape[1]), []).append(name)
  for (unknown, count), found in of_count.items():
    if unknown:
      yield (
        f'{by} says nothing of {unknown:,} of {count:,} images of {listed(found)}: '
        'they are in no slice and in no rest'
      )


def _codes(
  aligned: AlignedPredictions,
  by: str,
  table: GroupTable,
  found: Sequence[Attribute],
) -> np.ndarray:
  """Returns int64 [attributes, n], the slices of a run's images."""
  place = Matcher(table.ids).places(aligned.ids)
  there = place >= 0
  if not there.any():
    raise UserError(
      f'`by={by}` names none of the images of {aligned.run.path}: the first there is '
      f'{table.ids[0]}, of the run {aligned.ids[0]}'
    )
  return np.stack([np.where(there, one.codes[place], UNKNOWN) for one in found])


def _sliced(
  aligned: Sequence[AlignedPredictions],
  coded: Sequence[np.ndarray],
  found: Sequence[Attribute],
  labels: str,
  metric: str,
) -> Sliced:
  keys = [(one.name, text) for one in found for text in one.slices]
  by_run: list[list[Slice | None]] = []
  totals = []
  for one, codes in zip(aligned, coded, strict=True):
    if one.ranked(metric) is None:
      raise UserError(f'`metrics={metric}` is not known of the rows of {one.run.path}')
    counted, hit = one.counted(labels), one.hits(labels, metric)
    codes = np.where(counted, codes, UNKNOWN)
    counts: list[Slice | None] = []
    for attribute, row in zip(found, codes, strict=True):
      counts += slices.count_slices(row, len(attribute.slices), hit)
    there = iter(slices.adjusted([each for each in counts if each is not None]))
    by_run.append([each and next(there) for each in counts])
    known = (codes != UNKNOWN).any(axis=0)
    count = int(np.count_nonzero(known))
    correct = int(np.count_nonzero(known & hit))
    if not count:
      raise UserError(
        f'no image of {one.run.path} with a label of {labels!r} is in any slice'
      )
    without = int(np.count_nonzero(one.within(labels))) - count
    totals.append(accuracy.Count(correct, count, without))
  order = sorted(
    (i for i in range(len(keys)) if any(run[i] for run in by_run)),
    key=lambda i: _badness(by_run, i),
  )
  where = [(a, s) for a, one in enumerate(found) for s in range(len(one.slices))]
  chosen = [where[i] for i in order]
  by_run = [[run[i] for i in order] for run in by_run]
  names = [keys[i] for i in order]
  hits = [
    reversals.Hits(one.ids, one.counted(labels), one.hits(labels, metric), codes)
    for one, codes in zip(aligned, coded, strict=True)
  ]
  rates = [one.correct / one.count for one in totals]
  reversed_ = reversals.find(hits, rates, chosen, by_run)
  simpson = reversals.simpson(names, reversed_, found)
  return Sliced(labels, metric, names, by_run, totals, reversed_, simpson)


def _badness(by_run: Sequence[Sequence[Slice | None]], i: int) -> tuple[float, int]:
  """Returns what slices are sorted by: the first rate that is known."""
  first = next(one for run in by_run if (one := run[i]) is not None)
  return first.rate, i
