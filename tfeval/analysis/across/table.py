"""Models in rows, test sets in columns: counts, gaps, ranks, robustness."""

import dataclasses
from collections.abc import Callable, Sequence

from tfeval.analysis import robustness
from tfeval.analysis.across import measures
from tfeval.analysis.across.places import IMAGENET, Place, full_name, place_of
from tfeval.analysis.corruption_errors import SEVERITIES
from tfeval.datasets.variants import variants
from tfeval.metrics import intervals
from tfeval.metrics.accuracy import LEVEL, Count
from tfeval.metrics.entry import ALL
from tfeval.metrics.out_of_distribution import Detection
from tfeval.runs.run import Failure, Run
from tfeval.utils import errors
from tfeval.utils.errors import UserError

MEAN = 'mean'


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
  """

  runs: tuple[Run, ...]
  count: Count | None
  value: float | None
  extra: dict[str, float]
  gap: Gap | None = None
  rank: int | None = None
  change: int | None = None
  robustness: float | None = None


@dataclasses.dataclass(frozen=True)
class Row:
  """A model.

  Attributes:
    name: its name.
    cells: by the name of the set.
    mean: of the values on the sets that all models have, in [0, 1]; None without any.
  """

  name: str
  cells: dict[str, Cell]
  mean: float | None = None


@dataclasses.dataclass(frozen=True)
class Across:
  """Models on test sets.

  Attributes:
    places: the sets, in the order of columns, those that are known first.
    rows: the models, sorted.
    sort: the set that they are sorted by, or `mean`.
    shared: the sets whose mean is taken.
    remarks: what a reader must know.
    failures: runs that are not there.
  """

  places: list[Place]
  rows: list[Row]
  sort: str
  shared: list[str]
  remarks: list[str]
  failures: list[Failure]


def across(runs: Sequence[Run | Failure], sort: str | None = None) -> Across:
  """Puts runs on several test sets side by side.

  Args:
    runs: complete ones, and failures that are told.
    sort: the name of a set, or `mean`; by default the first set.

  Raises:
    UserError: a model has two runs on a set, a run lacks the rule of a set's authors,
      or nothing is called `sort`.
  """
  complete = [run for run in runs if isinstance(run, Run)]
  failures = [run for run in runs if isinstance(run, Failure)]
  grouped = _grouped(complete)
  places = _ordered({p.name: p for p in map(place_of, complete)})
  rows = []
  remarks: list[str] = []
  for name, of_model in grouped.items():
    cells = {
      place.name: _cell(place, of_model[place.name], of_model.get(IMAGENET), remarks)
      for place in places
      if place.name in of_model
    }
    rows.append(Row(name, cells))
  shared = [
    place.name for place in places if all(_is_accuracy(row, place.name) for row in rows)
  ]
  rows = [dataclasses.replace(row, mean=_mean(row, shared)) for row in rows]
  rows = _ranked(rows, places)
  chosen = _sort(sort, places, shared)
  rows.sort(key=lambda row: (-(_sorted_by(row, chosen) or -1.0), row.name))
  remarks += _protocols(complete)
  return Across(places, rows, chosen, shared, list(dict.fromkeys(remarks)), failures)


def _grouped(runs: Sequence[Run]) -> dict[str, dict[str, list[Run]]]:
  """Returns the runs of each model on each set."""
  found: dict[str, dict[str, list[Run]]] = {}
  for run in runs:
    place = place_of(run)
    there = found.setdefault(full_name(run), {}).setdefault(place.name, [])
    other = next((one for one in there if place_of(one).part == place.part), None)
    if other is not None:
      raise UserError(
        f'{other.path} and {run.path} are both of {full_name(run)} on {place.name}: '
        'leave one out'
      )
    there.append(run)
  return found


def _ordered(places: dict[str, Place]) -> list[Place]:
  """Returns the sets: ImageNet first, then as they are listed, then others."""
  known = [IMAGENET, *variants()]

  def key(place: Place) -> tuple[int, str]:
    name = place.name.partition('/')[0]
    return (known.index(name) if name in known else len(known), place.name)

  return sorted(places.values(), key=key)


def _cell(
  place: Place, runs: Sequence[Run], clean: Sequence[Run] | None, remarks: list[str]
) -> Cell:
  partner = clean[0] if clean else None
  if place.part is not None:
    return _of_corruptions(place, runs, partner, remarks)
  (run,) = runs
  unlabelled = place.variant is not None and place.variant.unlabelled
  count = None if unlabelled else _count(run, place)
  extra, value = {}, None if count is None else count.correct / max(count.count, 1)
  if unlabelled:
    found = _detection(run, partner, place, remarks)
    extra = {} if found is None else dataclasses.asdict(found)
    value = None if found is None else found.aupr
  elif run.classes.has(measures.CATEGORIES):
    cues = measures.shape_bias(run)
    extra = {'shape_bias': cues.shape_bias, 'decided': cues.decided}
  elif place.labels != 'original':
    extra = {'class_mean': measures.class_mean(run)}
    value = extra['class_mean']
  gap = None if count is None else _gap(place, count, partner, remarks)
  return Cell(
    tuple(runs),
    count,
    value,
    {key: one for key, one in extra.items() if one is not None},
    gap,
    robustness=None if gap is None else _robustness(place, count, gap, partner),
  )


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
  if place.rule == 'restricted' and not run.classes.has(place.rule):
    return _count(run, dataclasses.replace(place, rule=ALL))
  raise UserError(
    f'{run.path} has no top-1 under the rule {place.rule} of {place.name}, as others '
    'have: evaluate again, or leave it out'
  )


def _detection(
  run: Run, partner: Run | None, place: Place, remarks: list[str]
) -> Detection | None:
  if partner is None or not partner.classes.has('imagenet_o'):
    remarks.append(_lacking(place, 'imagenet_o'))
    return None
  return measures.outliers(run, partner)


def _lacking(place: Place, rule: str) -> str:
  under = '' if rule == ALL else f', with the rule {rule}'
  return (
    f'{place.name}: no clean partner: add a run of the model on imagenet2012{under}'
  )


def _gap(
  place: Place, count: Count, partner: Run | None, remarks: list[str]
) -> Gap | None:
  if not place.clean:
    return None
  clean = None if partner is None else _clean(partner, place.clean)
  if clean is None or not clean.count or not count.count:
    remarks.append(_lacking(place, place.clean))
    return None
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
  place: Place, runs: Sequence[Run], partner: Run | None, remarks: list[str]
) -> Cell:
  """Returns a model on corruptions: errors, and the mCE of the authors' files alone."""
  counts = {place_of(run).part: _count(run, place) for run in runs}
  found = {
    part: 1 - one.correct / one.count
    for part, one in counts.items()
    if part is not None
  }
  clean = None if partner is None else _clean(partner, ALL)
  error = None if clean is None or not clean.count else 1 - clean.correct / clean.count
  official = place.name == 'imagenet_c'
  of_all = measures.corruption_errors(found, error, official)
  extra: dict[str, float] = {}
  _add(extra, 'mean_error', of_all.mean_over_all, remarks)
  if official:
    _add(extra, 'mCE', of_all.mce, remarks)
    if error is not None:
      _add(extra, 'relative_mCE', of_all.relative_mce, remarks)
  value = 1 - extra['mean_error'] if 'mean_error' in extra else None
  for name, errors_ in of_all.errors.items():
    if None not in errors_:
      extra[name] = of_all.mean_error(name)
      continue
    numbered = zip(SEVERITIES, errors_, strict=True)
    extra |= {f'{name}:{i}': error for i, error in numbered if error is not None}
  return Cell(tuple(runs), None, value, extra)


