"""How far confidence can be believed: NLL, Brier score, calibration errors."""

import dataclasses

import numpy as np

from tfeval.metrics import checks

# The softmax of a model may come out at 1 + 2**-23.
_ROUNDING = 1e-6
# Half-precision outputs of 1000 classes sum to 1 only about.
_SUM_TOLERANCE = 1e-2


@dataclasses.dataclass(frozen=True)
class Mean:
  """A mean of float64; sums over disjoint sets of examples add up.

  Counts are exact. The order of adding changes a total in its last digits:
  equal parts added in the same order give the same bits, others agree to about
  1e-13.

  Attributes:
    total: the sum.
    count: how many were summed.

  >>> (Mean(1.5, 2) + Mean(0.5, 2)).value
  0.5
  """

  total: float
  count: int

  def __add__(self, other: 'Mean') -> 'Mean':
    return Mean(self.total + other.total, self.count + other.count)

  @property
  def value(self) -> float | None:
    """The mean, None of nothing."""
    return self.total / self.count if self.count else None


def nll(label_log_prob: np.ndarray) -> Mean:
  """Returns the mean negative log likelihood of the labels, in nats.

  Args:
    label_log_prob: float [n], log probability of each label, at most 0; -inf for
      a probability of 0 makes the mean infinite.

  Raises:
    ValueError: another shape, NaN (an example without a label), or above 0.
  """
  return Mean(-float(_log_probs(label_log_prob).sum()), len(label_log_prob))


def brier(probabilities: np.ndarray, labels: np.ndarray) -> Mean:
  """Returns the Brier score: mean squared distance to the one-hot label, in [0, 2].

  Source: Brier, "Verification of forecasts expressed in terms of probability",
  Monthly Weather Review 78 (1950): over all classes, not halved. It needs the
  probabilities of all classes, so a few ranked ones do not give it.

  Args:
    probabilities: float [n, classes], each row sums to 1.
    labels: int [n], in [0, classes).

  Raises:
    ValueError: shapes disagree, a label is out of range, or rows are not
      probabilities.

  >>> brier(np.array([[.75, .25], [.5, .5]]), np.array([0, 1])).value
  0.3125
  """
  p = np.asarray(probabilities)
  if p.ndim != 2:
    raise ValueError(f'probabilities have shape {p.shape}, expected (n, classes)')
  labels = checks.check_labels(labels, *p.shape)
  sums = p.sum(axis=1, dtype=np.float64)
  # Negated, so that NaN does not pass.
  if not ((p >= 0).all() and (np.abs(sums - 1) <= _SUM_TOLERANCE).all()):
    raise ValueError('probabilities are negative, NaN, or do not sum to 1')
  of_label = p[np.arange(len(p)), labels].astype(np.float64)
  squares = np.einsum('ij,ij->i', p, p, dtype=np.float64)
  return Mean(float((1 - 2 * of_label + squares).sum()), len(p))


def confidence(log_probs: np.ndarray) -> np.ndarray:
  """Returns the confidence of predictions out of their log probabilities.

  Args:
    log_probs: float [n], of the first class of each example, at most 0.

  Returns:
    float64 [n], in [0, 1].

  Raises:
    ValueError: another shape, NaN, or above 0.
  """
  return np.exp(_log_probs(log_probs))


def _log_probs(log_probs: np.ndarray) -> np.ndarray:
  """Returns log probabilities as float64 [n], rounding above 0 cut off."""
  log_probs = np.asarray(log_probs, np.float64)
  if log_probs.ndim != 1:
    raise ValueError(f'log probabilities have shape {log_probs.shape}, expected (n,)')
  # Negated, so that NaN does not pass.
  if not (log_probs <= _ROUNDING).all():
    raise ValueError(
      f'log probabilities are up to {log_probs.max()}, expected at most 0'
    )
  return np.minimum(log_probs, 0)


