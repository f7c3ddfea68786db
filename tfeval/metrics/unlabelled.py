"""How accurate a classifier may be on images without labels.

What is here are guesses from how sure a classifier is, or from how often several agree;
none of them is an accuracy, and all need a target of the same classes.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy import special


def average_confidence(confidence: np.ndarray) -> float:
  """Returns the mean of the highest probabilities.

  Source: Guo et al., "On calibration of modern neural networks", ICML 2017: calibrated,
  it is the accuracy.

  Args:
    confidence: float [n], in [0, 1], of the target.
  """
  return float(np.mean(confidence))


def difference_of_confidences(
  source_hits: np.ndarray, source: np.ndarray, target: np.ndarray
) -> float:
  """Returns the source's accuracy less how much confidence falls (DoC).

  Source: Guillory et al., "Predicting with confidence on unseen distributions", ICCV
  2021 (arXiv:2107.03315).

  Args:
    source_hits: bool [n].
    source: float [n], highest probabilities.
    target: float [m], the same of the target.

  Returns:
    A number that may lie outside [0, 1].
  """
  return float(np.mean(source_hits) - (np.mean(source) - np.mean(target)))


def threshold(source_hits: np.ndarray, scores: np.ndarray) -> float:
  """Returns the highest of as many of the lowest scores as are missed (ATC).

  Source: Garg et al., "Leveraging unlabeled data to predict out-of-distribution
  performance", ICLR 2022 (arXiv:2201.04234), and as their code has it: that score
  itself counts as reached. Scores are highest probabilities (ATC-MC) or negative
  entropies (ATC-NE).

  Args:
    source_hits: bool [n].
    scores: float [n], the higher the surer.

  Returns:
    A score of the source; -infinity where none is missed, whatever scores mean.

  >>> threshold(np.array([True, False, True]), np.array([.9, .3, .6]))
  0.3
  """
  missed = int(np.count_nonzero(~np.asarray(source_hits)))
  return float(np.sort(scores)[missed - 1]) if missed else -math.inf


def above_threshold(
  source_hits: np.ndarray, source: np.ndarray, target: np.ndarray
) -> float:
  """Returns the share of the target that reaches `threshold`, in [0, 1].

  Args:
    source_hits: bool [n].
    source: float [n], scores, the higher the surer.
    target: float [m], the same of the target.
  """
  return float(np.mean(target >= threshold(source_hits, source)))


def agreement(predicted: np.ndarray) -> np.ndarray:
  """Returns the share of images that two classifiers say the same of.

  Source: Jiang et al., "Assessing generalization of SGD via disagreement", ICLR 2022:
  of calibrated trainings that differ by their seed alone it is the accuracy (GDE).

  Args:
    predicted: int [models, n], first classes.

  Returns:
    float64 [models, models], 1 on the diagonal.
  """
  predicted = np.asarray(predicted)
  return np.array([np.mean(predicted == one, axis=1) for one in predicted])


def on_the_line(
  source_accuracies: Sequence[float], source: np.ndarray, target: np.ndarray
) -> np.ndarray:
  """Returns what agreements say of each classifier's accuracy (ALine-S).

  The line through the agreements of pairs, in probits, is taken for that of
  accuracies.

  Source: Baek et al., "Agreement-on-the-line", NeurIPS 2022.

  Args:
    source_accuracies: of each of at least 3 models, above 0 and below 1.
    source: float [models, models], agreements on the source.
    target: the same on the target.

  Returns:
    float64 [models], in [0, 1].

  Raises:
    ValueError: too few models, or rates that have no probit, or no line.
  """
  pairs = np.triu_indices(len(source), 1)
  rates = [np.asarray(source)[pairs], np.asarray(target)[pairs]]
  accuracies = np.asarray(source_accuracies, np.float64)
  if len(accuracies) < 3:
    raise ValueError(f'{len(accuracies)} models have no line: expected 3 or more')
  for one in (*rates, accuracies):
    if not ((one > 0) & (one < 1)).all():
      raise ValueError('rates of 0 or 1 have no probit')
  x, y = map(special.ndtri, rates)
  if np.ptp(x) == 0:
    raise ValueError('all models agree equally on the source: there is no line')
  slope, bias = np.polyfit(x, y, 1)
  return special.ndtr(slope * special.ndtri(accuracies) + bias)


def bootstrap(
  source_hits: np.ndarray,
  source: np.ndarray,
  target: np.ndarray,
  resamples: int = 500,
  seed: int = 0,
) -> dict[str, np.ndarray]:
  """Returns how the guesses spread where images are drawn anew, of both sides.

  Args:
    source_hits: bool [n].
    source: float [n], scores.
    target: float [m], scores.
    resamples: how often.
    seed: of NumPy's default generator.

  Returns:
    float64 [resamples] of `AC`, `DoC` and `ATC`, by name.
  """
  random = np.random.default_rng(seed)
  found: dict[str, list[float]] = {'AC': [], 'DoC': [], 'ATC': []}
  for _ in range(resamples):
    drawn = random.integers(len(source), size=len(source))
    hits, of_source = source_hits[drawn], source[drawn]
    of_target = target[random.integers(len(target), size=len(target))]
    found['AC'].append(average_confidence(of_target))
    found['DoC'].append(difference_of_confidences(hits, of_source, of_target))
    found['ATC'].append(above_threshold(hits, of_source, of_target))
  return {name: np.array(values) for name, values in found.items()}
