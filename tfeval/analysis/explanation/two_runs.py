"""What differs between two runs, and what of it their stored rows tell in points."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow.compute as pc

from tfeval.analysis import alignment, differences
from tfeval.analysis.alignment import AlignedPredictions
from tfeval.metrics import paired
from tfeval.preprocess import protocol
from tfeval.runs.run import Run
from tfeval.runs.same_classes import classes_difference
from tfeval.utils.errors import UserError, listed
from tfeval.utils.shown import Shown

# Fields of a protocol by what is done otherwise where they differ.
FIELDS = {
  'resize': ('library', 'kernel', 'antialias', 'rounding', 'dtype'),
  'aspect': ('resize', 'crop', 'fill', 'crop_at'),
  'crop_fraction': ('crop_fraction', 'crop_padding'),
  'decode': ('decode',),
  'exif': ('exif',),
  'tta': ('tta',),
  'corruption': ('corruption', 'corruption_seed'),
}
# Of the model's section of a manifest, by what differs.
_MODEL = {
  'model': ('name',),
  'weights': ('weights_sha256', 'values_sha256'),
  'architecture': ('architecture_sha256', 'parameters'),
  'normalisation': ('feed', 'preprocess', 'preprocess_sha256'),
  'outputs': ('output', 'class_map', 'output_name', 'matched'),
  'adaptation': ('adaptation',),
}
_DATASET = ('name', 'config', 'version', 'split')
# What no difference of points is expected of: together they are what is left.
_COMPUTED = (
  *('code_sha256', 'devices', 'strategy', 'replicas', 'hosts', 'batch_size', 'jit'),
  *('tf32', 'resize_on', 'rank_on', 'canvas'),
)
AGAIN = 'needs an evaluation of each'
COMPUTED = 'how it was computed: part of what is left'


@dataclasses.dataclass(frozen=True)
class Difference:
  """One thing that two runs do otherwise.

  Attributes:
    what: an axis, as in a sweep, or another name.
    first, second: what each of the runs has.
    points: percentage points that it carries, the second less the first; None: not
      known, of which `why` tells.
    hits: behind the points, the second run first; None where they are no pairs.
    agree: images with the answer of the second run, where the first does this alone
      as the second; None: not tried.
    why: why points are not known.
    departure: axis and value that do in a sweep what the second run does; None: none.
  """

  what: str
  first: Any
  second: Any
  points: float | None = None
  hits: paired.PairedHits | None = None
  agree: int | None = None
  why: str = ''
  departure: tuple[str, str] | None = None


@dataclasses.dataclass(frozen=True)
class Changes:
  """What came of evaluating the first run again.

  Attributes:
    found: the differences, with points of what was changed alone.
    of: images that were looked at.
    together: percentage points of all changes at once; None: there was none.
    unexplained: percentage points on these images that are left of the difference,
      beside changes and labels.
    agree: images with the second run's answer under all of them.
    again: images whose answer the first run evaluated again does not give.
    failed: what could not be changed, and why.
  """

  found: list[Difference]
  of: int
  together: float | None
  unexplained: float
  agree: int
  again: int
  failed: dict[str, str]


@dataclasses.dataclass(frozen=True, repr=False)
class TwoRuns(Shown):
  """Two runs of a model.

  Attributes:
    first, second: what they predicted of the images that both have.
    of_all: hits and images of each, of all that each has.
    labels, metric: what is counted.
    found: what differs.
    level: of significance; intervals cover 1 - level.
    seed: of the resampling.
    changes: what came of evaluating the first again; None: it was not asked for.
  """

  DOCUMENT = 'tfeval.reports.page.of_two_runs:document'

  first: AlignedPredictions
  second: AlignedPredictions
  of_all: tuple[tuple[int, int], tuple[int, int]]
  labels: str
  metric: str
  found: list[Difference]
  level: float = 0.05
  seed: int = 0
  changes: Changes | None = None

  @property
  def differences(self) -> list[Difference]:
    """What they do otherwise, with points of what was changed alone if any was."""
    return self.found if self.changes is None else self.changes.found

  def interval(self, one: Difference) -> tuple[float, float] | None:
    """Returns the paired bootstrap interval of what a difference carries.

    Returns:
      In [-1, 1]; None where no pairs are known.
    """
    if one.hits is None or not one.hits.count:
      return None
    return paired.bootstrap_difference(one.hits, 1 - self.level, seed=self.seed)

  @property
  def total(self) -> float:
    """Percentage points between the runs, the second less the first."""
    first, second = (100 * hits / max(count, 1) for hits, count in self.of_all)
    return second - first

  @property
  def flipped(self) -> int:
    """Images of both with another first class."""
    first, second = self.first.predicted[:, 0], self.second.predicted[:, 0]
    return int(np.count_nonzero(first != second))

  @property
  def unexplained(self) -> float:
    """Percentage points that no difference carries, as far as these are known."""
    if self.changes is not None:
      return self.changes.unexplained
    return self.total - sum(one.points or 0.0 for one in self.found)


def two_runs(
  first: Run,
  second: Run,
  labels: str,
  metric: str,
  level: float = 0.05,
  seed: int = 0,
) -> TwoRuns:
  """Compares how two runs came to be, and what they predicted.

  Args:
    first, second: the runs.
    labels: the label set that hits are counted by.
    metric: one of `registry.paired_metrics`.
    level: of significance, in (0, 1).
    seed: of the resampling.

  Raises:
    UserError: they have no image in common, other classes, or no such labels.
  """
  if why := classes_difference(first, second):
    raise UserError(f'{why}: a difference of runs of other classes is none of points')
  both = [
    alignment.align_run(run, str(run.path), None, None) for run in (first, second)
  ]
  for one in both:
    if labels not in one.labels:
      raise UserError(
        f'{one.name} has no labels {labels!r}: it has {listed(one.labels)}'
      )
    if one.ranked(metric) is None:
      raise UserError(f'`metric={metric}`: {one.name} stores too few classes')
  counts = [one.count(labels, metric) for one in both]
  (a, b), _ = alignment.restrict_to_common(both)
  found = [
    *_images(both, (a, b), labels, metric),
    *_labels(a, b, labels, metric),
    *_manifests(first, second),
  ]
  of_all = tuple((one.correct, one.count) for one in counts if one is not None)
  assert len(of_all) == 2  # Both have the metric.
  return TwoRuns(a, b, of_all, labels, metric, found, level, seed)


def _images(
  both: Sequence[AlignedPredictions],
  common: Sequence[AlignedPredictions],
  labels: str,
  metric: str,
) -> Iterator[Difference]:
  """Yields what images that one run has alone carry, and images of other content."""
  all_of = [rate(one, labels, metric) for one in both]
  of_both = [rate(one, labels, metric) for one in common]
  if any(len(one.ids) != len(common[0].ids) for one in both):
    here, there = (f'{len(one.ids):,} images' for one in both)
    # The first loses its own, the second gains its own.
    points = 100 * (of_both[0] - all_of[0] + all_of[1] - of_both[1])
    yield Difference('images', here, there, points)
  a, b = common
  changed = pc.sum(pc.not_equal(a.hashes, b.hashes)).as_py() or 0
  if changed:
    yield Difference(
      'content of images',
      '',
      f'{changed:,} of {len(a.ids):,} have another SHA-256',
      why='only the images of the first run tell',
    )


def rate(one: AlignedPredictions, labels: str, metric: str) -> float:
  """Returns the share of hits, in [0, 1]."""
  counted = one.counted(labels)
  hits = int(np.count_nonzero(one.hits(labels, metric) & counted))
  return hits / max(int(np.count_nonzero(counted)), 1)


def _labels(
  a: AlignedPredictions, b: AlignedPredictions, labels: str, metric: str
) -> Iterator[Difference]:
  if differences.labels_difference(a, b) is None:
    return
  relabelled = dataclasses.replace(a, labels={labels: b.labels[labels]})
  points = 100 * (rate(relabelled, labels, metric) - rate(a, labels, metric))
  here, there = (int(np.count_nonzero(one.counted(labels))) for one in (a, b))
  yield Difference(
    'labels', f'of {here:,} images', f'others, of {there:,} images', points
  )


def _manifests(first: Run, second: Run) -> Iterator[Difference]:
  a, b = first.result, second.result
  for what, keys in _MODEL.items():
    yield from _of(what, keys, a.model, b.model, AGAIN)
  yield from _of('dataset', _DATASET, a.dataset, b.dataset, 'is a name')
  fields = [protocol.comparable(one.protocol) for one in (a, b)]
  if None in (a.protocol.spec, b.protocol.spec):
    yield from _of('protocol', ('name',), a.protocol, b.protocol, 'one is not known')
  else:
    for what, keys in FIELDS.items():
      yield from _of(what, keys, fields[0], fields[1], AGAIN)
    yield from _of('size', ('size',), a.protocol, b.protocol, AGAIN)
  yield from _of('dtype', ('dtype',), a.compute, b.compute, AGAIN)
  for key in _COMPUTED:
    yield from _of(key, (key,), a.compute, b.compute, COMPUTED)
  for name in sorted({*a.compute.versions, *b.compute.versions}):
    versions = a.compute.versions, b.compute.versions
    yield from _of(f'version of {name}', (name,), *versions, COMPUTED)


def _of(
  what: str,
  keys: Sequence[str],
  first: Mapping[str, Any],
  second: Mapping[str, Any],
  why: str,
) -> Iterator[Difference]:
  """Yields the fields that differ, as one difference."""
  other = [key for key in keys if first.get(key) != second.get(key)]
  if other:
    here, there = (
      ', '.join(_text(one.get(key)) for key in other) for one in (first, second)
    )
    yield Difference(what, here, there, why=why)


def _text(value: Any) -> str:
  if value is None:
    return '-'
  if isinstance(value, Mapping) and 'text' in value:
    return str(value['text'])
  text = ', '.join(map(str, value)) if isinstance(value, list) else str(value)
  is_digest = len(text) == 64 and all(one in '0123456789abcdef' for one in text)
  return text[:12] if is_digest else text
