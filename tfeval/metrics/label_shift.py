"""How often each class occurs in images without labels, where only that has changed.

Label shift: images of a class look alike in source and target, and the share of each
class, its prior, is another.
"""

import logging

import numpy as np

from tfeval.metrics import checks

_LOG = logging.getLogger('tfeval')
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
  tolerance: float = 1e-10,
  most: int = 10_000,
  start: np.ndarray | None = None,
) -> np.ndarray:
  """Returns the priors under which the target's outputs are most likely.

  Source: Saerens, Latinne and Decaestecker, "Adjusting the outputs of a classifier to
  new a priori probabilities", Neural Computation 14 (2002), equations 2.9. It needs
  calibrated probabilities (Alexandari, Kundaje and Shrikumar, ICML 2020). Steps are
  extrapolated, see `_farther`. The likelihood is concave, so that its derivative says
  how far it is from the greatest (Lindsay, Mixture Models, 1995, 5.2): that ends it.

  Args:
    log_probs: float [m, classes], of the target, by a classifier of the source.
    source_priors: float [classes], sum 1; a class of prior 0 keeps it.
    weights: float [m, draws], how often each image counts; None: once, one draw.
    tolerance: how far the mean log-likelihood of an image may be from the greatest.
    most: steps; where they do not suffice it is logged.
    start: float [classes], where it begins, sum 1, positive where `source_priors` are;
      None: with these.

  Returns:
    float64 [classes], or [draws, classes] with weights; sum 1.

  Raises:
    ValueError: no image is possible under any class that has a prior.
  """
  source_priors = np.asarray(source_priors, np.float64)
  ratios = np.exp(np.asarray(log_probs, np.float64))
  ratios = np.divide(
    ratios, source_priors, out=np.zeros_like(ratios), where=source_priors > 0
  )
  counts = np.ones((len(ratios), 1)) if weights is None else weights
  # An image of classes without priors says nothing of the others.
  says = ratios.any(axis=1)
  ratios, counts = ratios[says], counts[says]
  if not len(ratios) or not counts.any(axis=0).all():
    raise ValueError('no image is possible under any class that has a prior')
  counts = counts / counts.sum(axis=0)
  begun = source_priors if start is None else start
  found = np.tile(begun, (counts.shape[1], 1))
  left = np.arange(len(found))
  for _ in range(0, most, 2):
    first, gap = _em_step(ratios, counts[:, left], found[left])
    second, _ = _em_step(ratios, counts[:, left], first)
    farther = _farther(found[left], first, second)
    worse = _likelihood(ratios, counts[:, left], farther) < _likelihood(
      ratios, counts[:, left], second
    )
    found[left] = np.where(worse[:, None], second, farther)
    left = left[gap > tolerance]
    if not len(left):
      break
  else:
    _LOG.warning(
      f'class shares were not found in {most:,} steps: these are {gap.max():.1g} from '
      'the greatest log-likelihood of an image, which may be another'
    )
  return found[0] if weights is None else found


def _em_step(
  ratios: np.ndarray, counts: np.ndarray, priors: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Returns priors after a step, and how far the likelihood of those before it is off.

  Args:
    ratios: float64 [m, classes], probabilities by the source's priors.
    counts: float64 [m, draws], sum 1 in each draw.
    priors: float64 [draws, classes].

  Returns:
    float64 [draws, classes], and [draws], a bound.
  """
  likelihoods = ratios @ priors.T
  shares = np.divide(
    counts, likelihoods, out=np.zeros_like(counts), where=likelihoods > 0
  )
  slopes = shares.T @ ratios
  updated = priors * slopes
  return updated / updated.sum(axis=1, keepdims=True), slopes.max(axis=1) - 1


def _farther(start: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
  """Returns where two steps of EM lead to, float64 [draws, classes].

  Source: Varadhan and Roland, "Simple and globally convergent methods for accelerating
  the convergence of any EM algorithm", Scandinavian Journal of Statistics 35 (2008),
  SQUAREM with the step length S3. Shares that it makes negative fall to a tenth.
  """
  once = first - start
  bend = second - first - once
  size = np.square(bend).sum(axis=1)
  length = np.sqrt(np.square(once).sum(axis=1) / np.where(size > 0, size, 1))
  length = np.where(size > 0, np.maximum(length, 1), 1)[:, None]
  found = start + 2 * length * once + length**2 * bend
  found = np.where(found > 0, found, 0.1 * second)
  return found / found.sum(axis=1, keepdims=True)


def _likelihood(
  ratios: np.ndarray, counts: np.ndarray, priors: np.ndarray
) -> np.ndarray:
  """Returns the mean log-likelihood of an image, float64 [draws]."""
  with np.errstate(divide='ignore'):
    logs = np.log(ratios @ priors.T)
  return np.einsum('md,md->d', counts, np.maximum(logs, np.log(np.finfo(float).tiny)))


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
