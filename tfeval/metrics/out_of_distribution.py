"""How well scores tell images of unknown classes from known ones.

Of ImageNet-O the score is the negative of the highest probability among its 200
classes, softmax over these alone; known images are validation images of these classes.

Source: Hendrycks et al., "Natural adversarial examples" (2021, arXiv:1907.07174),
section 4, and eval_many_models.py and calibration_tools.py of
hendrycks/natural-adv-examples.
"""

import dataclasses

import numpy as np

# The share of unknown images that is to be found, of the false positive rate.
RECALL = 0.95


@dataclasses.dataclass(frozen=True)
class Detection:
  """How well unknown images are found; they are the positive class.

  Attributes:
    aupr: average precision, in [0, 1]; by chance the share of unknown images.
    auroc: probability that an unknown image has the higher score, ties for a half.
    fpr: share of known images that reach the threshold which nearest to 95 % of the
      unknown reach.
    unknown, known: how many images there are.
  """

  aupr: float
  auroc: float
  fpr: float
  unknown: int
  known: int


def detection(unknown: np.ndarray, known: np.ndarray) -> Detection:
  """Measures how well scores tell unknown images from known ones.

  Average precision is the sum over distinct scores of precision times gain in recall,
  without interpolation. The false positive rate is that of its authors: of the distinct
  scores as thresholds, up to the highest that all unknown images reach, it takes the
  one whose recall is nearest to 95 %, above or below; of two that are as near, the
  lower one.

  Args:
    unknown: float [n], scores, higher for what is taken to be unknown.
    known: float [m].

  Raises:
    ValueError: one is empty, of another shape, or has NaN.

  >>> detection(np.array([-.2, -.5]), np.array([-.9, -.4]))
  Detection(aupr=0.8333333333333333, auroc=0.75, fpr=0.5, unknown=2, known=2)
  """
  sides = [np.asarray(side, np.float64) for side in (unknown, known)]
  if any(side.ndim != 1 or not len(side) or np.isnan(side).any() for side in sides):
    raise ValueError('scores of both sides are [n], at least one each, without NaN')
  scores = np.concatenate(sides)
  values, at = np.unique(scores, return_inverse=True)
  # Of each distinct score, the highest first.
  positives, negatives = (
    np.bincount(where, minlength=len(values))[::-1]
    for where in (at[: len(sides[0])], at[len(sides[0]) :])
  )
  found, wrong = np.cumsum(positives), np.cumsum(negatives)
  precision = found / (found + wrong)
  recall, false = found / found[-1], wrong / wrong[-1]
  # A known image is below all that were found before it, and ties with its equals.
  below = (negatives * (found - positives / 2)).sum()
  return Detection(
    float((precision * positives).sum() / found[-1]),
    float(below / (found[-1] * wrong[-1])),
    float(false[_nearest(recall)]),
    int(found[-1]),
    int(wrong[-1]),
  )


def _nearest(recall: np.ndarray) -> int:
  """Returns where recall is nearest to `RECALL`, of equals the last.

  Args:
    recall: float [k], not falling, 1 at the end.
  """
  distance = np.abs(recall[: np.argmax(recall == 1) + 1] - RECALL)
  return len(distance) - 1 - int(np.argmin(distance[::-1]))
