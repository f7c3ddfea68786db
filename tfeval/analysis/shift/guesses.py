"""How accurate the model may be on the target: guesses without its labels."""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Sequence

import numpy as np

from tfeval.analysis.shift.measures import Options
from tfeval.analysis.shift.side import Side
from tfeval.metrics import bias_corrected, temperature, unlabelled
from tfeval.metrics.shift import outputs
from tfeval.metrics.stored_rows import NEEDS_OUTPUTS


@dataclasses.dataclass(frozen=True)
class Guess:
  """A guess.

  Attributes:
    name: of the method.
    value: in [0, 1] or near; None where it cannot be made.
    low, high: its spread where images are drawn anew; None where there is none.
    error: the same of the labelled images alone less their share of hits, where the
      target has labels.
    unavailable: why there is none.
  """

  name: str
  value: float | None = None
  low: float | None = None
  high: float | None = None
  error: float | None = None
  unavailable: str | None = None


@dataclasses.dataclass(frozen=True)
class Guesses:
  """All guesses of one target.

  Attributes:
    source_hits: share of hits in the source, which they start from.
    temperature: by which probabilities were calibrated on the source; None: not.
    each: the guesses.
  """

  source_hits: float
  temperature: float | None
  each: list[Guess]


def guess(
  source: Side, target: Side, options: Options, beside: Sequence[tuple[Side, Side]] = ()
) -> Guesses | None:
  """Guesses the share of hits in the target, None without labels of the source.

  Args:
    source, target: of one model.
    options: level of the spread, and seed.
    beside: source and target of further models, of the same images.
  """
  there = source.labelled
  if not there.any() or not source.scores or not target.scores:
    return None
  fitted, scores = _scores(source, target)
  inside = target.labelled
  truth = float(target.hits[inside].mean()) if inside.any() else None
  hits = source.hits[there]
  spreads = {
    name: unlabelled.bootstrap(hits, one[there], other, seed=options.seed)
    for name, (one, other) in scores.items()
  }
  found = []

  def add(
    name: str, method: str, score: str, of: Callable[[np.ndarray], float]
  ) -> None:
    other = scores[score][1]
    tail = options.level / 2
    low, high = np.quantile(spreads[score][method], [tail, 1 - tail])
    error = None if truth is None else of(other[inside]) - truth
    found.append(Guess(name, of(other), float(low), float(high), error))

  sure = scores['max probability'][0][there]
  add('average confidence', 'AC', 'max probability', unlabelled.average_confidence)
  add(
    'DoC',
    'DoC',
    'max probability',
    lambda other: unlabelled.difference_of_confidences(hits, sure, other),
  )
  for name, score in (
    ('ATC-MC', 'max probability'),
    ('ATC-NE', 'negative entropy'),
  ):
    if score not in scores:
      why = NEEDS_OUTPUTS
      found.append(Guess(name, unavailable=why))
      continue
    first = scores[score][0][there]
    add(name, 'ATC', score, functools.partial(unlabelled.above_threshold, hits, first))
  found += _agreements([(source, target), *beside], truth) if beside else []
  return Guesses(float(hits.mean()), fitted, found)


def _scores(
  source: Side, target: Side
) -> tuple[float | None, dict[str, tuple[np.ndarray, np.ndarray]]]:
  """Returns the temperature, if any, and scores of both sides by name."""
  labels = source.labels >= 0
  plain = {
    name: (source.scores[name], target.scores[name])
    for name in source.scores
    if name in target.scores
  }
  if source.log_probs is None or target.log_probs is None or not labels.any():
    return None, plain
  try:
    right = source.labels[labels]
    fitted = temperature.fit_temperature(source.log_probs[labels], right)
  except ValueError:
    return None, plain
  probs = [
    np.exp(bias_corrected.scaled(one, fitted, np.zeros(one.shape[1])))
    for one in (source.log_probs, target.log_probs)
  ]
  return fitted, {
    'max probability': (probs[0].max(axis=1), probs[1].max(axis=1)),
    'negative entropy': (
      outputs.negative_entropy(probs[0]),
      outputs.negative_entropy(probs[1]),
    ),
  }


def _agreements(
  models: Sequence[tuple[Side, Side]], truth: float | None
) -> list[Guess]:
  """Returns what the agreement of several models says of the first one."""
  source = unlabelled.agreement(np.stack([one.predicted for one, _ in models]))
  predicted = np.stack([other.predicted for _, other in models])
  target = unlabelled.agreement(predicted)
  accuracies = [one.hits[one.labelled].mean() for one, _ in models]
  inside = None
  if truth is not None:
    inside = unlabelled.agreement(predicted[:, models[0][1].labelled])

  def made(name: str, of: Callable[[np.ndarray], float]) -> Guess:
    error = None
    if inside is not None and truth is not None:
      with contextlib.suppress(ValueError):  # So few have labels.
        error = of(inside) - truth
    return Guess(name, of(target), error=error)

  def with_model(i: int) -> Callable[[np.ndarray], float]:
    return lambda agree: float(agree[0, i])

  found = [
    made(f'agreement with {one.name}', with_model(i))
    for i, (_, one) in enumerate(models)
    if i
  ]
  try:
    on_line = made(
      'agreement on the line',
      lambda agree: float(unlabelled.on_the_line(accuracies, source, agree)[0]),
    )
  except ValueError as error:
    on_line = Guess('agreement on the line', unavailable=str(error))
  return [*found, on_line]
