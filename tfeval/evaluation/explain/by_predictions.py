"""Under which departures the same images get the answers of somebody else."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from tfeval.analysis.alignment import AlignedPredictions
from tfeval.analysis.explanation import candidates, countings
from tfeval.analysis.explanation.candidates import Candidate, Explanation
from tfeval.evaluation.departures import Cell, Departure
from tfeval.evaluation.explain.agreement import Match, Search
from tfeval.evaluation.explain.answer_rows import Rows
from tfeval.evaluation.explain.rounds import Rounds, sampled
from tfeval.runs.importing import answers as importing

# How many of those are shown that were tried on fewer images.
_SHOWN = 10
# What none is seen of in n images is at most 3 in n of all, at 95 %: Hanley and
# Lippman-Hand, "If nothing goes wrong, is everything all right?", JAMA 249 (1983).
_NONE_SEEN = 3
# Images that departures of 1 in 100 answers show on: the least that the shared figures
# have for another decoder or another arithmetic.
_ENOUGH = 100 * _NONE_SEEN


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
  rows = Rows(rounds, given, order)
  search = Search(rounds, rows, singles, sampled(rows.ids, sample))
  kept = search.run()
  found = _explanation(rounds, rows, search, kept, labels, metric)
  title = rounds.title(labels, metric, given.path.name)
  return dataclasses.replace(found, title=title, labels=labels, metric=metric)


def _explanation(
  rounds: Rounds,
  rows: Rows,
  search: Search,
  kept: dict[Cell, Match],
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
    dataclasses.replace(best, reading=reading)
    for reading in best.others
    if best.is_exact
  ]
  alike += [one for one in ranked[1:] if _is_alike(one, best)]
  first = dataclasses.replace(
    found[0], alike=tuple(_departures(one, rows) for one in alike)
  )
  built = []
  if search.has_ipp:
    built.append(
      "opencv-ipp: these rows have OpenCV's bicubic as IPP computes it, the default of "
      'its wheels for x86 (rounding=nearest in a protocol); points are against a base '
      'that has it too'
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


def _is_alike(one: Match, best: Match) -> bool:
  """Whether these images do not tell two matches apart."""
  if best.is_exact:
    return one.is_exact
  return np.array_equal(one.ours.predicted[:, 0], best.ours.predicted[:, 0])


def _candidate(
  one: Match,
  of_base: dict[int, AlignedPredictions],
  rows: Rows,
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
    build=one.build,
  )


def _departures(one: Match, rows: Rows) -> countings.Departures:
  of_cell = tuple((each.axis, each.value) for each in one.cell)
  return (*of_cell, *one.reading.departures, *rows.batches)


def _name(cell: Cell) -> str:
  return candidates.text_of(tuple((one.axis, one.value) for one in cell))


def _remarks(first: Candidate, images: int, sample: int) -> list[str]:
  found = []
  if first.state == candidates.IDENTIFIED:
    found.append(f'identified: all {first.of:,} answers are the same')
  else:
    assert first.agree is not None  # It was tried.
    found.append(
      f'not identified: the nearest has another answer for {first.of - first.agree:,} '
      f'of {first.of:,} images'
    )
  if first.alike:
    alike = '; '.join(map(candidates.text_of, first.alike))
    found.append(f'not told apart from it on these images: {alike}')
  if sample < images:
    found.append(f'{sample:,} of {images:,} images were looked at, by their ids')
  # None in n is seen of one in n / 3 once in twenty times.
  found.append(
    f'on {sample:,} images a departure that changes fewer than 1 in '
    f'{max(sample // _NONE_SEEN, 1):,} answers may not show'
  )
  if sample < _ENOUGH:
    found.append(
      'these are few: decoders, filters that are near and arithmetic change about 1 '
      f'in 100 answers, which takes {_ENOUGH:,} images or more to see'
    )
  return found
