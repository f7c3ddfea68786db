"""Tests of what a classifier says of two samples (black box shift detection).

Source: Lipton, Wang and Smola, "Detecting and correcting for label shift with black box
predictors", ICML 2018; Rabanser, Günnemann and Lipton, "Failing loudly", NeurIPS 2019.
"""

import warnings
from typing import NamedTuple

import numpy as np

from tfeval.metrics.shift.permutations import p_value


class Tested(NamedTuple):
  """A statistic and its p-value."""

  value: float
  p: float


def kolmogorov_smirnov(first: np.ndarray, second: np.ndarray) -> Tested:
  """Returns the largest distance of two distribution functions, with its p-value.

  Args:
    first: float [n], no NaN.
    second: float [m].
  """
  from scipy import stats  # It takes a second.

  with warnings.catch_warnings():
    # That it takes the asymptotic p-value where the exact one cannot be computed.
    warnings.simplefilter('ignore', RuntimeWarning)
    found = stats.ks_2samp(first, second)
  return Tested(float(found.statistic), float(min(1.0, found.pvalue)))


def of_probabilities(first: np.ndarray, second: np.ndarray) -> Tested:
  """Returns the largest of the distances of each class's probability (BBSDs).

  Its p-value is Bonferroni's for all classes: with many of them it is weak, and one
  number for each image (see `confidence`) may tell more.

  Args:
    first: float [n, classes], probabilities.
    second: float [m, classes].
  """
  distances = _distances(first, second)
  # Of the same sizes the largest distance has the lowest p-value.
  worst = int(np.argmax(distances))
  value, p = kolmogorov_smirnov(first[:, worst], second[:, worst])
  return Tested(value, min(1.0, p * len(distances)))


def _distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
  """Returns float64 [classes], Kolmogorov-Smirnov's distance of each column."""
  n, both = len(first), np.concatenate([first, second])
  order = np.argsort(both, axis=0)
  of_first = np.cumsum(order < n, axis=0)
  of_second = np.arange(1, len(both) + 1)[:, None] - of_first
  apart = np.abs(of_first / n - of_second / len(second))
  # Of equal values both distribution functions jump at once.
  values = np.take_along_axis(both, order, axis=0)
  apart[:-1][values[:-1] == values[1:]] = 0
  return apart.max(axis=0)


def of_classes(
  first: np.ndarray, second: np.ndarray, permutations: int = 1000, seed: int = 0
) -> Tested:
  """Returns Pearson's χ² of the counts of predicted classes (BBSDh).

  Its p-value is of permutations, since many classes are predicted seldom: where images
  are shuffled, counts of the second sample are a draw from an urn with those of both.

  Args:
    first: int [n], predicted classes.
    second: int [m].
    permutations: how many draws, at least 1.
    seed: of NumPy's default generator.
  """
  _, inverse = np.unique(np.concatenate([first, second]), return_inverse=True)
  both = np.bincount(inverse)
  counts = np.bincount(inverse[len(first) :], minlength=len(both))
  expected = both * (len(second) / len(inverse))
  # The two rows of the table differ by the same, so that one says both.
  scale = len(inverse) / len(first)

  def statistic(drawn: np.ndarray) -> np.ndarray:
    return scale * np.sum((drawn - expected) ** 2 / expected, axis=-1)

  random = np.random.default_rng(seed)
  null = random.multivariate_hypergeometric(both, len(second), size=permutations)
  value = float(statistic(counts))
  return Tested(value, p_value(value, statistic(null)))


def confidence(log_probs: np.ndarray) -> dict[str, np.ndarray]:
  """Returns one number for each image that says how sure a classifier is.

  Args:
    log_probs: float [n, k], of the best k classes, best first, at least 2.

  Returns:
    `max probability` and `margin`, to the second class; float64 [n] in [0, 1].
  """
  probs = np.exp(log_probs[:, :2].astype(np.float64))
  return {'max probability': probs[:, 0], 'margin': probs[:, 0] - probs[:, 1]}


def negative_entropy(probs: np.ndarray) -> np.ndarray:
  """Returns Σ p log p, float64 [n], at most 0.

  Args:
    probs: float [n, classes], of all classes.
  """
  probs = probs.astype(np.float64)
  logs = np.log(probs, out=np.zeros_like(probs), where=probs > 0)
  return np.einsum('ij,ij->i', probs, logs)
