"""Which kind of change it is: one verdict, with what supports it.

The verdict rests on few tests, corrected together by Holm's method, so that of two sets
that do not differ one in twenty is called a shift at level 0.05, whatever else is
measured beside them:

- features: MMD² (of outputs, or of how sure the model is, where there are none),
- classes: χ² of what is predicted, which is off exactly where an estimate of class
  shares by the confusion matrix is,
- errors at equal features, where both sides have labels.

Which name a change gets is decided by two more: whether class shares have moved, and
whether these alone explain the features, as label shift says.
"""

import dataclasses

import numpy as np

from tfeval.analysis.shift.classes import ClassShares
from tfeval.analysis.shift.concept import AtEqualFeatures
from tfeval.analysis.shift.measures import Measure, Options, corrected
from tfeval.analysis.shift.side import LEAST_IMAGES, Geometry, Side
from tfeval.metrics.shift import outputs, reweighted

COVARIATE, PRIOR, CONCEPT = 'covariate shift', 'prior shift', 'concept shift'
UNNAMED, NONE = 'a shift, covariate or prior', 'none told apart'
ERRORS, CLASSES = 'errors', 'χ² of predicted classes'


@dataclasses.dataclass(frozen=True)
class Verdict:
  """What kind of change it is.

  Attributes:
    kind: one of the names above.
    tests: what it rests on, with p-values by Holm's method.
    explained: p-value that other class shares alone explain the features; None: not
      asked, or not known.
    reasons: what supports it, in words.
  """

  kind: str
  tests: list[Measure]
  explained: float | None
  reasons: list[str]


def decide(
  source: Side,
  target: Side,
  space: Geometry | None,
  measures: list[Measure],
  shares: ClassShares | None,
  concept: AtEqualFeatures | None,
  options: Options,
) -> Verdict:
  """Decides; see above.

  Args:
    source, target: of one model.
    space: their distances, if there are any.
    measures: of features and outputs.
    shares: of classes, if they could be estimated.
    concept: errors at equal features, if both sides have labels.
    options: of tests.
  """
  by_name = {one.name: one for one in measures}
  inputs = by_name['MMD²'] if space is not None else _confidence(source, target)
  tests = [one for one in (inputs, by_name[CLASSES]) if one is not None]
  if concept is not None and concept.p is not None:
    errors = Measure(ERRORS, 'equal features', concept.excess, concept.null, concept.p)
    tests.append(errors)
  tests = corrected(tests)
  told = {one.name for one in tests if told_apart(one, options.level)}
  moved = shares_moved(source, target, measures, options)
  explained = None
  if told - {ERRORS} and moved and shares is not None and space is not None:
    explained = _explained(space, shares, options)
  if ERRORS in told:
    kind = CONCEPT
  elif not told:
    kind = NONE
  elif not moved:
    kind = COVARIATE
  elif explained is None:
    kind = UNNAMED
  else:
    kind = PRIOR if explained > options.level else COVARIATE
  reasons = [_reason(one, options.level) for one in tests]
  if told and not moved and CLASSES in told:
    reasons.append('classes by labels: not told apart')
  if explained is not None:
    fits = 'explain' if explained > options.level else 'do not explain'
    reasons.append(f'other class shares alone {fits} the features (p {explained:.3f})')
  if concept is not None and concept.why is not None:
    reasons.append(f'errors at equal features: not compared, {concept.why}')
  return Verdict(kind, tests, explained, reasons)


def told_apart(measure: Measure, level: float) -> bool:
  """Whether a measure tells the sides apart, by its p-value by Holm's method."""
  return measure.p_holm is not None and measure.p_holm <= level


def shares_moved(
  source: Side, target: Side, measures: list[Measure], options: Options
) -> bool:
  """Whether class shares differ: those predicted, and where there are labels these too.

  Corrupted images may all be taken for the same few classes, and labels say otherwise.
  """
  predicted = next(one for one in measures if one.name == CLASSES)
  if predicted.p is None or predicted.p > options.level:
    return False
  first, second = (side.labels[side.labels >= 0] for side in (source, target))
  if min(len(first), len(second)) < LEAST_IMAGES:
    return True
  by_labels = outputs.of_classes(first, second, options.permutations, options.seed)
  return by_labels.p <= options.level


def _confidence(source: Side, target: Side) -> Measure | None:
  """How sure the model is, in place of features, by Bonferroni's method."""
  names = [name for name in source.scores if name in target.scores]
  if not names:
    return None
  found = [
    (name, outputs.kolmogorov_smirnov(source.scores[name], target.scores[name]))
    for name in names
  ]
  name, tested = min(found, key=lambda one: one[1].p)
  p = min(1.0, tested.p * len(names))
  return Measure(f'KS of {name}', 'outputs', tested.value, p=p)


def _explained(space: Geometry, shares: ClassShares, options: Options) -> float:
  _, p = reweighted.reweighted_test(
    space.kernel,
    len(space.first),
    np.exp(np.concatenate(shares.log_probs)),
    shares.weights,
    options.permutations,
    options.seed,
  )
  return p


def _reason(test: Measure, level: float) -> str:
  differ = 'differ' if told_apart(test, level) else 'not told apart'
  return f'{test.name}, {test.of}: {differ}'
