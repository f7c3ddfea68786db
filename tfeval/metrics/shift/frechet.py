"""The Fréchet distance of two samples, taken for normal ones."""

import numpy as np
from scipy import linalg

from tfeval.metrics.shift import two_sample


def frechet_distance(
  first: np.ndarray, second: np.ndarray, any_size: bool = False
) -> float:
  """Returns |μ₁ - μ₂|² + tr(C₁ + C₂ - 2 (C₁ C₂)^½), C with n - 1 below the line.

  Source: Heusel et al., "GANs trained by a two time-scale update rule converge to a
  local Nash equilibrium", NeurIPS 2017. With C₁ = A'A and C₂ = B'B the last trace is
  the sum of the singular values of AB': real and never negative, without a root of a
  matrix, and exact where C has no full rank.

  It is biased: the fewer images, the larger (Chong and Forsyth, "Effectively unbiased
  FID and inception score", CVPR 2020). So it compares nothing but distances of as many
  images; of as few as dimensions it says little more than how many there are.

  Args:
    first: float [n, d], finite, at least 2 rows.
    second: float [n, d].
    any_size: whether the second sample may have another size.

  Returns:
    The squared distance, at least 0.

  Raises:
    ValueError: other shapes, unequal n, or values that are not finite.
  """
  pooled = two_sample.check_samples(first, second)
  n, m = len(first), len(second)
  if min(n, m) < 2 or (n != m and not any_size):
    raise ValueError(
      f'samples have {n} and {m} images: the distance is biased by how many, expected '
      'as many of both, at least 2'
    )
  means = pooled[:n].mean(axis=0), pooled[n:].mean(axis=0)
  roots = [
    _root(sample - mean)
    for sample, mean in zip((pooled[:n], pooled[n:]), means, strict=True)
  ]
  traces = sum(float(np.square(root).sum()) for root in roots)
  common = float(linalg.svdvals(roots[0] @ roots[1].T).sum())
  apart = float(np.square(means[0] - means[1]).sum())
  return max(0.0, apart + traces - 2 * common)


def _root(centred: np.ndarray) -> np.ndarray:
  """Returns A with A'A the covariance, of at most d rows."""
  n, d = centred.shape
  scaled = centred / np.sqrt(n - 1)
  return scaled if n <= d else linalg.qr(scaled, mode='r', overwrite_a=True)[0][:d]
