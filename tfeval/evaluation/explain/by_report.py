"""Which departures give the accuracy that somebody reported."""

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np

from tfeval.analysis.alignment import AlignedPredictions
from tfeval.analysis.explanation import candidates, countings, report
from tfeval.analysis.explanation.candidates import Candidate, Explanation
from tfeval.analysis.explanation.countings import Counted
from tfeval.analysis.explanation.report import Estimate, Fit, Report
from tfeval.evaluation import departures
from tfeval.evaluation.departures import Cell, Departure
from tfeval.evaluation.explain.rounds import Rounds, made, sampled
from tfeval.utils.errors import UserError, listed

# Images that every departure is tried on, and how many are tried on all of the sample.
_FIRST, _KEPT = 384, 8
# How many pairs are tried, of those that may give the number.
_PAIRS = 12
# How many of those are told that are unlikely.
_UNLIKELY = 10
# Of two departures, one of them in counting.
_BOTH = 0.3


@dataclasses.dataclass(frozen=True)
class _Trial:
  """A way to have come to a number, and how well it fits."""

  cell: Cell
  counted: Counted
  estimate: Estimate
  fit: Fit
  of: int
  points: float
  run: str

  @property
  def departures(self) -> countings.Departures:
    of_cell = tuple((one.axis, one.value) for one in self.cell)
    return (*of_cell, *self.counted.departures)


def explain(
  rounds: Rounds,
  reported: Report,
  singles: Sequence[Departure],
  sample: int,
  labels: str,
  metric: str,
  level: float,
) -> Explanation:
  """Looks for the departures that give a reported accuracy.

  Args:
    rounds: evaluates the model.
    reported: the accuracy.
    singles: what may be done otherwise, alone and two at once.
    sample: how many images are looked at, at most.
    labels, metric: what it is an accuracy of.
    level: what is seen less often than that is called unlikely.

  Raises:
    UserError: the images have no such labels.
  """
  search = _Search(rounds, reported, sample, labels, metric)
  search.alone([(one,) for one in singles])
  guessed = search.two_at_once(level)
  search.on_all()
  found = _explanation(rounds, search, guessed, reported, level)
  return dataclasses.replace(
    found,
    title=rounds.title(labels, metric, reported.title),
    labels=labels,
    metric=metric,
    level=level,
    reported=100 * reported.value,
  )


class _Search:
  """Departures tried on some images, the best of them on more."""

  def __init__(
    self, rounds: Rounds, reported: Report, sample: int, labels: str, metric: str
  ):
    self._rounds, self._reported = rounds, reported
    self._labels, self._metric = labels, metric
    self.total = len(rounds.ids)
    self.ids = sampled(rounds.ids, sample)
    self._first = sampled(self.ids, _FIRST)
    self.base = self._hits(rounds.answers([], self.ids)[()])
    self.trials: dict[Cell, list[_Trial]] = {}

  def alone(self, cells: Sequence[Cell]) -> None:
    """Tries cells on the first images."""
    self._try(cells, self._first)

  def two_at_once(self, level: float) -> list[tuple[Cell, Estimate, Fit]]:
    """Tries the most probable pairs; returns those that may be, and were not tried."""
    plain = {cell: self.plain(cell) for cell in self.trials}
    base, guessed = plain[()].estimate, []
    singles = [cell for cell in plain if len(cell) == 1]
    for (first,), (second,) in itertools.combinations(singles, 2):
      if departures.contradict(first, second):
        continue
      estimate = report.both_at_once(
        base, plain[first,].estimate, plain[second,].estimate
      )
      cell = (first, second)
      fit = report.fit(self._reported, estimate, self.total, made(cell))
      if fit.p >= level:
        guessed.append((cell, estimate, fit))
    guessed.sort(key=lambda one: -one[2].score)
    self._try([cell for cell, _, _ in guessed[:_PAIRS]], self._first)
    return guessed[_PAIRS:]

  def on_all(self) -> None:
    """Tries the best of them on all images of the sample."""
    if len(self._first) == len(self.ids):
      return
    score = {
      cell: max(one.fit.score for one in trials) for cell, trials in self.trials.items()
    }
    best = sorted(score, key=lambda cell: -score[cell])[:_KEPT]
    self._try([cell for cell in best if cell], self.ids)

  def _try(self, cells: Sequence[Cell], ids: Sequence[str]) -> None:
    answers = self._rounds.answers(cells, ids)
    base = self._hits(answers[()])
    for cell, ours in answers.items():
      # What is known of more images stays.
      if cell or cell not in self.trials or len(ids) > self.trials[cell][0].of:
        self.trials[cell] = self._ways(cell, ours, base)

  def _hits(self, ours: AlignedPredictions) -> np.ndarray:
    if self._labels not in ours.labels:
      raise UserError(
        f'the images have no labels {self._labels!r}: they have {listed(ours.labels)}'
      )
    if ours.ranked(self._metric) is None:
      raise UserError(f'`metric={self._metric}` needs more classes than there are')
    hits = ours.hits(self._labels, self._metric)
    return hits[ours.counted(self._labels)].astype(np.float64)

  def _ways(
    self, cell: Cell, ours: AlignedPredictions, base: np.ndarray
  ) -> list[_Trial]:
    is_whole = len(ours.ids) == self.total
    found = []
    for counted in countings.ways(ours.run, self._labels, self._metric, is_whole, ours):
      estimate = self._estimate(counted, base)
      otherwise = [countings.axes()[axis]['made'] for axis, _ in counted.departures]
      often = made(cell) * float(np.prod(otherwise))
      often *= _BOTH if cell and otherwise else 1.0
      fit = report.fit(self._reported, estimate, self.total, often)
      points = 100 * (counted.value - float(base.mean()))
      path = str(ours.run.path)
      found.append(_Trial(cell, counted, estimate, fit, len(ours.ids), points, path))
    return found

  def _estimate(self, counted: Counted, base: np.ndarray) -> Estimate:
    """Estimates an accuracy over all images."""
    if counted.values is None:  # Counted of all.
      return Estimate(counted.value, 0.0)
    if len(counted.values) != len(base):
      return report.of_sample(counted.values, self.total)
    return report.of_two_samples(self.base, base, counted.values, self.total)

  def plain(self, cell: Cell) -> _Trial:
    """Returns a cell, counted as tfeval counts."""
    return next(one for one in self.trials[cell] if not one.counted.departures)


