"""What the metrics ask of their arrays, and how they say that it is not so."""

import numpy as np


def check_labels(labels: np.ndarray, n: int, classes: int) -> np.ndarray:
  """Returns labels as an array, one class for each of n examples.

  Args:
    labels: int [n], in [0, classes). Examples without a label are the caller's
      to leave out: what they would count as differs between metrics.
    n: how many examples there are.
    classes: how many classes there are.

  Raises:
    ValueError: another shape, not integers, or a label out of range.
  """
  labels = np.asarray(labels)
  if labels.shape != (n,) or labels.dtype.kind not in 'iu':
    raise ValueError(f'labels are {labels.dtype} {labels.shape}, expected int ({n},)')
  if n and not 0 <= labels.min() <= labels.max() < classes:
    raise ValueError(
      f'labels are from {labels.min()} to {labels.max()}, expected 0 to {classes - 1}'
    )
  return labels


def check_hits(hit: np.ndarray, n: int) -> np.ndarray:
  """Returns hits as an array: bool [n].

  Raises:
    ValueError: another shape or dtype.
  """
  hit = np.asarray(hit)
  if hit.shape != (n,) or hit.dtype != bool:
    raise ValueError(f'hits are {hit.dtype} {hit.shape}, expected bool ({n},)')
  return hit


def check_confidence(confidence: np.ndarray) -> np.ndarray:
  """Returns confidences as an array: float64 [n], in [0, 1].

  Raises:
    ValueError: another shape, NaN, or values out of range.
  """
  confidence = np.asarray(confidence, np.float64)
  if confidence.ndim != 1:
    raise ValueError(f'confidences have shape {confidence.shape}, expected (n,)')
  # Negated, so that NaN does not pass.
  if not ((confidence >= 0) & (confidence <= 1)).all():
    raise ValueError(
      f'confidences are from {confidence.min()} to {confidence.max()}, expected 0 to 1'
    )
  return confidence