def _add(
  extra: dict[str, float], name: str, compute: Callable[[], float], remarks: list[str]
) -> None:
  try:
    extra[name] = compute()
  except UserError as error:
    remarks.append(f'no {name}: {error}')


def _value(row: Row, name: str) -> float | None:
  return row.cells[name].value if name in row.cells else None


def _is_accuracy(row: Row, name: str) -> bool:
  """Whether what a model has on a set is an accuracy, no other measure."""
  return _value(row, name) is not None and 'aupr' not in row.cells[name].extra


def _mean(row: Row, shared: Sequence[str]) -> float | None:
  values = [value for name in shared if (value := _value(row, name)) is not None]
  return sum(values) / len(values) if values else None


def _ranked(rows: Sequence[Row], places: Sequence[Place]) -> list[Row]:
  """Returns the rows with ranks by each set, and how these change from clean ones."""
  found = [dict(row.cells) for row in rows]
  for place in places:
    values = [_value(row, place.name) for row in rows]
    for i, value in enumerate(values):
      if value is None:
        continue
      rank = 1 + sum(other is not None and other > value for other in values)
      cell = found[i][place.name]
      change = None
      if cell.gap is not None:
        mine = cell.gap.clean.correct / cell.gap.clean.count
        others = [
          one.gap.clean.correct / one.gap.clean.count
          for row in rows
          if (one := row.cells.get(place.name)) is not None and one.gap is not None
        ]
        change = rank - 1 - sum(other > mine for other in others)
      found[i][place.name] = dataclasses.replace(cell, rank=rank, change=change)
  return [
    dataclasses.replace(row, cells=cells)
    for row, cells in zip(rows, found, strict=True)
  ]


def _sort(sort: str | None, places: Sequence[Place], shared: Sequence[str]) -> str:
  names = [place.name for place in places]
  known = [*names, *([MEAN] if shared else [])]
  if sort is None:
    return names[0]
  if sort not in known:
    raise errors.unknown('set to sort by', sort, known)
  return sort


def _sorted_by(row: Row, name: str) -> float | None:
  return row.mean if name == MEAN else _value(row, name)


def _protocols(runs: Sequence[Run]) -> list[str]:
  """Says where runs that are beside each other have unlike protocols."""
  found: dict[str, set[str]] = {}
  for run in runs:
    place = place_of(run)
    if place.part is None:
      found.setdefault(place.name, set()).add(run.result.protocol.text)
  return [
    f'{name}: runs by unlike protocols: {", ".join(sorted(texts))}'
    for name, texts in found.items()
    if len(texts) > 1
  ]