@dataclasses.dataclass(frozen=True, eq=False)
class ReliabilityBins:
  """Examples by confidence; bins of disjoint sets of examples add up.

  Bin b holds confidences in (edges[b], edges[b + 1]], the first one 0 too. For
  the order of summing `confidence` see `Mean`; counts are exact.

  Attributes:
    edges: float64 [bins + 1], from 0 to 1.
    count: int64 [bins], examples.
    correct: int64 [bins], hits.
    confidence: float64 [bins], sums of confidence.
  """

  edges: np.ndarray
  count: np.ndarray
  correct: np.ndarray
  confidence: np.ndarray

  def __add__(self, other: 'ReliabilityBins') -> 'ReliabilityBins':
    """Adds bins with the same edges.

    Raises:
      ValueError: the edges differ, as those of equal mass do.
    """
    if not np.array_equal(self.edges, other.edges):
      raise ValueError('bins with different edges do not add up')
    return ReliabilityBins(
      self.edges,
      self.count + other.count,
      self.correct + other.correct,
      self.confidence + other.confidence,
    )

  @property
  def ece(self) -> float | None:
    """The expected calibration error (L1), in [0, 1]; None without examples.

    The mean over examples of |accuracy - mean confidence| of their bin. It is
    biased upwards: a perfectly calibrated model does not get 0.

    Source: Guo et al., "On calibration of modern neural networks"
    (arXiv:1706.04599), equation 3.
    """
    n = int(self.count.sum())
    return float(np.abs(self.correct - self.confidence).sum()) / n if n else None

  @property
  def debiased_l2(self) -> float | None:
    """The debiased calibration error (L2), in [0, 1]; None without examples.

    The root of the mean over examples of (accuracy - mean confidence)^2 of their
    bin, less the variance that accuracy has by chance. L2 is not L1: without
    that correction it is at least the ECE of the same bins. The square may come
    out negative; then this is 0. A bin of one example has no estimate of the
    variance and adds 0.

    Source: Kumar et al., "Verified uncertainty calibration" (arXiv:1909.10155),
    definition 5.1, and for the two edge cases its library,
    `uncertainty-calibration`.
    """
    n = int(self.count.sum())
    if not n:
      return None
    enough = self.count > 1
    count = self.count[enough]
    accuracy = self.correct[enough] / count
    bias = accuracy * (1 - accuracy) / (count - 1)
    squared = (accuracy - self.confidence[enough] / count) ** 2 - bias
    return max(0.0, float((count * squared).sum()) / n) ** 0.5


def equal_width_bins(
  confidence: np.ndarray, hit: np.ndarray, bins: int = 15
) -> ReliabilityBins:
  """Sorts examples into bins of equal width.

  Source: Guo et al. (arXiv:1706.04599), with their 15 bins. The edges are those
  of scikit-learn's `calibration_curve`, in float64.

  Args:
    confidence: float [n], in [0, 1], of the first class of each example.
    hit: bool [n], whether that class is right.
    bins: how many, at least 1.

  Raises:
    ValueError: shapes disagree, or values are NaN or out of range.

  >>> halves = equal_width_bins(np.array([.5, .75]), np.array([True, False]), bins=2)
  >>> halves.count, halves.ece
  (array([1, 1]), 0.625)
  """
  confidence = checks.check_confidence(confidence)
  if bins < 1:
    raise ValueError(f'bins={bins} is not at least 1')
  return _binned(confidence, hit, np.linspace(0, 1, bins + 1))


def equal_mass_bins(
  confidence: np.ndarray, hit: np.ndarray, bins: int = 15
) -> ReliabilityBins:
  """Sorts examples into bins with equally many of them.

  The upper edge of bin b is the smallest confidence that (b + 1) / bins of the
  examples do not exceed, so sizes differ by at most 1 if all confidences differ.
  Equal ones share a bin, so that the order of examples does not matter. The
  edges depend on all examples: bins of parts do not add up.

  Source: Nguyen and O'Connor, "Posterior calibration and exploratory analysis
  for natural language processing models" (arXiv:1508.05154); Nixon et al.,
  "Measuring calibration in deep learning" (arXiv:1904.01685).

  Args:
    confidence: float [n], in [0, 1], of the first class of each example.
    hit: bool [n], whether that class is right.
    bins: how many, in [1, n].

  Raises:
    ValueError: shapes disagree, values are NaN or out of range, or examples are
      fewer than bins.
  """
  confidence = checks.check_confidence(confidence)
  n = len(confidence)
  if not 1 <= bins <= n:
    raise ValueError(f'bins={bins} is not in [1, {n}], the number of examples')
  last = -(-np.arange(1, bins) * n // bins) - 1
  return _binned(confidence, hit, np.r_[0, np.sort(confidence)[last], 1])


def _binned(
  confidence: np.ndarray, hit: np.ndarray, edges: np.ndarray
) -> ReliabilityBins:
  hit = checks.check_hits(hit, len(confidence))
  bins = len(edges) - 1
  index = np.searchsorted(edges[1:-1], confidence, side='left')
  return ReliabilityBins(
    edges,
    np.bincount(index, minlength=bins),
    np.bincount(index[hit], minlength=bins),
    np.bincount(index, weights=confidence, minlength=bins),
  )
