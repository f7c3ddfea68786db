"""How accurate the model may be on the target: guesses without its labels."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from tfeval.analysis.shift.measures import Options
from tfeval.analysis.shift.side import Side
from tfeval.metrics import bias_corrected, temperature, unlabelled
from tfeval.metrics.shift import outputs


@dataclasses.dataclass(frozen=True)
class Guess:
  """A guess.

  Attributes:
    name: of the method.
    value: in [0, 1] or near; None where it cannot be made.
    low, high: its spread where images are drawn anew; None where there is none.
    error: value less the share of hits, where the target has labels.
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
  truth = target.hits[target.labelled].mean() if target.labelled.any() else None
  hits = source.hits[there]
  spreads = {
    name: unlabelled.bootstrap(hits, one[there], other, seed=options.seed)
    for name, (one, other) in scores.items()
  }
  found = []

  def add(name: str, method: str, score: str, value: float) -> None:
    tail = options.level / 2
    low, high = np.quantile(spreads[score][method], [tail, 1 - tail])
    error = None if truth is None else float(value - truth)
    found.append(Guess(name, value, float(low), float(high), error))

  sure = scores['max probability']
  add(
    'average confidence',
    'AC',
    'max probability',
    unlabelled.average_confidence(sure[1]),
  )
  doc = unlabelled.difference_of_confidences(hits, sure[0][there], sure[1])
  add('DoC', 'DoC', 'max probability', doc)
  for name, score in (
    ('ATC-MC', 'max probability'),
    ('ATC-NE', 'negative entropy'),
  ):
    if score not in scores:
      why = 'needs all outputs, which --store_logits keeps'
      found.append(Guess(name, unavailable=why))
      continue
    one, other = scores[score]
    value = unlabelled.above_threshold(hits, one[there], other)
    add(name, 'ATC', score, value)
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
  source, target = (
    unlabelled.agreement(np.stack([pair[side].predicted for pair in models]))
    for side in (0, 1)
  )

  def made(name: str, value: float) -> Guess:
    return Guess(name, value, error=None if truth is None else value - truth)

  found = [
    made(f'agreement with {pair[1].name}', float(target[0, i]))
    for i, pair in enumerate(models)
    if i
  ]
  accuracies = [one.hits[one.labelled].mean() for one, _ in models]
  try:
    on_line = unlabelled.on_the_line(accuracies, source, target)
  except ValueError as error:
    return [*found, Guess('agreement on the line', unavailable=str(error))]
  return [*found, made('agreement on the line', float(on_line[0]))]
