"""Temperature scaling with a bias of each class."""

import numpy as np
from scipy import optimize, special

from tfeval.metrics import checks


def fit(logits: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
  """Returns T and b for which softmax(logits / T + b) has the lowest NLL (BCTS).

  Source: Alexandari, Kundaje and Shrikumar, "Maximum likelihood with bias-corrected
  calibration is hard to beat at label shift adaptation", ICML 2020. The NLL is convex
  in 1 / T and b. Its minimum gives each class the mean probability that it occurs
  with, which label shift is estimated from.

  Args:
    logits: float [n, classes], finite; logarithms of probabilities will do.
    labels: int [n]; each class has to occur.

  Returns:
    T > 0, and float64 [classes] with mean 0.

  Raises:
    ValueError: shapes disagree, a class does not occur, or there is no minimum.
  """
  logits = np.asarray(logits, np.float64)
  if logits.ndim != 2 or not np.isfinite(logits).all():
    raise ValueError(f'logits have shape {logits.shape}, expected finite (n, classes)')
  n, classes = logits.shape
  labels = checks.check_labels(labels, n, classes)
  if len(np.unique(labels)) < classes:
    raise ValueError(f'{classes - len(np.unique(labels))} classes do not occur')
  right = np.zeros((n, classes))
  right[np.arange(n), labels] = 1

  def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
    scores = parameters[0] * logits + parameters[1:]
    log_probs = special.log_softmax(scores, axis=1)
    off = (np.exp(log_probs) - right) / n
    slope = np.concatenate([[np.sum(off * logits)], off.sum(axis=0)])
    return -float(log_probs[np.arange(n), labels].mean()), slope

  start = np.concatenate([[1.0], np.zeros(classes)])
  found = optimize.minimize(
    loss,
    start,
    jac=True,
    method='L-BFGS-B',
    bounds=[(1e-3, 1e3)] + [(None, None)] * classes,
    options={'maxiter': 1000, 'ftol': 1e-12, 'gtol': 1e-7},
  )
  inverse, bias = float(found.x[0]), found.x[1:]
  if not 2e-3 < inverse < 5e2:
    raise ValueError('no temperature is best: labels tell nothing, or everything')
  return 1 / inverse, bias - bias.mean()


def scaled(logits: np.ndarray, temperature: float, bias: np.ndarray) -> np.ndarray:
  """Returns the log-probabilities of softmax(logits / T + b), float64 [n, classes]."""
  scores = np.asarray(logits, np.float64) / temperature + bias
  return special.log_softmax(scores, axis=1)
