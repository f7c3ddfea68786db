"""The Fréchet distance of two samples, taken for normal ones."""

import numpy as np
from scipy import linalg

from tfeval.metrics.shift import two_sample


def frechet_distance(
  first: np.ndarray, second: np.ndarray, any_size: bool = False
) -> float:
  """Returns |μ₁ - μ₂|² + tr(C₁ + C₂ - 2 (C₁ C₂)^½), C with n - 1 below the line.

  Source: Heusel et al., "GANs trained by a two time-scale update rule converge to a
  local Nash equilibrium", NeurIPS 2017. The last trace is that of the roots of the
  eigenvalues of C₁^½ C₂ C₁^½, which is symmetric: real and never negative. With
  C₁ = A'A, C₂ = B'B and fewer images than dimensions AB'BA' has the same ones.

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
  a = (pooled[:n] - means[0]) / np.sqrt(n - 1)
  b = (pooled[n:] - means[1]) / np.sqrt(m - 1)
  product = b @ (a.T if n <= a.shape[1] else _root(a.T @ a))
  common = np.sqrt(np.maximum(np.linalg.eigvalsh(product.T @ product), 0)).sum()
  apart = np.square(means[0] - means[1]).sum()
  total = apart + np.square(a).sum() + np.square(b).sum() - 2 * common
  return max(0.0, float(total))


def _root(covariance: np.ndarray) -> np.ndarray:
  """Returns R with RR' the covariance: R'CR has the eigenvalues of C₁^½ C C₁^½."""
  values, vectors = linalg.eigh(covariance)
  return vectors * np.sqrt(np.maximum(values, 0))
