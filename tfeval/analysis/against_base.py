"""Runs against one base on the same images: what each departure costs."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from tfeval.analysis import alignment, differences
from tfeval.datasets.labels.sets import LabelSource
from tfeval.metrics import paired
from tfeval.metrics.accuracy import Count
from tfeval.runs.run import Failure, Run
from tfeval.utils.errors import UserError, listed
from tfeval.utils.shown import Shown


@dataclasses.dataclass(frozen=True)
class Effect:
  """What a run does otherwise than the base.

  Attributes:
    name: of the run, as it was given.
    count: its hits.
    hits: who hit what, the run first, the base second; None of the base.
    flipped: images whose first class is another one.
    p: of McNemar's exact test.
    p_holm: the same, adjusted by Holm's method for all runs but the base.
  """

  name: str
  count: Count
  hits: paired.PairedHits | None
  flipped: int
  p: float | None = None
  p_holm: float | None = None

  def interval(self, level: float, seed: int) -> tuple[float, float] | None:
    """Returns the paired bootstrap interval of the difference, in [-1, 1].

    Args:
      level: coverage, in (0, 1).
      seed: of the resampling.
    """
    if self.hits is None:
      return None
    return paired.bootstrap_difference(self.hits, level, seed=seed)


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Sweep(Shown):
  """A model under departures from a base.

  Attributes:
    title: the model and the dataset.
    effects: of the cells, the base first.
    failed: cells that the base or the model does not allow.
    runs: by the name of the cell.
    departures: axis and value, by the name of the cell; none of the base.
    labels, metric: what a hit is.
    level: of significance; intervals cover 1 - level.
    seed: of the resampling.
  """

  DOCUMENT = 'tfeval.reports.page.of_sweep:document'

  title: str
  effects: list[Effect]
  failed: list[Failure]
  runs: Mapping[str, Run]
  departures: Mapping[str, Mapping[str, str]]
  labels: str = 'original'
  metric: str = 'top1'
  level: float = 0.05
  seed: int = 0

  @property
  def base(self) -> Run:
    """The run that others are held against."""
    return self.runs[self.effects[0].name]

  def interval(self, one: Effect) -> tuple[float, float] | None:
    """Returns the interval of the difference from the base, in [-1, 1]."""
    return one.interval(1 - self.level, self.seed)


def effects(
  named: Sequence[tuple[str, Run]],
  labels: str,
  metric: str = 'top1',
  source: LabelSource | None = None,
) -> list[Effect]:
  """Compares runs with the first of them.

  Args:
    named: runs and what to call them, the base first.
    labels: the label set, such as `'original'`.
    metric: one of `registry.paired_metrics`.
    source: where the labels are; None: in the rows.

  Raises:
    UserError: the runs are not of the same images, or lack the label set.
  """
  sources = None if source is None else [source]
  aligned = [alignment.align_run(run, name, sources, None) for name, run in named]
  base = aligned[0]
  if labels not in base.labels:
    raise UserError(
      f'{base.name} has no labels {labels!r}: it has {listed(base.labels)}'
    )
  counted = base.counted(labels)
  found = []
  for one in aligned:
    if one is not base and (why := differences.ids_difference(base, one)):
      raise UserError(why)
    count = one.count(labels, metric)
    if count is None:
      raise UserError(f'{one.name} stores too few classes for `metric={metric}`')
    flipped = int(np.count_nonzero(one.first(metric) != base.first(metric)))
    hits = None
    if one is not base:
      mine, theirs = one.hits(labels, metric), base.hits(labels, metric)
      hits = paired.paired_hits(mine, theirs, counted)
    found.append(Effect(one.name, count, hits, flipped))
  return _tested(found)


def _tested(found: list[Effect]) -> list[Effect]:
  p = [paired.mcnemar(one.hits.first, one.hits.second) for one in found if one.hits]
  adjusted = iter(zip(p, paired.holm(np.array(p)), strict=True))
  return [
    one
    if one.hits is None
    else dataclasses.replace(one, p=(both := next(adjusted))[0], p_holm=float(both[1]))
    for one in found
  ]
