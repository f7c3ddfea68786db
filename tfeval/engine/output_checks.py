"""Whether what a model returns can be right, whoever ranks it."""

import numpy as np

from tfeval.models.model import Model
from tfeval.models.options import PROBABILITIES, SIGMOID
from tfeval.utils.errors import UserError


def check_scores(scores: np.ndarray, ids: list[str], model: Model) -> None:
  """Checks that scores can be those of a classifier.

  Args:
    scores: float32 [n, classes].
    ids: what names the n examples.
    model: whose scores they are.

  Raises:
    UserError: they are not finite, or not the probabilities they should be.
  """
  finite = np.isfinite(scores).all(axis=1)
  if finite.all():
    lowest, highest = scores.min(axis=1), scores.max(axis=1)
    total = scores.sum(axis=1)
  else:
    lowest = highest = total = np.zeros(len(scores))
  check_range(finite, lowest, highest, total, ids, model)


def check_features(features: np.ndarray, ids: list[str], name: str) -> None:
  """Checks that features can be stored.

  Args:
    features: float32 [n, d].
    ids: what names the n examples.
    name: the model's.

  Raises:
    UserError: they are not finite, or too large for float16.
  """
  most = np.abs(features).max(axis=1)
  # NaN is no number that is smaller.
  good = most <= np.finfo(np.float16).max
  if not good.all():
    worst = int(np.argmin(good))
    raise UserError(
      f'{name}: the features of example {ids[worst]} reach {most[worst]:.4g}, and '
      'float16, as which they are stored, ends at 65504: name another layer by '
      '`store_features=`LAYER'
    )


def check_range(
  finite: np.ndarray,
  lowest: np.ndarray,
  highest: np.ndarray,
  total: np.ndarray,
  ids: list[str],
  model: Model,
) -> None:
  """Checks what is known of scores: that they can be those of a classifier.

  Args:
    finite: bool [n], whether all scores of an example are.
    lowest, highest: float [n], the lowest and the highest of its scores.
    total: float [n], their sum.
    ids: what names the n examples.
    model: whose scores they are.

  Raises:
    UserError: they are not finite, or not the probabilities they should be.
  """
  if not finite.all():
    raise UserError(
      f'{model.name} returns NaN or infinity for example '
      f'{ids[int(np.argmin(finite))]}: check its weights and '
      '`preprocess`'
    )
  if model.output == SIGMOID:
    outside = (lowest < 0) | (highest > 1)
    if outside.any():
      worst = int(np.argmax(outside))
      raise UserError(
        f'{model.name}: the outputs for example {ids[worst]} go from '
        f'{lowest[worst]:.4g} to {highest[worst]:.4g}, so they are no sigmoids: give '
        '`output=logits`'
      )
    return
  # 1e-2 lets half-precision softmax pass and logits not.
  good = (lowest >= 0) & (abs(total - 1) < 1e-2)
  if model.output == PROBABILITIES:
    if not good.all():
      worst = int(np.argmin(good))
      raise UserError(
        f'{model.name}: the outputs for example {ids[worst]} sum to '
        f'{total[worst]:.4g} with minimum {lowest[worst]:.4g}, so they '
        'are not probabilities: give `output=logits`'
      )
  elif good.all() and total.size and model.outputs != 1:
    raise UserError(
      f'{model.name}: the outputs are at least 0 and sum to 1, so they '
      'are probabilities and no logits: give `output=probabilities`'
    )
