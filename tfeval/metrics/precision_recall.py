"""Precision and recall of proposed labels, at every threshold."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Curve:
  """A point for each distinct score, highest first.

  Attributes:
    threshold: float64 [points]; a point proposes what scores this or more.
    correct: int64 [points], proposed and right.
    proposed: int64 [points].
    positives: what is right, proposed or not.
  """

  threshold: np.ndarray
  correct: np.ndarray
  proposed: np.ndarray
  positives: int

  @property
  def precision(self) -> np.ndarray:
    """correct / proposed, float64 [points] in [0, 1]."""
    return self.correct / self.proposed

  @property
  def recall(self) -> np.ndarray:
    """correct / positives, float64 [points] in [0, 1]."""
    return self.correct / self.positives


def curve(right: np.ndarray, scores: np.ndarray, positives: int) -> Curve:
  """Returns the precision-recall curve; equal scores are proposed together.

  Args:
    right: bool [n], whether a proposal is right.
    scores: float [n], no NaN.
    positives: how many would be right, at least those among the n.

  Raises:
    ValueError: shapes disagree, or there are fewer positives than right proposals.

  >>> found = curve(np.array([True, False, True]), np.array([.9, .5, .5]), 4)
  >>> found.precision.round(2).tolist(), found.recall.tolist()
  ([1.0, 0.67], [0.25, 0.5])
  """
  right, scores = np.asarray(right, bool), np.asarray(scores, np.float64)
  if right.shape != scores.shape or right.ndim != 1:
    raise ValueError(f'right has shape {right.shape}, scores {scores.shape}')
  if not right.sum() <= positives or positives < 1:
    raise ValueError(f'{positives} positives, but {right.sum()} proposals are right')
  order = np.argsort(-scores, kind='stable')
  ordered = scores[order]
  last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True)[: len(ordered)])
  return Curve(
    ordered[last],
    np.cumsum(right[order])[last].astype(np.int64),
    (last + 1).astype(np.int64),
    positives,
  )
