"""Under which departures the same images get the answers of somebody else."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from tfeval.analysis.alignment import AlignedPredictions
from tfeval.analysis.explanation import candidates, countings, matching
from tfeval.analysis.explanation.candidates import Candidate, Explanation
from tfeval.analysis.explanation.matching import Reading
from tfeval.evaluation import departures
from tfeval.evaluation.departures import Cell, Departure
from tfeval.evaluation.explain.rounds import Rounds, made, sampled
from tfeval.runs.importing import answers as importing
from tfeval.runs.importing import row_orders
from tfeval.utils.errors import UserError

# Images that tell most departures apart, and those that all are tried on two at once:
# of these so many on which the best one alone is wrong.
_FIRST, _PAIRS, _WRONG = 256, 96, 64
# How many are tried on all images of the sample, and how many with each other one.
_KEPT, _LEADERS = 4, 3
# How many of those are shown that were tried on fewer images.
_SHOWN = 10
# OpenCV's wheels for x86 compute its cubic so: a build, nothing that is done otherwise.
_CUBIC = {'library': 'opencv', 'kernel': 'cubic', 'rounding': 'fixed_point'}
_IPP = Departure('build', 'opencv-ipp', {'rounding': 'nearest'})


@dataclasses.dataclass(frozen=True)
class _Match:
  """A cell, how the other answers are read, and on which images both agree."""

  cell: Cell
  reading: Reading
  same: np.ndarray
  ours: AlignedPredictions

  @property
  def agree(self) -> int:
    return int(np.count_nonzero(self.same))

  @property
  def is_exact(self) -> bool:
    return bool(self.same.all())

  @property
  def rank(self) -> tuple[float, ...]:
    """Is greater of those that are better; of equal ones of what is made more often."""
    otherwise = len(self.cell) + len(self.reading.departures)
    return self.agree / len(self.same), -otherwise, made(self.cell)


def explain(
  rounds: Rounds,
  given: importing.Answers,
  order: str,
  singles: Sequence[Departure],
  sample: int,
  labels: str,
  metric: str,
) -> Explanation:
  """Looks for the departures under which a model gives the answers of somebody else.

  Args:
    rounds: evaluates the model.
    given: the answers.
    order: of their rows, see `row_orders.in_order`.
    singles: what may be done otherwise, alone and two at once.
    sample: how many images are looked at, at most.
    labels, metric: what points are counted by.

  Raises:
    UserError: the answers are of other images, or in another order, which is named.
  """
  rows = _Rows(rounds, given, order)
  search = _Search(rounds, rows, singles, sampled(rows.ids, sample))
  kept = search.run()
  return _explanation(rounds, rows, search, kept, labels, metric)


class _Rows:
  """Answers by the ids of images.

  Attributes:
    path: where they were read.
    ids: of the images that have one, in the order of the rows.
    batches: what the number of rows says of the last batch, as departures.
    remarks: what is to be said of them.
  """

  def __init__(self, rounds: Rounds, given: importing.Answers, order: str):
    self._given, self._order, self._all = given, order, rounds.ids
    self._where = rounds.relative_paths
    self.path = given.path
    self.scored, self.classes = given.scored, given.classes
    self.batches: countings.Departures = ()
    self.remarks: list[str] = []
    if given.ids is None:
      self.ids = self._by_order()
      self._row = {one: i for i, one in enumerate(self.ids)}
    else:
      self._row = self._by_id(given.ids)
      self.ids = list(self._row)

  def of(self, ids: Sequence[str]) -> np.ndarray:
    """Returns int64 [n, k], the classes of images."""
    return self.classes[[self._row[one] for one in ids]]

  def in_other_orders(self, ids: Sequence[str]) -> dict[str, np.ndarray]:
    """Returns what they are if rows stand in other orders, by name; -1: no row."""
    if self._given.ids is not None:
      return {}
    found = {}
    others = row_orders.other_orders(self._all, self._order, self._where)
    for name, order in others.items():
      row = {one: i for i, one in enumerate(order[: len(self.classes)])}
      none = np.full_like(self.classes[:1], -1)
      padded = np.concatenate([self.classes, none])
      found[name] = padded[[row.get(one, -1) for one in ids]]
    return found

  def _by_order(self) -> list[str]:
    path, n = self.path, len(self.classes)
    ids = row_orders.in_order(self._all, self._order, self._where)
    if n > len(ids):
      size = _batch_of(n, len(ids), padded=True)
      if size is None:
        raise UserError(
          f'{path} has {n:,} rows, {len(ids):,} images are there: give the dataset '
          'that they are of, or a list of its ids as `order`'
        )
      self.batches = (('batches', f'last_padded:{size}'),)
      self.remarks.append(
        f'{n:,} rows of {len(ids):,} images: the last batch of {size} was padded, and '
        'its padding kept'
      )
      return ids
    if n < len(ids):
      which = f'the first {n:,} of {len(ids):,} images in the order {self._order}'
      self.remarks.append(f'{n:,} rows: taken for {which}')
      size = _batch_of(n, len(ids), padded=False)
      if size is not None:
        self.batches = (('batches', f'last_lost:{size}'),)
        self.remarks.append(f'the last batch of {size} is missing, by all appearances')
    return ids[:n]

  def _by_id(self, given: Sequence[str]) -> dict[str, int]:
    path = self.path
    row = {one: i for i, one in enumerate(given)}
    if len(row) < len(given):
      raise UserError(f'{path} has {len(given) - len(row)} ids twice')
    known = set(self._all)
    found = {one: i for one, i in row.items() if one in known}
    if not found or len(found) < len(row):
      other = next(one for one in row if one not in known)
      raise UserError(
        f'{path}: {len(row) - len(found)} of {len(row)} ids are none of the '
        f'{len(known):,} images, such as {other}'
      )
    if len(found) < len(known):
      self.remarks.append(f'{len(found):,} of {len(known):,} images have a row')
    return found


def _batch_of(rows: int, images: int, padded: bool) -> int | None:
  """Returns the batch size that so many rows of images are left or made by."""
  for size in countings.BATCH_SIZES:
    whole = images // size * size
    if whole != images and rows == whole + size * padded:
      return size
  return None


class _Search:
  """Departures alone and two at once, on more images where that is needed."""

  def __init__(
    self,
    rounds: Rounds,
    rows: _Rows,
    singles: Sequence[Departure],
    ids: Sequence[str],
  ):
    self._rounds, self._rows, self._singles = rounds, rows, singles
    self.ids = sorted(ids)
    self.has_ipp = False
    self.tried: dict[Cell, _Match] = {}

  def run(self) -> dict[Cell, _Match]:
    """Returns what was tried on all images; `tried` has the others too."""
    first = sorted(sampled(self.ids, _FIRST))
    alone = self._answers([(one,) for one in self._singles], first)
    alone = self._as_built(alone, first)
    self.tried |= alone
    self._check_order(alone, first)
    kept = self._on_all(alone)
    if not any(one.is_exact for one in kept.values()):
      kept |= self._on_all(self._two_at_once(kept), kept)
    return kept

  def _as_built(
    self, alone: dict[Cell, _Match], ids: Sequence[str]
  ) -> dict[Cell, _Match]:
    """Tries OpenCV's cubic as IPP computes it; keeps that if more answers agree."""
    best = max(alone.values(), key=lambda one: one.rank)
    if best.is_exact or not self._is_cubic(best.cell):
      return alone
    self.has_ipp = True
    built = self._answers([best.cell], ids)
    if max(one.agree for one in built.values()) > best.agree:
      return self._answers(list(alone), ids)
    self.has_ipp = False
    return alone

  def _answers(self, cells: Sequence[Cell], ids: Sequence[str]) -> dict[Cell, _Match]:
    """Tries the base and cells; by what is done otherwise, the build aside."""
    built = {self._built(cell): cell for cell in ((), *cells)}
    answers = self._rounds.answers(list(built), ids)
    return {
      built[one]: self._match(built[one], ours, ids)
      for one, ours in answers.items()
      if one in built  # Else the base as it is not built.
    }

  def _built(self, cell: Cell) -> Cell:
    return (*cell, _IPP) if self.has_ipp and self._is_cubic(cell) else cell

  def _is_cubic(self, cell: Cell) -> bool:
    fields = {name: value for one in cell for name, value in one.fields.items()}
    base = self._rounds.base
    return all(
      fields.get(name, getattr(base, name)) == value for name, value in _CUBIC.items()
    )

  def _match(self, cell: Cell, ours: AlignedPredictions, ids: Sequence[str]) -> _Match:
    """Returns a cell with the reading under which most answers agree."""
    space, theirs = self._rounds.space, self._rows.of(ids)
    found = [
      _Match(
        cell, reading, matching.agreeing(ours.predicted, theirs, reading, space), ours
      )
      for reading in matching.readings(theirs, self._rows.scored, space)
    ]
    return max(found, key=lambda one: one.rank)

  def _on_all(
    self, tried: dict[Cell, _Match], known: dict[Cell, _Match] | None = None
  ) -> dict[Cell, _Match]:
    """Tries the best on all images of the sample."""
    ranked = sorted(tried.values(), key=lambda one: one.rank, reverse=True)
    exact = [one.cell for one in ranked if one.is_exact][: 2 * _KEPT]
    cells = exact if len(exact) > _KEPT else [one.cell for one in ranked[:_KEPT]]
    cells = [cell for cell in cells if not known or cell not in known]
    return self._answers(cells, self.ids)

  def _two_at_once(self, kept: dict[Cell, _Match]) -> dict[Cell, _Match]:
    """Tries the best ones with each other one, where they are told apart best."""
    best = max(kept.values(), key=lambda one: one.rank)
    leaders = sorted(self.tried.values(), key=lambda one: one.rank, reverse=True)
    leaders = [one.cell for one in leaders if len(one.cell) == 1][:_LEADERS]
    cells = {
      _ordered((*leader, one)): None
      for leader in leaders
      for one in self._singles
      if not departures.contradict(one, leader[0])
    }
    wrong = [one for one, same in zip(self.ids, best.same, strict=True) if not same]
    wrong = sampled(wrong, _WRONG)
    right = [one for one in self.ids if one not in set(wrong)]
    ids = sorted([*wrong, *sampled(right, _PAIRS - len(wrong))])
    found = self._answers(list(cells), ids)
    self.tried |= {cell: one for cell, one in found.items() if cell}
    return found

  def _check_order(self, alone: dict[Cell, _Match], ids: Sequence[str]) -> None:
    """Checks that rows are of the images that they are taken for."""
    best = max(alone.values(), key=lambda one: one.rank)
    space, path = self._rounds.space, self._rows.path
    as_they_stand = f'{best.agree:,} of {len(ids):,} answers agree'
    for name, theirs in self._rows.in_other_orders(ids).items():
      there = (theirs >= 0).all(axis=1)
      agree = max(
        int(np.count_nonzero((theirs[:, 0] == one.ours.predicted[:, 0]) & there))
        for one in alone.values()
      )
      if agree > best.agree and not matching.is_unrelated(agree, len(ids), len(space)):
        known = f'`order={name}`' if name in row_orders.NAMED else name
        raise UserError(
          f'{path}: {as_they_stand} as rows are taken to stand, {agree:,} in {known}: '
          'give that as `order`'
        )
    if matching.is_unrelated(best.agree, len(ids), len(space)):
      raise UserError(
        f'{path}: {as_they_stand} at best, no more than by chance: these are answers '
        'of other images or of another model, or rows in an order of their own: give '
        'a list of ids as `order`'
      )


