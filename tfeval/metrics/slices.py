"""Accuracy in slices of the images: who is in one, against all that are not."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from tfeval.metrics import intervals, paired

# The code of an image that nothing is known of, and of one that is in no slice.
UNKNOWN, NONE = -1, -2


@dataclasses.dataclass(frozen=True)
class Slice:
  """Hits among the images of a slice, and among the rest of those that are known.

  Attributes:
    correct, count: images of the slice that were hit, and all of them; at least 1.
    rest_correct, rest_count: of all other images whose attribute is known.
    p: of Fisher's exact test that the slice and the rest are hit alike; None where
      there is no rest.
    p_holm: the same, adjusted by Holm's method for all slices of a run.
  """

  correct: int
  count: int
  rest_correct: int
  rest_count: int
  p: float | None = None
  p_holm: float | None = None

  @property
  def rate(self) -> float:
    """Accuracy of the slice, in [0, 1]."""
    return self.correct / self.count

  @property
  def interval(self) -> tuple[float, float]:
    """Its 95 % Wilson interval."""
    return intervals.wilson(self.correct, self.count)

  @property
  def difference(self) -> float | None:
    """Rate of the slice less that of the rest, in [-1, 1]; None without a rest."""
    if not self.rest_count:
      return None
    return self.rate - self.rest_correct / self.rest_count

  @property
  def difference_interval(self) -> tuple[float, float] | None:
    """Its 95 % interval by Newcombe's method 10; None without a rest."""
    if not self.rest_count:
      return None
    return intervals.newcombe(
      self.correct, self.count, self.rest_correct, self.rest_count
    )

  @property
  def error_ratio(self) -> float | None:
    """Errors in the slice over errors among all: (1 - rate) / (1 - rate of all).

    Source: Idrissi et al., "ImageNet-X: Understanding model mistakes with factor of
    variation annotations" (arXiv:2211.01866). None where all are hit.
    """
    count = self.count + self.rest_count
    errors = count - self.correct - self.rest_correct
    return (1 - self.rate) / (errors / count) if errors else None


def count_slices(codes: np.ndarray, slices: int, hit: np.ndarray) -> list[Slice | None]:
  """Counts the hits in each slice and in the rest.

  Args:
    codes: int [n], in which slice each image is: 0 to `slices` - 1, `NONE` or
      `UNKNOWN`; those of which nothing is known are in no rest either.
    slices: how many there are.
    hit: bool [n].

  Returns:
    A slice each, not yet adjusted; None where it has no image.
  """
  known = codes != UNKNOWN
  inside = codes >= 0
  counts = np.bincount(codes[inside], minlength=slices)
  correct = np.bincount(codes[inside & hit], minlength=slices)
  all_count = int(np.count_nonzero(known))
  all_correct = int(np.count_nonzero(known & hit))
  found: list[Slice | None] = []
  for right, count in zip(correct.tolist(), counts.tolist(), strict=True):
    if not count:
      found.append(None)
      continue
    cells = right, count, all_correct - right, all_count - count
    found.append(Slice(*cells, p=fisher(*cells) if cells[3] else None))
  return found


def adjusted(slices: Sequence[Slice]) -> list[Slice]:
  """Returns slices with p-values adjusted by Holm's method for all of them."""
  tested = [one.p for one in slices if one.p is not None]
  holm = iter(paired.holm(np.array(tested)).tolist())
  return [
    one if one.p is None else dataclasses.replace(one, p_holm=next(holm))
    for one in slices
  ]


def fisher(correct: int, count: int, other_correct: int, other_count: int) -> float:
  """Returns the p-value of Fisher's exact test of two proportions, two-sided.

  It holds for slices of any size, those of ten images too, where the normal
  approximation of the usual test of two proportions does not.

  Source: Fisher, "The design of experiments" (1935); two-sided as the sum of all
  tables with the same margins that are no more probable than the one that was seen.

  Args:
    correct, count: hits and images of one.
    other_correct, other_count: of the other.

  Returns:
    The p-value, in [0, 1].

  >>> round(fisher(8, 10, 1, 6), 4)
  0.035
  """
  # Here and not above: it takes as long to import as to score 50,000 images.
  from scipy.special import gammaln

  total, hits = count + other_count, correct + other_correct
  # The hits that may fall to the first, of so many hits among all.
  seen = np.arange(max(0, hits - other_count), min(count, hits) + 1)

  def log_choose(n: int, k: np.ndarray) -> np.ndarray:
    return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)

  log_p = log_choose(count, seen) + log_choose(other_count, hits - seen)
  p = np.exp(log_p - log_choose(total, np.array(hits)))
  # Equally probable tables differ by rounding.
  as_rare = p <= p[correct - seen[0]] * (1 + 1e-7)
  return float(min(1.0, p[as_rare].sum()))
