"""What each difference of two runs carries: the first evaluated with it alone."""

import dataclasses

import numpy as np
import pyarrow as pa

from tfeval.analysis.alignment import AlignedPredictions
from tfeval.analysis.explanation import two_runs
from tfeval.analysis.explanation.two_runs import FIELDS, Changes, Difference, TwoRuns
from tfeval.evaluation import departures
from tfeval.evaluation.config import EvaluationConfig
from tfeval.evaluation.departures import Cell, Departure
from tfeval.evaluation.explain.rounds import Rounds, sampled
from tfeval.metrics import paired
from tfeval.preprocess import protocol
from tfeval.preprocess.protocol import Protocol
from tfeval.runs import same_model
from tfeval.runs.result_file import Result
from tfeval.utils.errors import UserError

# What a departure of its own makes of the first run.
_OTHERWISE = 'as the second'


def config_of(first: Result, config: EvaluationConfig) -> EvaluationConfig:
  """Returns how a run is evaluated once more.

  Args:
    first: its result.
    config: with the data, and all that no result tells.

  Raises:
    UserError: its protocol is not known, or it is of an adapted model.
  """
  if first.model.adaptation is not None:
    raise UserError(
      f'{first.model.name} was adapted to its images: give its plain run first, or '
      'leave `model` out'
    )
  if first.protocol.spec is None:
    raise UserError(
      f'the protocol of {first.model.name} is not known, as of imported predictions: '
      'leave `model` out, or explain its predictions'
    )
  return config.replace(
    protocol=first.protocol.spec,
    feed=first.model.feed,
    dtype=first.compute.dtype or config.model.dtype,
    input_size=first.model.input_size,
  )


def explain(rounds: Rounds, runs: TwoRuns, sample: int) -> Changes:
  """Evaluates the first run with each difference alone, and with all of them.

  Args:
    rounds: evaluates the model as the first run did, see `config_of`.
    runs: the two.
    sample: how many images are looked at, at most.

  Raises:
    UserError: the data are other images, or the model is another one.
  """
  first, second = runs.first.run.result, runs.second.run.result
  known = set(rounds.ids)
  common = runs.first.ids.to_pylist()
  there = [one for one in common if one in known]
  if len(there) < len(common):
    raise UserError(
      f'{len(common) - len(there):,} of {len(common):,} images of the runs are none of '
      f'the {len(known):,} of the dataset: give the one that they are of'
    )
  changes = {
    one.what: change
    for one in runs.found
    if (change := _of(one.what, first, second)) is not None
  }
  ids = sorted(sampled(there, sample))
  _check_model(rounds.answers([], ids)[()].run.result, first)
  together: Cell = tuple(changes.values())
  cells: list[Cell] = [(one,) for one in changes.values()]
  answers = rounds.answers([*cells, together], ids)
  listed = pa.array(ids)
  stored, wanted = (one.restricted(listed) for one in (runs.first, runs.second))
  again = int(np.count_nonzero(stored.predicted[:, 0] != answers[()].predicted[:, 0]))
  # Of the same weights a few answers are how they are computed.
  if again > max(3, len(ids) // 20):
    raise UserError(
      f'{again:,} of {len(ids):,} answers of {first.model.name} are others than its '
      'run has: give the model, weights and data of that run'
    )
  carried = _Carried(answers, wanted, runs, rounds.base)
  found = [
    carried.of(one, changes[one.what]) if one.what in changes else one
    for one in runs.found
  ]
  last = answers.get(together) if len(together) > 1 else answers.get(together[:1])
  of_all = None if last is None else 100 * carried.hits(last).difference
  return Changes(
    found,
    len(ids),
    of_all,
    _left(runs, answers[()], wanted) - (of_all or 0.0),
    0 if last is None else carried.agree(last),
    again,
    {cell[0].axis: why for cell, why in rounds.failed.items() if len(cell) == 1},
  )


def _check_model(found: Result, first: Result) -> None:
  """Checks that the model that was loaded is that of the first run."""
  if same_model.same_weights(found.model, first.model) is False:
    raise UserError(
      f'{found.model.name} has other weights than {first.model.name} of the first run: '
      'give the model and weights of that run'
    )


def _left(runs: TwoRuns, base: AlignedPredictions, wanted: AlignedPredictions) -> float:
  """Returns points between the base and what is wanted, by the labels of the latter."""
  relabelled = dataclasses.replace(base, labels=wanted.labels)
  of = runs.labels, runs.metric
  return 100 * (two_runs.rate(wanted, *of) - two_runs.rate(relabelled, *of))


class _Carried:
  """What changed answers carry in points, and how they agree with those wanted."""

  def __init__(
    self,
    answers: dict[Cell, AlignedPredictions],
    wanted: AlignedPredictions,
    runs: TwoRuns,
    base: Protocol,
  ):
    self._answers, self._wanted, self._runs = answers, wanted, runs
    self._base = base

  def of(self, one: Difference, change: Departure) -> Difference:
    changed = self._answers.get((change,))
    if changed is None:
      return one
    hits = self.hits(changed)
    known = departures.named(change, self._base)
    return dataclasses.replace(
      one,
      points=100 * hits.difference,
      hits=hits,
      agree=self.agree(changed),
      why='',
      departure=None if known is None else (known.axis, known.value),
    )

  def hits(self, changed: AlignedPredictions) -> paired.PairedHits:
    labels, metric = self._runs.labels, self._runs.metric
    base = self._answers[()]
    return paired.paired_hits(
      changed.hits(labels, metric), base.hits(labels, metric), base.counted(labels)
    )

  def agree(self, changed: AlignedPredictions) -> int:
    theirs = self._wanted.predicted[:, 0]
    return int(np.count_nonzero(changed.predicted[:, 0] == theirs))


def _of(what: str, first: Result, second: Result) -> Departure | None:
  """Returns what makes the first run do one thing as the second; None: nothing does."""
  if what in FIELDS:
    fields = protocol.comparable(second.protocol)
    return Departure(what, _OTHERWISE, {key: fields[key] for key in FIELDS[what]})
  if what == 'size' and first.protocol.size and second.protocol.size:
    return Departure(what, _OTHERWISE, size=second.protocol.size / first.protocol.size)
  if what == 'dtype' and second.compute.dtype is not None:
    return Departure(what, _OTHERWISE, dtype=second.compute.dtype)
  if what == 'normalisation':
    own = first.model.feed is not None and second.model.feed is None
    return Departure(
      what, _OTHERWISE, feed='' if own else second.model.feed or second.model.preprocess
    )
  return None