def _ordered(cell: Cell) -> Cell:
  """Returns a cell whose departures stand in one order, whatever they were made of."""
  return tuple(sorted(cell, key=lambda one: one.text))


def _explanation(
  rounds: Rounds,
  rows: _Rows,
  search: _Search,
  kept: dict[Cell, _Match],
  labels: str,
  metric: str,
) -> Explanation:
  ranked = sorted(kept.values(), key=lambda one: one.rank, reverse=True)
  others = [one for cell, one in search.tried.items() if cell not in kept]
  others.sort(key=lambda one: one.rank, reverse=True)
  base = kept[()].ours
  of_base = {len(base.ids): base}
  for one in search.tried.values():
    if not one.cell:
      of_base.setdefault(len(one.ours.ids), one.ours)
  found = [_candidate(one, of_base, rows, labels, metric) for one in ranked]
  found += [
    _candidate(one, of_base, rows, labels, metric, candidates.NEAR)
    for one in others[: max(_SHOWN - len(found), 0)]
  ]
  best = ranked[0]
  alike = [
    one
    for one in ranked[1:]
    if np.array_equal(one.ours.predicted[:, 0], best.ours.predicted[:, 0])
  ]
  first = dataclasses.replace(
    found[0], alike=tuple(_departures(one, rows) for one in alike)
  )
  built = []
  if search.has_ipp:
    built.append(
      "OpenCV's bicubic as IPP computes it, the default of its wheels for x86"
    )
  return Explanation(
    [first, *found[1:]],
    len(rows.ids),
    len(search.ids),
    rounds.base.spec,
    float(first.of - (first.agree or 0)),
    [*rows.remarks, *_remarks(first, len(rows.ids), len(search.ids)), *built],
    {_name(cell): why for cell, why in rounds.failed.items()},
  )


