"""Whether confidence tells right predictions from wrong ones."""

import dataclasses

import numpy as np

from tfeval.metrics import checks


def auroc(confidence: np.ndarray, hit: np.ndarray) -> float:
  """Returns the area under the ROC curve of being right, by confidence.

  That is the probability that a hit is more confident than a miss, ties counting
  half: the Mann-Whitney U statistic over hits x misses (Hanley and McNeil, "The
  meaning and use of the area under a ROC curve", Radiology 143, 1982). Counted
  in integers, so the order of examples changes nothing.

  Args:
    confidence: float [n], in [0, 1], of the first class of each example.
    hit: bool [n], whether that class is right.

  Returns:
    The area, in [0, 1].

  Raises:
    ValueError: shapes disagree, values are NaN or out of range, or all examples
      are hits or all are misses.

  >>> auroc(np.array([.9, .6, .6, .1]), np.array([True, True, False, False]))
  0.875
  """
  _, hits, misses = _by_confidence(confidence, hit)
  pairs = int(hits.sum()) * int(misses.sum())
  if not pairs:
    raise ValueError('AUROC is not defined without both hits and misses')
  below = np.cumsum(misses) - misses
  return int((hits * (2 * below + misses)).sum()) / (2 * pairs)


@dataclasses.dataclass(frozen=True, eq=False)
class RiskCoverage:
  """The errors that remain if only confident predictions are accepted.

  A point for each distinct confidence, highest first: it accepts all examples
  that are at least as confident, so those with equal confidence come together
  and their order changes nothing.

  Attributes:
    threshold: float64 [m], descending.
    accepted: int64 [m], examples at or above the threshold; the last is all.
    errors: int64 [m], misses among those.
  """

  threshold: np.ndarray
  accepted: np.ndarray
  errors: np.ndarray

  @property
  def risk(self) -> np.ndarray:
    """float64 [m], the share of accepted examples that is wrong, in [0, 1]."""
    return self.errors / self.accepted

  @property
  def aurc(self) -> float:
    """The area under the curve, in [0, 1], lower is better.

    The mean over examples of the risk at their own confidence.

    Source: Geifman, Uziel and El-Yaniv, "Bias-reduced uncertainty estimation for
    deep neural classifiers" (arXiv:1805.08206), section 2.
    """
    return float(np.average(self.risk, weights=np.diff(self.accepted, prepend=0)))


def risk_coverage(confidence: np.ndarray, hit: np.ndarray) -> RiskCoverage:
  """Returns the risk-coverage curve of predictions.

  Source: El-Yaniv and Wiener, "On the foundations of noise-free selective
  classification", JMLR 11 (2010).

  Args:
    confidence: float [n], in [0, 1], of the first class of each example.
    hit: bool [n], whether that class is right.

  Raises:
    ValueError: shapes disagree, values are NaN or out of range, or n is 0.

  >>> curve = risk_coverage(np.array([.9, .5, .5]), np.array([True, True, False]))
  >>> curve.accepted, curve.errors
  (array([1, 3]), array([0, 1]))
  """
  values, hits, misses = _by_confidence(confidence, hit)
  if not len(values):
    raise ValueError('no examples, no risk-coverage curve')
  return RiskCoverage(
    values[::-1], np.cumsum((hits + misses)[::-1]), np.cumsum(misses[::-1])
  )


def _by_confidence(
  confidence: np.ndarray, hit: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Returns distinct confidences, ascending, and the hits and misses at each."""
  confidence = checks.check_confidence(confidence)
  hit = checks.check_hits(hit, len(confidence))
  values, index = np.unique(confidence, return_inverse=True)
  hits = np.bincount(index[hit], minlength=len(values))
  return values, hits, np.bincount(index, minlength=len(values)) - hits
