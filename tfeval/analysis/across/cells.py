"""A model on a test set: counts, the gap to clean images, measures of its authors."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence

from tfeval.analysis import robustness
from tfeval.analysis.across import measures
from tfeval.analysis.across.places import FEW, MULTILABEL, Place, place_of
from tfeval.analysis.corruption_errors import SEVERITIES
from tfeval.datasets.labels import class_sets
from tfeval.metrics import intervals
from tfeval.metrics.accuracy import LEVEL, Count
from tfeval.metrics.cue_conflict import CueDecisions
from tfeval.metrics.entry import ALL, RESTRICTED
from tfeval.metrics.out_of_distribution import Detection
from tfeval.runs.run import Run
from tfeval.utils.errors import UserError

# Measures of all corruptions together, beside the errors of each.
OF_SETS = ('mean_error', 'mCE', 'relative_mCE')


@dataclasses.dataclass(frozen=True)
class Gap:
  """How much less a model hits on a set than on its clean partner.

  Attributes:
    points: rate on the set less that on the partner, in points.
    low, high: its interval (Newcombe), in points.
    clean: counts on the partner.
    rule: the rule that the partner is counted by.
  """

  points: float
  low: float
  high: float
  clean: Count
  rule: str


@dataclasses.dataclass(frozen=True)
class Cell:
  """A model on a set.

  Attributes:
    runs: those that it is made of; several of corruptions.
    count: top-1 under the rule of the set's authors; None of corruptions and where
      images have no labels.
    value: what stands in the table, in [0, 1]: the rate, of corruptions the accuracy
      over all, of a measure that is no count the measure.
    extra: measures of the set's own, by name.
    gap: to its clean partner; None without one.
    rank: among the models, 1 the best.
    change: this rank less that on the clean partner's images; None without.
    robustness: accuracy beyond what the fit of clean accuracy says, in points.
    relative: accuracy beyond that of the base model on the set, in points.
  """

  runs: tuple[Run, ...]
  count: Count | None
  value: float | None
  extra: dict[str, float]
  gap: Gap | None = None
  rank: int | None = None
  change: int | None = None
  robustness: float | None = None
  relative: float | None = None


def make_cell(
  model: str,
  place: Place,
  runs: Sequence[Run],
  clean: Sequence[Run] | None,
  remarks: list[str],
) -> Cell:
  """Returns what a model has on a set.

  Args:
    model: its name, for remarks.
    place: the set.
    runs: of the model on it; several of corruptions.
    clean: of the model on validation images, if there are any.
    remarks: what a reader must know is added to these.

  Raises:
    UserError: a run lacks the rule of the set's authors.
  """
  partner = clean[0] if clean else None
  if place.part is not None:
    return _of_corruptions(model, place, runs, partner, remarks)
  (run,) = runs
  unlabelled = place.variant is not None and place.variant.unlabelled
  count = None if unlabelled else _count(run, place)
  extra: dict[str, float | None] = {}
  value = None if count is None or not count.count else count.correct / count.count
  if unlabelled:
    found = _detection(model, run, partner, place, remarks)
    extra = {} if found is None else dataclasses.asdict(found)
    value = None if found is None else found.aupr
  elif run.classes.has(measures.CATEGORIES):
    cues = measures.shape_bias(run)
    extra = {'shape_bias': cues.shape_bias, 'decided': cues.decided}
    remarks += _cue_intervals(model, place, cues)
  elif place.labels == MULTILABEL and not place.name.endswith(FEW):
    # By which its authors rank; of so few images it is the hits.
    value = extra['class_mean'] = measures.class_mean(run)
  gap = None if count is None else _gap(model, run, place, count, partner, remarks)
  return Cell(
    tuple(runs),
    count,
    value,
    {key: one for key, one in extra.items() if one is not None},
    gap,
    robustness=None if gap is None else _robustness(place, count, gap, partner),
  )


def _cue_intervals(model: str, place: Place, cues: CueDecisions) -> list[str]:
  """Says how far chance in the choice of images reaches, where any was decided."""
  both = cues.shape_bias_interval, cues.decided_interval
  ends = [f'{100 * one[0]:.1f} to {100 * one[1]:.1f}' for one in both if one]
  if len(ends) < len(both):
    return []
  return [
    f'{place.name}, {model}: 95 % intervals of shape bias {ends[0]}, decided {ends[1]}'
  ]


def _count(run: Run, place: Place) -> Count:
  """Returns top-1 under the rule of the set's authors.

  Raises:
    UserError: the run has no such rule.
  """
  for metric in run.metrics:
    if (metric.name, metric.labels, metric.rule) == ('top1', place.labels, place.rule):
      assert metric.correct is not None  # Of rows it is known.
      return Count(metric.correct, metric.count, metric.skipped)
  # A model that says these classes alone has the rule without its name.
  if place.rule == RESTRICTED and _says_no_other(run, place):
    return _count(run, dataclasses.replace(place, rule=ALL))
  raise UserError(
    f'{run.path} has no top-1 under the rule {place.rule} of {place.name}, as others '
    'have: evaluate again, or leave it out'
  )


def _says_no_other(run: Run, place: Place) -> bool:
  """Whether a model has no outputs but of the classes of a set."""
  if place.variant is None or not place.variant.class_set:
    return False
  groups = class_sets.read(place.variant.class_set).wnids
  known = {wnid for group in groups for wnid in group}
  classes = run.classes
  said = range(len(classes.space)) if classes.said is None else classes.said
  return all(classes.space.class_ids[i] in known for i in said)


def _detection(
  model: str, run: Run, partner: Run | None, place: Place, remarks: list[str]
) -> Detection | None:
  if partner is None or not partner.classes.has('imagenet_o'):
    remarks.append(_lacking(model, place, 'imagenet_o'))
    return None
  try:
    return measures.outliers(run, partner)
  except UserError as error:
    remarks.append(f'{place.name}: {error}')
    return None


def _lacking(model: str, place: Place, rule: str) -> str:
  under = '' if rule == ALL else f', with the rule {rule}'
  return (
    f'{place.name}: {model} has no clean partner: add its run on imagenet2012{under}'
  )


def _gap(
  model: str,
  run: Run,
  place: Place,
  count: Count,
  partner: Run | None,
  remarks: list[str],
) -> Gap | None:
  if not place.clean:
    return None
  clean = None if partner is None else _clean(partner, place.clean)
  if partner is None or clean is None or not clean.count or not count.count:
    remarks.append(_lacking(model, place, place.clean))
    return None
  mine, other = (one.result.protocol.text for one in (run, partner))
  if mine != other:
    remarks.append(
      f'{place.name}: gaps are between unlike protocols, {mine} there and {other} of '
      'the clean partner'
    )
  low, high = intervals.newcombe(
    count.correct, count.count, clean.correct, clean.count, LEVEL
  )
  points = count.correct / count.count - clean.correct / clean.count
  return Gap(100 * points, 100 * low, 100 * high, clean, place.clean)


def _clean(partner: Run, rule: str) -> Count | None:
  for metric in partner.metrics:
    if (metric.name, metric.labels, metric.rule) == ('top1', 'original', rule):
      assert metric.correct is not None
      return Count(metric.correct, metric.count, metric.skipped)
  return None


def _robustness(
  place: Place, count: Count | None, gap: Gap, partner: Run | None
) -> float | None:
  """Returns the residual to the published fit; None where there is none."""
  if count is None or partner is None:
    return None
  try:
    kind, _ = robustness.fit_of(place.name)
  except UserError:
    return None
  clean = gap.clean if kind == robustness.SAME else _clean(partner, ALL)
  if clean is None or not 0 < clean.correct < clean.count:
    return None
  return robustness.effective_robustness(
    place.name, clean.correct / clean.count, count.correct / count.count, kind
  )


def _of_corruptions(
  model: str,
  place: Place,
  runs: Sequence[Run],
  partner: Run | None,
  remarks: list[str],
) -> Cell:
  """Returns a model on corruptions: errors, and the mCE of the authors' files alone."""
  found = {}
  for run in runs:
    part, count = place_of(run).part, _count(run, place)
    if part is not None and count.count:
      found[part] = 1 - count.rate
  extra = _errors(found)
  if place.name == 'imagenet_c':
    clean = None if partner is None else _clean(partner, ALL)
    error = None if clean is None or not clean.count else 1 - clean.rate
    official = measures.corruption_errors(found, error)
    _add(model, extra, 'mCE', official.mce, remarks)
    if error is not None:
      _add(model, extra, 'relative_mCE', official.relative_mce, remarks)
  return Cell(tuple(runs), None, None, extra)