def _candidate(
  one: _Match,
  of_base: dict[int, AlignedPredictions],
  rows: _Rows,
  labels: str,
  metric: str,
  state: str | None = None,
) -> Candidate:
  exact = candidates.IDENTIFIED if one.is_exact else candidates.NEAR
  count = one.ours.count(labels, metric) if labels in one.ours.labels else None
  points = None
  base = of_base.get(len(one.ours.ids))
  if (
    count is not None
    and count.count
    and base is not None
    and base.ids.equals(one.ours.ids)
  ):
    plain = base.count(labels, metric)
    assert plain is not None  # It is of the same classes.
    points = 100 * (count.correct - plain.correct) / count.count
  return Candidate(
    departures=_departures(one, rows),
    state=state or exact,
    of=len(one.same),
    value=0.0 if count is None or not count.count else count.correct / count.count,
    points=points,
    agree=one.agree,
    correct=None if count is None else count.correct,
    count=None if count is None else count.count,
    run=str(one.ours.run.path),
  )


def _departures(one: _Match, rows: _Rows) -> countings.Departures:
  of_cell = tuple((each.axis, each.value) for each in one.cell)
  return (*of_cell, *one.reading.departures, *rows.batches)


def _name(cell: Cell) -> str:
  return candidates.text_of(tuple((one.axis, one.value) for one in cell))


def _remarks(first: Candidate, images: int, sample: int) -> list[str]:
  found = []
  if sample < images:
    found.append(
      f'{sample:,} of {images:,} images were looked at, by their ids; a departure that '
      f'changes fewer than 1 in {sample // 3:,} answers may not show'
    )
  if first.alike:
    alike = '; '.join(map(candidates.text_of, first.alike))
    found.append(f'not told apart from it on these images: {alike}')
  if first.state == candidates.IDENTIFIED:
    found.insert(0, f'identified: all {first.of:,} answers are the same')
  else:
    assert first.agree is not None  # It was tried.
    found.insert(
      0,
      f'not identified: the nearest has another answer for {first.of - first.agree:,} '
      f'of {first.of:,} images',
    )
  return found
