"""The classifier two-sample test: can a classifier tell samples apart."""

import dataclasses
import importlib.util
import math
import warnings

import numpy as np
from scipy import stats

from tfeval.metrics.shift import two_sample

# Every image is judged by a classifier that was fitted on the other half.
_FOLDS = 2
# Of the squared weights, over standardised features: without it a classifier of more
# dimensions than images learns them by heart.
_STRENGTH = 0.01


class NotInstalled(Exception):
  """The package of the classifier is not there; the message names it."""


@dataclasses.dataclass(frozen=True)
class Classified:
  """What a classifier makes of two samples.

  Attributes:
    accuracy: the mean of both samples' shares that it gets right, 0.5 by chance.
    p: that it is as good by chance, one-sided.
  """

  accuracy: float
  p: float


def classifier_test(first: np.ndarray, second: np.ndarray, seed: int = 0) -> Classified:
  """Returns how well a logistic regression tells two samples apart.

  Source: Lopez-Paz and Oquab, "Revisiting classifier two-sample tests", ICLR 2017: with
  as many of both the accuracy on held-out images is normal around 1/2 with variance
  1 / 4n where nothing differs. Here each half is held out once, and of unequal sizes
  both count alike.

  Args:
    first: float [n, d], finite, at least 4 rows.
    second: float [m, d], at least 4 rows.
    seed: of the halves.

  Raises:
    NotInstalled: scikit-learn is not.
    ValueError: other shapes, too few, or values that are not finite.
  """
  if importlib.util.find_spec('sklearn') is None:
    raise NotInstalled("needs scikit-learn: pip install 'tfeval[shift]'")
  from sklearn import exceptions, linear_model, model_selection, pipeline, preprocessing

  pooled = two_sample.check_samples(first, second)
  n, m = len(first), len(pooled) - len(first)
  if min(n, m) < 2 * _FOLDS:
    raise ValueError(f'samples have {n} and {m} images: expected {2 * _FOLDS} or more')
  of_second = np.arange(n + m) >= n
  classifier = pipeline.make_pipeline(
    preprocessing.StandardScaler(),
    linear_model.LogisticRegression(
      C=_STRENGTH, class_weight='balanced', max_iter=1000, tol=1e-3
    ),
  )
  folds = model_selection.StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
  with warnings.catch_warnings():
    # One that has not converged is one that tells less.
    warnings.simplefilter('ignore', exceptions.ConvergenceWarning)
    said = model_selection.cross_val_predict(classifier, pooled, of_second, cv=folds)
  right = (said == of_second).astype(float)
  accuracy = (right[:n].mean() + right[n:].mean()) / 2
  # Of a classifier that says `second` so often, whatever it sees.
  rate = (said[:n].mean() + said[n:].mean()) / 2
  deviation = math.sqrt(rate * (1 - rate) * (1 / n + 1 / m)) / 2
  if deviation == 0:
    return Classified(0.5, 1.0)
  p = stats.norm.sf((accuracy - 0.5) / deviation)
  return Classified(float(accuracy), float(p))