def _explanation(
  rounds: Rounds,
  search: _Search,
  guessed: Sequence[tuple[Cell, Estimate, Fit]],
  reported: Report,
  level: float,
) -> Explanation:
  ranked: list[tuple[float, Candidate]] = []
  for one in itertools.chain.from_iterable(search.trials.values()):
    state = candidates.FITS if one.fit.p >= level else candidates.UNLIKELY
    ranked.append(
      (
        one.fit.score,
        Candidate(
          one.departures,
          state,
          one.of,
          one.estimate.value,
          one.points,
          p=one.fit.p,
          sd=one.estimate.sd,
          correct=one.counted.correct,
          count=one.counted.count,
          run=one.run,
        ),
      )
    )
  base = search.plain(()).estimate.value
  for cell, estimate, fit in guessed:
    departures = tuple((one.axis, one.value) for one in cell)
    points = 100 * (estimate.value - base)
    ranked.append(
      (
        fit.score,
        Candidate(
          departures,
          candidates.UNTRIED,
          0,
          estimate.value,
          points,
          p=fit.p,
          sd=estimate.sd,
        ),
      )
    )
  ranked.sort(key=lambda one: (one[1].state == candidates.UNLIKELY, -one[0]))
  likely = [one for _, one in ranked if one.state != candidates.UNLIKELY]
  unlikely = [one for _, one in ranked if one.state == candidates.UNLIKELY]
  # Of what cannot be, the nearest.
  unlikely.sort(key=lambda one: abs(one.value - reported.value))
  found = [*likely, *unlikely[:_UNLIKELY]]
  return Explanation(
    found,
    search.total,
    len(search.ids),
    rounds.base.spec,
    100 * (reported.value - found[0].value),
    _remarks(likely, found[0], search, reported, level),
    {
      candidates.text_of(tuple((one.axis, one.value) for one in cell)): why
      for cell, why in rounds.failed.items()
    },
  )


def _remarks(
  likely: Sequence[Candidate],
  first: Candidate,
  search: _Search,
  reported: Report,
  level: float,
) -> list[str]:
  found = []
  if not likely:
    found.append(
      f'no departure that was tried gives {100 * reported.value:g} %, nor two at once: '
      f'the nearest has {100 * first.value:.2f} %'
    )
  elif len(likely) > 1:
    found.append(
      f'{len(likely):,} explanations cannot be told apart by the number alone (p at '
      f'least {level:g}); answers image by image can: give `predictions`'
    )
  untried = sum(one.state == candidates.UNTRIED for one in likely)
  if untried:
    found.append(
      f'{untried:,} of them, two departures at once, were not tried: guessed from each '
      'alone'
    )
  if len(search.ids) < search.total:
    sd = report.of_sample(search.base, search.total).sd
    found.append(
      f'{len(search.ids):,} of {search.total:,} images were looked at: the base is '
      f'known to about {196 * sd:.1f} points'
    )
  if reported.images is not None:
    value = reported.value
    sd = (value * (1 - value) / reported.images) ** 0.5
    found.append(
      f'reported of {reported.images:,} other images: known to about {196 * sd:.1f} '
      'points'
    )
  return found
