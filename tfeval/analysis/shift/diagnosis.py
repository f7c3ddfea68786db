"""What changed between two sets of images: everything that is told of it."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from tfeval.analysis.shift import classes, concept, farthest, guesses, measures, verdict
from tfeval.analysis.shift.classes import CannotEstimate, ClassShares
from tfeval.analysis.shift.concept import AtEqualFeatures
from tfeval.analysis.shift.farthest import Far
from tfeval.analysis.shift.guesses import Guesses
from tfeval.analysis.shift.measures import Measure, Options
from tfeval.analysis.shift.side import Geometry, Side, geometry
from tfeval.analysis.shift.verdict import Verdict
from tfeval.metrics.shift import two_sample
from tfeval.runs.run import Run
from tfeval.utils.errors import UserError
from tfeval.utils.shown import Shown


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Shift(Shown):
  """What is told of a source and a target.

  Attributes:
    names: of both sides.
    images: how many of each.
    options: of tests.
    measures: by the model, each beside its baseline, with p-values by Holm's method for
      all of them; none where no model was run on the target.
    statistics: of the images themselves, with p-values by Holm's method for these.
    verdict: what kind of change it is; None without a model.
    shares: of classes; None where they cannot be estimated, for the reason
      `no_shares`.
    concept: errors at equal features; None without labels on both sides.
    guesses: of hits without labels; None without labels of the source.
    farthest: images of the target.
    remarks: what a reader must know beside the figures.
    classes: names of the columns of outputs, which `shares` and others number.
    runs: name and run of each side that has one.
  """

  DOCUMENT = 'tfeval.reports.page.of_shift:document'

  names: tuple[str, str]
  images: tuple[int, int]
  options: Options
  measures: list[Measure] = dataclasses.field(default_factory=list)
  statistics: list[Measure] = dataclasses.field(default_factory=list)
  verdict: Verdict | None = None
  shares: ClassShares | None = None
  no_shares: str | None = None
  concept: AtEqualFeatures | None = None
  guesses: Guesses | None = None
  farthest: list[Far] = dataclasses.field(default_factory=list)
  remarks: list[str] = dataclasses.field(default_factory=list)
  classes: list[str] = dataclasses.field(default_factory=list)
  runs: list[tuple[str, Run]] = dataclasses.field(default_factory=list)


def diagnose(
  source: Side,
  target: Side,
  options: Options,
  far: int = 10,
  beside: Sequence[tuple[Side, Side]] = (),
) -> Shift:
  """Measures what changed by a model, and decides of which kind it is.

  Args:
    source, target: of one model.
    options: of tests.
    far: how many images that are farthest from the source are listed.
    beside: the same images by further models.

  Raises:
    UserError: there are neither features nor probabilities, or features are constant.
  """
  if source.features is None and (source.ranked is None or target.ranked is None):
    raise UserError(
      'the runs store neither features nor probabilities, so that nothing tells a '
      'shift: evaluate again with `store_features`'
    )
  try:
    space = geometry(source, target)
  except ValueError as error:
    raise UserError(
      f'{error}: most of these {len(source):,} and {len(target):,} images are the same '
      'to the model: give other images, or another layer as `store_features`'
    ) from error
  found = [] if space is None else measures.of_features(space, options)
  found += measures.of_outputs(source, target, options)
  shares, no_shares = None, None
  try:
    shares = classes.estimate(source, target, options)
  except CannotEstimate as error:
    no_shares = str(error)
  moved = verdict.shares_moved(source, target, found, options)
  errors = None
  if space is not None and min(side.labelled.sum() for side in (source, target)) > 1:
    errors = concept.at_equal_features(source, target, space, shares, moved, options)
  return Shift(
    (source.name, target.name),
    (len(source), len(target)),
    options,
    measures.corrected(found),
    verdict=verdict.decide(source, target, space, found, shares, errors, options),
    shares=shares,
    no_shares=no_shares,
    concept=errors,
    guesses=guesses.guess(source, target, options, beside),
    farthest=[] if space is None else farthest.farthest(space, target.ids, far),
    remarks=_remarks(source, target, space, options),
  )


def _remarks(
  source: Side, target: Side, space: Geometry | None, options: Options
) -> list[str]:
  found = []
  if both := len(np.intersect1d(source.ids, target.ids)):
    same = 'SAME IDS: ' * (both == min(len(source.ids), len(target.ids)))
    found.append(
      f'{same}{both:,} ids are of both sides: if these are the same photos, tests take '
      'less for a shift than there is'
    )
  labels = [{*side.labels[side.labels >= 0].tolist()} for side in (source, target)]
  if all(labels):
    for only, name in (
      (labels[0] - labels[1], source.name),
      (labels[1] - labels[0], target.name),
    ):
      if only:
        found.append(f'{len(only):,} classes have labels in {name} alone')
  if space is None:
    found.append(
      'no features are stored (`store_features` keeps them) and not all outputs: what '
      'differs has no name then'
    )
    return found
  n, m, d = len(source), len(target), space.first.shape[1]
  if (equal := min(n // 2, m)) <= d:
    found.append(
      f'the Fréchet distance is biased: {equal:,} images of each side in {d:,} '
      'dimensions; compare it with distances of as many images alone'
    )
  return [*found, _smallest(space, options)]


def _smallest(space: Geometry, options: Options) -> str:
  """Says how small an MMD² these images can tell, and how many the one seen takes."""
  n, m = len(space.first), len(space.second)
  null = two_sample.permuted(space.kernel, n, min(200, options.permutations), 1)
  least = float(np.quantile(null, 1 - options.level))
  value = two_sample.mmd2(space.kernel, n)
  text = f'MMD² of {n:,} and {m:,} images comes up to {least:.2g} by chance'
  if 0 < value < least:
    # Its spread falls as 1 / n.
    needed = int(np.ceil(min(n, m) * least / value))
    text += f'; were the {value:.2g} seen real, some {needed:,} of each would tell it'
  return text
