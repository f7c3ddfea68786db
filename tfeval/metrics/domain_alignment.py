"""Linear maps that bring features of a source and of a target closer; no labels."""

from typing import NamedTuple

import numpy as np


class Aligned(NamedTuple):
  """Features in one space, float64.

  Attributes:
    source: [n, k].
    target: [m, k].
  """

  source: np.ndarray
  target: np.ndarray


def by_source(source: np.ndarray, target: np.ndarray) -> Aligned:
  """Returns features less the means of the source, over its standard deviations.

  Nothing is aligned: it is a scale. Of a feature that is constant it is 1.

  Args:
    source: float [n, d], finite, n at least 2.
    target: float [m, d], the same of the target.

  Raises:
    ValueError: other shapes, or values that are not finite.
  """
  source, target = _checked(source, target)
  mean, scale = source.mean(0), _scale(source)
  return Aligned((source - mean) / scale, (target - mean) / scale)


def standardised(source: np.ndarray, target: np.ndarray) -> Aligned:
  """Returns features with mean 0 and standard deviation 1 on each side.

  What CORAL and subspace alignment begin with. Arguments as for `by_source`.

  Raises:
    ValueError: as `by_source`.
  """
  source, target = _checked(source, target)
  return Aligned(*((one - one.mean(0)) / _scale(one) for one in (source, target)))


def coral(source: np.ndarray, target: np.ndarray) -> Aligned:
  """Returns features of which the source was given the covariance of the target.

  X_s C_s^(-1/2) C_t^(1/2), where C = cov(X) + I, of features standardised on each side.

  Source: Sun, Feng and Saenko, "Return of frustratingly easy domain adaptation", AAAI
  2016, algorithm 1. Arguments as for `by_source`.

  Raises:
    ValueError: as `by_source`.
  """
  source, target = standardised(source, target)
  ridge = np.eye(source.shape[1])
  whitened = source @ _power(_covariance(source) + ridge, -0.5)
  return Aligned(whitened @ _power(_covariance(target) + ridge, 0.5), target)


def subspace(source: np.ndarray, target: np.ndarray, dimension: int) -> Aligned:
  """Returns features in the principal subspaces of both sides, aligned.

  X_s P_s P_s' P_t and X_t P_t, where P are the first principal components, of features
  standardised on each side.

  Source: Fernando, Habrard, Sebban and Tuytelaars, "Unsupervised visual domain
  adaptation using subspace alignment", ICCV 2013, algorithm 1.

  Args:
    source, target: as for `by_source`.
    dimension: how many components, at least 1; at most d, n - 1 and m - 1.

  Raises:
    ValueError: as `by_source`, or another number of components.
  """
  source, target = standardised(source, target)
  most = min(source.shape[1], len(source) - 1, len(target) - 1)
  if not 1 <= dimension <= most:
    raise ValueError(f'{dimension} components, expected 1 to {most}')
  of_source, of_target = (_components(one, dimension) for one in (source, target))
  return Aligned(source @ (of_source @ (of_source.T @ of_target)), target @ of_target)


def components_for(source: np.ndarray, share: float) -> int:
  """Returns how many components have a share of the variance of standardised features.

  Args:
    source: float [n, d], n at least 2.
    share: above 0, at most 1.
  """
  source, _ = standardised(source, source)
  variances = np.maximum(np.linalg.eigvalsh(_covariance(source))[::-1], 0)
  shares = np.cumsum(variances) / variances.sum()
  # Rounding may keep the last one below 1.
  return min(int(np.searchsorted(shares, share)) + 1, len(shares))


def coral_loss(source: np.ndarray, target: np.ndarray) -> float:
  """Returns how far apart the covariances are: |C_s - C_t|^2 / (4 d^2), Frobenius.

  Source: Sun and Saenko, "Deep CORAL", ECCV 2016 workshops, equation 1, with
  covariances that divide by n - 1. Arguments as for `by_source`.

  Raises:
    ValueError: as `by_source`.
  """
  source, target = _checked(source, target)
  difference = _covariance(source) - _covariance(target)
  return float((difference**2).sum() / (4 * source.shape[1] ** 2))


def _checked(source: np.ndarray, target: np.ndarray) -> Aligned:
  found = Aligned(np.asarray(source, np.float64), np.asarray(target, np.float64))
  for one in found:
    if one.ndim != 2 or len(one) < 2 or one.shape[1] != found.source.shape[-1]:
      raise ValueError(
        f'features have shapes {found.source.shape} and {found.target.shape}, expected '
        '(n, d) and (m, d), n and m at least 2'
      )
    if not np.isfinite(one).all():
      raise ValueError('features are not finite')
  return found


def _scale(values: np.ndarray) -> np.ndarray:
  scale = values.std(0)
  # Where all are equal, rounding of their mean may leave a little.
  return np.where(values.max(0) == values.min(0), 1, scale)


def _covariance(values: np.ndarray) -> np.ndarray:
  return np.atleast_2d(np.cov(values, rowvar=False))


def _power(matrix: np.ndarray, exponent: float) -> np.ndarray:
  """Returns a power of a symmetric matrix whose eigenvalues are positive."""
  values, vectors = np.linalg.eigh(matrix)
  return (vectors * values**exponent) @ vectors.T


def _components(values: np.ndarray, count: int) -> np.ndarray:
  """Returns the first principal components, [d, count], of centred values."""
  return np.linalg.eigh(_covariance(values))[1][:, ::-1][:, :count]
