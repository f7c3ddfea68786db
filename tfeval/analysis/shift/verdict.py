"""Which kind of change it is: one verdict, with what supports it.

The verdict rests on few tests, corrected together by Holm's method, so that of two sets
that do not differ one in twenty is called a shift at level 0.05, whatever else is
measured beside them:

- features: MMD² (outputs, or how sure the model is, where no features are stored),
- classes: χ² of what is predicted, which is off exactly where an estimate of class
  shares by the confusion matrix is,
- errors at equal features, where both sides have labels.

Which name a change gets is decided by a further one: whether other class shares alone
explain the features (Lipton et al. 2018 call that label shift).
"""

import dataclasses

import numpy as np

from tfeval.analysis.shift.classes import ClassShares
from tfeval.analysis.shift.concept import AtEqualFeatures
from tfeval.analysis.shift.measures import Measure, Options, corrected
from tfeval.analysis.shift.side import Geometry, Side
from tfeval.metrics import label_shift
from tfeval.metrics.shift import outputs, reweighted

COVARIATE, PRIOR, CONCEPT = 'covariate shift', 'prior shift', 'concept shift'
UNNAMED, NONE = 'a shift, covariate or prior', 'none told apart'


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
  tests = [one for one in (inputs, by_name['χ² of predicted classes']) if one]
  if concept is not None and concept.p is not None:
    tests.append(
      Measure('errors', 'equal features', concept.excess, concept.null, concept.p)
    )
  tests = corrected(tests)
  told = {one.name for one in tests if one.p_holm <= options.level}  # type: ignore
  classes_moved = 'χ² of predicted classes' in told
  explained = None
  if told - {'errors'} and shares is not None and space is not None:
    explained = _explained(space, shares, options)
  kind = _kind(told, classes_moved, explained, options.level)
  return Verdict(kind, tests, explained, _reasons(tests, explained, concept, options))


def _kind(
  told: set[str], classes_moved: bool, explained: float | None, level: float
) -> str:
  if 'errors' in told:
    return CONCEPT
  if not told:
    return NONE
  if not classes_moved:
    return COVARIATE
  if explained is None:
    return UNNAMED
  return PRIOR if explained > level else COVARIATE


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
  posteriors = np.exp(np.concatenate(shares.log_probs))
  return reweighted.reweighted_test(
    space.kernel,
    len(space.first),
    posteriors,
    shares.weights,
    options.permutations,
    options.seed,
  )[1]


def _reasons(
  tests: list[Measure],
  explained: float | None,
  concept: AtEqualFeatures | None,
  options: Options,
) -> list[str]:
  found = []
  for one in tests:
    differ = one.p_holm is not None and one.p_holm <= options.level
    found.append(f'{one.name} of {one.of}: {"differ" if differ else "not told apart"}')
  if explained is not None:
    fits = explained > options.level
    found.append(
      f'other class shares alone {"explain" if fits else "do not explain"} the features'
    )
  if concept is not None and concept.why is not None:
    found.append(f'errors at equal features are not compared: {concept.why}')
  return found


def shares_moved(measures: list[Measure], level: float) -> bool:
  """Whether predicted classes alone differ: then confidences are adjusted to shares."""
  one = next(one for one in measures if one.name == 'χ² of predicted classes')
  return one.p is not None and one.p <= level


def predicted_by(shares: ClassShares, side: int) -> np.ndarray:
  """Returns float64 [n, k], probabilities under the shares of a side, 0 or 1."""
  weights = shares.weights if side else np.ones(len(shares.columns))
  return label_shift.adjusted(shares.log_probs[side], weights)