def severities(cell: Cell, place: Place) -> Iterator[tuple[str, int, Count]]:
  """Yields corruption, severity and top-1 of each run that a cell is made of."""
  for run in cell.runs:
    part = place_of(run).part
    if part is not None:
      yield part[0], int(part[1]), _count(run, place)


def _errors(found: Mapping[tuple[str, str], float]) -> dict[str, float]:
  """Returns the mean error of each corruption, of parts of one each error."""
  by_name: dict[str, dict[str, float]] = {}
  for (name, severity), error in found.items():
    by_name.setdefault(name, {})[severity] = error
  extra = {}
  for name, of in by_name.items():
    if len(of) == len(SEVERITIES):
      extra[name] = sum(of.values()) / len(of)
    else:
      extra |= {
        f'{name}:{severity}': of[severity] for severity in sorted(of, key=float)
      }
  return extra


def with_mean_error(cell: Cell, corruptions: Sequence[str]) -> Cell:
  """Returns a cell of corruptions with the mean of their errors.

  Args:
    cell: that has the error of each.
    corruptions: those that all models have; none: there is no mean.
  """
  if not corruptions:
    return cell
  mean = sum(cell.extra[name] for name in corruptions) / len(corruptions)
  extra = {'mean_error': mean, **cell.extra}
  return dataclasses.replace(cell, value=1 - mean, extra=extra)


def _add(
  model: str,
  extra: dict[str, float],
  name: str,
  compute: Callable[[], float],
  remarks: list[str],
) -> None:
  try:
    extra[name] = compute()
  except UserError as error:
    remarks.append(f'{model}: no {name}: {error}')
