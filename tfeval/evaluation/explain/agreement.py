"""Departures that are tried until answers agree."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from tfeval.analysis.alignment import AlignedPredictions
from tfeval.analysis.explanation import matching
from tfeval.analysis.explanation.matching import Reading
from tfeval.evaluation import departures
from tfeval.evaluation.departures import Cell, Departure
from tfeval.evaluation.explain.answer_rows import Rows
from tfeval.evaluation.explain.rounds import Rounds, made, sampled
from tfeval.runs.importing import row_orders
from tfeval.utils.errors import UserError

# Images that tell most departures apart, and those that all are tried on two at once:
# of these so many on which the best one alone is wrong.
_FIRST, _PAIRS, _WRONG = 256, 96, 64
# How many are tried on all images of the sample if none is exact, and how many with
# each other one.
_KEPT, _LEADERS = 4, 3
# OpenCV's wheels for x86 compute its cubic so: a build, nothing that is done otherwise.
_CUBIC = {'library': 'opencv', 'kernel': 'cubic', 'rounding': 'fixed_point'}
_IPP = Departure('build', 'opencv-ipp', {'rounding': 'nearest'})


@dataclasses.dataclass(frozen=True)
class Match:
  """A cell, and how well it fits.

  Attributes:
    cell: what is done otherwise.
    reading: how other answers are read.
    others: further readings under which all answers are the same.
    same: bool [n], on which images both agree.
    ours: what was predicted.
    build: of the library that resizes.
  """

  cell: Cell
  reading: Reading
  others: tuple[Reading, ...]
  same: np.ndarray
  ours: AlignedPredictions
  build: str | None

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


class Search:
  """Departures alone and two at once, on more images where that is needed."""

  def __init__(
    self,
    rounds: Rounds,
    rows: Rows,
    singles: Sequence[Departure],
    ids: Sequence[str],
  ):
    self._rounds, self._rows, self._singles = rounds, rows, singles
    self.ids = sorted(ids)
    self.has_ipp = False
    self.tried: dict[Cell, Match] = {}

  def run(self) -> dict[Cell, Match]:
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
    self, alone: dict[Cell, Match], ids: Sequence[str]
  ) -> dict[Cell, Match]:
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

  def _answers(self, cells: Sequence[Cell], ids: Sequence[str]) -> dict[Cell, Match]:
    """Tries the base and cells; by what is done otherwise, the build aside."""
    built = {self._built(cell): cell for cell in ((), *cells)}
    answers = self._rounds.answers(list(built), ids)
    return {
      built[one]: self._match(built[one], ours, ids, one[-1:] == (_IPP,))
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

  def _match(
    self, cell: Cell, ours: AlignedPredictions, ids: Sequence[str], has_ipp: bool
  ) -> Match:
    """Returns a cell with the reading under which most answers agree."""
    space, theirs = self._rounds.space, self._rows.of(ids)
    build = _IPP.value if has_ipp else None
    found = []
    for reading in matching.readings(theirs, self._rows.scored, space):
      same = matching.agreeing(ours.predicted, theirs, reading, space)
      found.append(Match(cell, reading, (), same, ours, build))
    best = max(found, key=lambda one: one.rank)
    # The best few in any order are the same where the best ones are.
    others = [
      one.reading
      for one in found
      if one.is_exact and one.reading.class_order != best.reading.class_order
    ]
    return dataclasses.replace(best, others=tuple(others))

  def _on_all(
    self, tried: dict[Cell, Match], known: dict[Cell, Match] | None = None
  ) -> dict[Cell, Match]:
    """Tries the best on all images of the sample."""
    ranked = sorted(tried.values(), key=lambda one: one.rank, reverse=True)
    # Of these only more images tell which it is.
    exact = [one.cell for one in ranked if one.is_exact]
    cells = exact or [one.cell for one in ranked[:_KEPT]]
    cells = [cell for cell in cells if not known or cell not in known]
    return self._answers(cells, self.ids)

  def _two_at_once(self, kept: dict[Cell, Match]) -> dict[Cell, Match]:
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

  def _check_order(self, alone: dict[Cell, Match], ids: Sequence[str]) -> None:
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
