"""Paired comparisons of runs on the same images."""

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np

from tfeval.analysis import alignment, differences, numeric_flips
from tfeval.analysis.alignment import AlignedPredictions
from tfeval.analysis.kept import Margin, Verdict, judge
from tfeval.datasets.labels.sets import LabelSource
from tfeval.datasets.labels.subsets import Subset
from tfeval.metrics import paired
from tfeval.runs import discovery
from tfeval.runs.run import Run
from tfeval.runs.same_classes import classes_difference
from tfeval.utils.errors import UserError, listed
from tfeval.utils.shown import Shown


@dataclasses.dataclass(frozen=True)
class Pair:
  """Two models on the same images.

  Attributes:
    first, second: positions of the runs.
    hits: who hit what.
    p: of McNemar's exact test.
    p_holm: the same, adjusted by Holm's method for all pairs of these runs on these
      labels.
  """

  first: int
  second: int
  hits: paired.PairedHits
  p: float
  p_holm: float

  def interval(self, level: float, seed: int) -> tuple[float, float]:
    """Returns the paired bootstrap interval of the difference, in [-1, 1].

    Args:
      level: coverage, in (0, 1).
      seed: of the resampling.
    """
    return paired.bootstrap_difference(self.hits, level, seed=seed)

  def images_needed(self, alpha: float) -> int | None:
    """Returns how many images one test needs to tell them apart, with power 0.8."""
    n = self.hits.count
    return paired.images_needed(self.hits.first / n, self.hits.second / n, alpha=alpha)


def pairs(aligned: Sequence[AlignedPredictions], name: str, metric: str) -> list[Pair]:
  """Compares every two runs.

  Args:
    aligned: of the same images in the same order.
    name: the label set's.
    metric: one of `registry.paired_metrics`.
  """
  within = aligned[0].within(name)
  counted = aligned[0].counted(name)[within]
  hit = [one.hits(name, metric)[within] for one in aligned]
  numbers = list(itertools.combinations(range(len(aligned)), 2))
  hits = [paired.paired_hits(hit[i], hit[j], counted) for i, j in numbers]
  p = [paired.mcnemar(one.first, one.second) for one in hits]
  return [
    Pair(*number, one, raw, float(adjusted))
    for number, one, raw, adjusted in zip(
      numbers, hits, p, paired.holm(np.array(p)), strict=True
    )
  ]


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Comparison(Shown):
  """Several runs on the same images.

  Attributes:
    aligned: of each run.
    metric: one of `registry.paired_metrics`.
    pairs: every two runs, by label set.
    agreement: int64 [runs, runs], images with the same first class under the metric's
      rule, right or wrong.
    flips: of runs of the same model that were computed in another way.
    remarks: what a reader must know beside the figures.
    margin: how much worse than the first run others may be; None: not asked.
    level: of significance; intervals cover 1 - level.
    seed: of the resampling.
  """

  DOCUMENT = 'tfeval.reports.page.of_comparison:document'

  aligned: list[AlignedPredictions]
  metric: str
  pairs: dict[str, list[Pair]]
  agreement: np.ndarray
  flips: list[numeric_flips.NumericVariant]
  remarks: list[str]
  margin: Margin | None = None
  level: float = 0.05
  seed: int = 0

  def interval(self, pair: Pair) -> tuple[float, float]:
    """Returns the interval of the difference of a pair, in [-1, 1]."""
    return pair.interval(1 - self.level, self.seed)

  def verdicts(self, labels: str) -> list[Verdict]:
    """Returns whether each further run keeps what the first hits; none: not asked.

    Each bound by itself is at `level`.

    Args:
      labels: the label set's name.
    """
    if self.margin is None:
      return []
    return judge(self.aligned, labels, self.metric, self.margin, self.level)


def compare(
  runs: Sequence[Run],
  labels: Sequence[LabelSource] | None = None,
  subset: Subset | None = None,
  metric: str = 'top1',
  common: bool = False,
  margin: Margin | None = None,
  level: float = 0.05,
  seed: int = 0,
) -> Comparison:
  """Compares runs on the same images, whatever the order of their rows.

  Args:
    runs: at least two.
    labels: what to count against; by default what the rows of all runs carry.
    subset: images to compare once more by themselves.
    metric: one of `registry.paired_metrics`.
    common: whether to compare on the images that all runs have where they differ.
    margin: how much worse than the first run others may be; None: not asked.
    level: of significance, in (0, 1).
    seed: of the resampling.

  Raises:
    UserError: the runs are not of the same images, or not of the same labels.
  """
  if len(runs) < 2:
    raise UserError(f'{len(runs)} run was given: compare takes two or more')
  aligned = [
    alignment.align_run(run, name, labels, subset)
    for run, name in zip(runs, discovery.distinct_names(runs), strict=True)
  ]
  remarks: list[str] = []
  if common:
    aligned, remarks = alignment.restrict_to_common(aligned)
  for other in aligned[1:]:
    if found := differences.ids_difference(aligned[0], other):
      raise UserError(f'{found}: `common` compares on the images that all runs have')
    if found := classes_difference(aligned[0].run, other.run):
      raise UserError(f'{found}: compare runs of the same classes')
    if found := differences.labels_difference(aligned[0], other):
      raise UserError(f'{found}: give `labels=FILE` for all')
  aligned = alignment.with_common_rule(aligned)
  for one in aligned:
    if one.ranked(metric) is None:
      there = [m for m in alignment.metric_keys([one]) if one.ranked(m) is not None]
      why = (
        f'has no rule `{rule}`'
        if (rule := metric.partition('@')[2]) and rule not in one.by_rule
        else f'stores {one.predicted.shape[1]} of {one.run.classes.outputs} classes of '
        'each image'
      )
      raise UserError(f'`metric={metric}`: {one.name} {why}: choose {listed(there)}')
  names, more = alignment.used_labels(aligned)
  names = [name for name in names if aligned[0].counted(name).any()]
  if not names:
    raise UserError(f'none of the {len(aligned[0].ids)} common images has a label')
  return Comparison(
    aligned,
    metric,
    {name: pairs(aligned, name, metric) for name in names},
    paired.agreement(np.stack([one.first(metric) for one in aligned])),
    numeric_flips.find_variants(aligned, names),
    remarks + more + _remarks(aligned) + alignment.contradictions(aligned),
    margin,
    level,
    seed,
  )


def _remarks(aligned: Sequence[AlignedPredictions]) -> list[str]:
  found = differences.content_remarks(aligned)
  first, *others = differences.known_first(aligned)
  for other in others:
    if content := differences.content_difference(first, other):
      found.append(f'DIFFERENT IMAGES: {content}')
  for other in aligned[1:]:
    if protocol := differences.protocol_difference(aligned[0].run, other.run):
      found.append(
        f'{aligned[0].name} and {other.name} were evaluated with different '
        f'protocols: {protocol}'
      )
  return found
