"""How often each class occurs in the target, estimated from its outputs alone."""

import dataclasses

import numpy as np

from tfeval.analysis.shift.measures import Options
from tfeval.analysis.shift.side import Side
from tfeval.metrics import bias_corrected, label_shift
from tfeval.metrics.stored_rows import NEEDS_OUTPUTS

# Labelled images of the source for each class, on average, that calibration takes.
LEAST_IN_CLASS = 10
_DRAWS = 200
# Of bootstrap draws, in log-likelihood of an image: of 2,000 images it is 0.02 of all,
# where the bounds are 1.9 apart from the estimate.
_TOLERANCE = 1e-5
# Draws begin near the estimate, each class with some of its share in the source: of
# nothing EM makes something in many steps only.
_NEAR = 0.9


class CannotEstimate(Exception):
  """Class shares cannot be estimated; the message is why."""


@dataclasses.dataclass(frozen=True, eq=False)
class ClassShares:
  """Class shares of both sides, of the k classes that have images in the source.

  Attributes:
    columns: int64 [k], the classes, as columns of `Side.log_probs`.
    source: float64 [k], by labels; sums to 1.
    target: float64 [k], by EM; sums to 1.
    low, high: float64 [k], bounds of the target's, by bootstrap.
    bbse: float64 [k], by BBSE with probabilities, not clipped; None: no inverse.
    log_probs: float64 [n, k] and [m, k], calibrated on the source.
  """

  columns: np.ndarray
  source: np.ndarray
  target: np.ndarray
  low: np.ndarray
  high: np.ndarray
  bbse: np.ndarray | None
  log_probs: tuple[np.ndarray, np.ndarray]

  @property
  def weights(self) -> np.ndarray:
    """float64 [k], shares of the target by those of the source."""
    return self.target / self.source


def estimate(source: Side, target: Side, options: Options) -> ClassShares:
  """Estimates class shares of the target; none of its labels are used.

  EM on probabilities that are calibrated on the source by a temperature and a bias of
  each class; bounds by drawing images of the target anew.

  Raises:
    CannotEstimate: not all outputs are stored, or the source has too few labels.
  """
  if source.log_probs is None or target.log_probs is None:
    raise CannotEstimate(NEEDS_OUTPUTS)
  there = source.labels >= 0
  if not there.any():
    raise CannotEstimate('needs one label for each image of the source')
  columns, labels = np.unique(source.labels[there], return_inverse=True)
  if len(columns) < 2:
    raise CannotEstimate('all images of the source are of one class')
  if (needed := LEAST_IN_CLASS * len(columns)) > len(labels):
    raise CannotEstimate(
      f'needs {LEAST_IN_CLASS} labelled images of each class in the source: '
      f'{needed:,} of {len(columns):,} classes, there are {len(labels):,}'
    )
  try:
    scale = bias_corrected.fit(source.log_probs[there][:, columns], labels)
  except ValueError as error:
    raise CannotEstimate(f'outputs cannot be calibrated: {error}') from error
  scaled = [
    bias_corrected.scaled(one.log_probs[:, columns], *scale)  # type: ignore[index]
    for one in (source, target)
  ]
  priors = np.bincount(labels) / len(labels)
  try:
    found = label_shift.em_priors(scaled[1], priors)
  except ValueError as error:
    raise CannotEstimate(str(error)) from error
  draws = label_shift.em_priors(
    scaled[1],
    priors,
    label_shift.bootstrap_weights(len(target), _DRAWS, options.seed),
    _TOLERANCE,
    start=_NEAR * found + (1 - _NEAR) * priors,
  )
  low, high = np.quantile(draws, [options.level / 2, 1 - options.level / 2], axis=0)
  try:
    weights = label_shift.bbse(np.exp(scaled[0][there]), labels, np.exp(scaled[1]))
  except ValueError:
    weights = None
  return ClassShares(
    columns,
    priors,
    found,
    low,
    high,
    None if weights is None else weights * priors,
    (scaled[0], scaled[1]),
  )
