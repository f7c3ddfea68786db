"""Whether equal images are judged otherwise: errors at equal features."""

import dataclasses

import numpy as np

from tfeval.analysis.shift.classes import ClassShares
from tfeval.analysis.shift.measures import Options, splits
from tfeval.analysis.shift.side import Geometry, Side
from tfeval.metrics import label_shift
from tfeval.metrics.shift import matched

# Pairs are no farther apart than this quantile of those between halves of the source.
_ALIKE = 0.4
# Pairs whose features differ with this p-value are not alike: of so many swaps.
_UNLIKE, _SWAPS = 0.005, 1999
LEAST_PAIRS = 20


@dataclasses.dataclass(frozen=True)
class AtEqualFeatures:
  """Errors of pairs of images that are alike, one of each side.

  Attributes:
    pairs: how many.
    source, target: shares of errors, in [0, 1].
    excess: how many more errors the target has (than confidence tells, where class
      shares have moved), in [-2, 2].
    null: the same between two halves of the source.
    p: that as much comes by chance; None where it cannot be told.
    why: why not.
  """

  pairs: int
  source: float | None = None
  target: float | None = None
  excess: float | None = None
  null: float | None = None
  p: float | None = None
  why: str | None = None


def at_equal_features(
  source: Side,
  target: Side,
  space: Geometry,
  shares: ClassShares | None,
  moved: bool,
  options: Options,
) -> AtEqualFeatures:
  """Compares errors of mutual nearest neighbours.

  Where class shares have moved, an error counts as much as it comes unexpected: less
  what the calibrated confidence says under the shares of its side, since other shares
  alone change which class is likely at the same features.

  Args:
    source, target: of one model.
    space: distances of their images.
    shares: of classes, if they could be estimated.
    moved: whether the target's differ from the source's.
    options: of tests.
  """
  n = len(source)
  residuals = _residuals(source, target, shares if moved else None)
  reach, null = _between_halves(source, space, residuals[0], options.seed)
  between = space.distances[:n, n:]
  between = np.where(source.labelled[:, None] & target.labelled, between, np.inf)
  first, second = matched.pairs(between, reach)
  if len(first) < LEAST_PAIRS:
    return AtEqualFeatures(
      len(first),
      why=f'{len(first)} pairs of images are alike, expected {LEAST_PAIRS} or more',
    )
  errors = float(np.mean(~source.hits[first])), float(np.mean(~target.hits[second]))
  excess, p = matched.mean_difference_test(
    residuals[1][second] - residuals[0][first], options.permutations, options.seed
  )
  ratios = None
  if moved and shares is not None:
    ratios = np.exp(np.concatenate(shares.log_probs)) @ shares.weights
  balance = matched.balance_p(
    space.kernel, n, (first, second), ratios, _SWAPS, options.seed
  )
  if balance <= _UNLIKE:
    return AtEqualFeatures(
      len(first),
      *errors,
      excess,
      null,
      why='even the pairs that are most alike have other features',
    )
  return AtEqualFeatures(len(first), *errors, excess, null, p)


def _residuals(
  source: Side, target: Side, shares: ClassShares | None
) -> tuple[np.ndarray, np.ndarray]:
  """Returns errors, less their probability where shares are given: float64 [n], [m]."""
  found = []
  for number, side in enumerate((source, target)):
    chance = np.zeros(len(side))
    if shares is not None:
      weights = shares.weights if number else np.ones(len(shares.columns))
      probs = label_shift.adjusted(shares.log_probs[number], weights)
      at = np.minimum(np.searchsorted(shares.columns, side.predicted), len(weights) - 1)
      known = shares.columns[at] == side.predicted
      chance = 1 - np.where(known, probs[np.arange(len(side)), at], 0)
    found.append((~side.hits).astype(np.float64) - chance)
  return found[0], found[1]


def _between_halves(
  source: Side, space: Geometry, residuals: np.ndarray, seed: int
) -> tuple[float, float]:
  """Returns how far alike images are apart in the source, and their excess."""
  reach, excess = [], []
  there = np.flatnonzero(source.labelled)
  for a, b in splits(len(there), seed):
    a, b = there[a], there[b]
    between = space.distances[np.ix_(a, b)]
    first, second = matched.pairs(between)
    reach.append(np.quantile(between[first, second], _ALIKE))
    excess.append(np.mean(residuals[b[second]] - residuals[a[first]]))
  return float(np.mean(reach)), float(np.mean(excess))
