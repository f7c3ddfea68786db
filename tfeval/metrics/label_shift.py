"""How often each class occurs in images without labels, where only that has changed.

Label shift: images of a class look alike in source and target, and the share of each
class, its prior, is another.
"""

import numpy as np

from tfeval.metrics import checks

# A confusion matrix is as good as singular beyond: weights are noise then.
_WORST_CONDITION = 1e8


def bbse(said: np.ndarray, labels: np.ndarray, target: np.ndarray) -> np.ndarray:
  """Returns how much more often each class occurs in the target (BBSE).

  Solves C w = μ, with C the joint shares of what is said and what is right on the
  source, and μ the shares of what is said on the target.

  Source: Lipton, Wang and Smola, "Detecting and correcting for label shift with black
  box predictors", ICML 2018.

  Args:
    said: float [n, classes], probabilities of the source (soft), or 1 for the first
      class and 0 for others (hard).
    labels: int [n], of the source.
    target: float [m, classes], the same of the target.

  Returns:
    float64 [classes], priors of the target by those of the source, not clipped: an
    estimate may be negative.

  Raises:
    ValueError: shapes disagree, or C has no inverse: a class has no images, or is not
      told from others.
  """
  said, target = np.asarray(said, np.float64), np.asarray(target, np.float64)
  if said.ndim != 2 or target.ndim != 2 or said.shape[1] != target.shape[1]:
    raise ValueError(f'outputs have shapes {said.shape} and {target.shape}')
  classes = said.shape[1]
  labels = checks.check_labels(labels, len(said), classes)
  joint = said.T @ np.eye(classes)[labels] / len(said)
  if np.linalg.cond(joint) > _WORST_CONDITION:
    raise ValueError(
      'the confusion matrix has no inverse: a class has no images, or is not told from '
      'others'
    )
  return np.linalg.solve(joint, target.mean(axis=0))


def hard(predicted: np.ndarray, classes: int) -> np.ndarray:
  """Returns float64 [n, classes]: 1 for the predicted class, int [n], else 0."""
  return np.eye(classes)[predicted]


def em_priors(
  log_probs: np.ndarray,
  source_priors: np.ndarray,
  weights: np.ndarray | None = None,
  tolerance: float = 1e-12,
  most: int = 10_000,
) -> np.ndarray:
  """Returns the priors under which the target's outputs are most likely.

  Source: Saerens, Latinne and Decaestecker, "Adjusting the outputs of a classifier to
  new a priori probabilities", Neural Computation 14 (2002), equations 2.9. It needs
  calibrated probabilities (Alexandari, Kundaje and Shrikumar, ICML 2020).

  Args:
    log_probs: float [m, classes], of the target, by a classifier of the source.
    source_priors: float [classes], sum 1; a class of prior 0 keeps it.
    weights: float [m, draws], how often each image counts; None: once, one draw.
    tolerance: of the sum of absolute changes, where it ends.
    most: steps.

  Returns:
    float64 [classes], or [draws, classes] with weights; sum 1.
  """
  source_priors = np.asarray(source_priors, np.float64)
  ratios = np.exp(np.asarray(log_probs, np.float64))
  ratios = np.divide(
    ratios, source_priors, out=np.zeros_like(ratios), where=source_priors > 0
  )
  counts = np.ones((len(ratios), 1)) if weights is None else weights
  counts = counts / counts.sum(axis=0)
  found = np.tile(source_priors, (counts.shape[1], 1))
  for _ in range(most):
    likelihoods = ratios @ found.T
    # An image of classes without priors says nothing of the others.
    shares = np.divide(
      counts, likelihoods, out=np.zeros_like(counts), where=likelihoods > 0
    )
    updated = found * (shares.T @ ratios)
    updated /= updated.sum(axis=1, keepdims=True)
    change = np.abs(updated - found).sum(axis=1).max()
    found = updated
    if change < tolerance:
      break
  return found[0] if weights is None else found


def adjusted(log_probs: np.ndarray, weights: np.ndarray) -> np.ndarray:
  """Returns probabilities under other priors, float64 [n, classes], rows sum to 1.

  Args:
    log_probs: float [n, classes], by a classifier of the source.
    weights: float [classes], priors of the target by those of the source.
  """
  found = np.exp(np.asarray(log_probs, np.float64)) * weights
  total = found.sum(axis=1, keepdims=True)
  return np.divide(found, total, out=np.zeros_like(found), where=total > 0)


def bootstrap_weights(n: int, draws: int, seed: int = 0) -> np.ndarray:
  """Returns float64 [n, draws], how often each image is drawn with replacement."""
  random = np.random.default_rng(seed)
  return random.multinomial(n, np.full(n, 1 / n), size=draws).T.astype(np.float64)
