"""A look at how a model is fed, once it has learned something."""

import math

import keras
import numpy as np
from scipy import stats

from tfeval.evaluation.waiting import WaitingEvaluator
from tfeval.metrics.entry import ALL
from tfeval.models.keras.versions import both
from tfeval.runs.run import Run

# How sure it has to be that a model is better than naming one class.
_SURE = 1e-3
# What may be left of the statistics that batch normalisation began with.
_LEFT = 0.01


class FirstLook:
  """Runs the preflight in its mode `warn`, once.

  Not before the model is above chance and its batch normalisation has seen enough: what
  is little trained shows what preflight takes for faults.
  """

  def __init__(self, is_wanted: bool):
    self._is_due = is_wanted

  def after(self, evaluator: WaitingEvaluator, run: Run, steps: int) -> None:
    """Looks at the model of an evaluation, if it is time.

    Args:
      evaluator: has the model with the values of the run.
      run: of it.
      steps: of the training so far.
    """
    if not self._is_due or not is_above_chance(run):
      return
    if steps < steps_of_statistics(evaluator.model.backend.model):
      return
    self._is_due = False
    evaluator.look()


def is_above_chance(run: Run) -> bool:
  """Returns whether a model hits more than the name of the largest class would."""
  labels = np.concatenate(
    [part['label'].drop_null().to_numpy() for part in run.parts(['label'])]
  )
  (top1,) = (
    one
    for one in run.score(metrics=['top1'])
    if one.labels == 'original' and one.rule == ALL
  )
  if not len(labels) or not top1.count:
    return False
  chance = max(np.bincount(labels).max() / len(labels), 1 / top1.count)
  return bool(stats.binom.sf(top1.correct - 1, top1.count, chance) < _SURE)


def steps_of_statistics(model: keras.Model | None) -> int:
  """Returns after how many steps moving statistics are those of the training."""
  layers = [] if model is None else model._flatten_layers()
  kept = [
    one.momentum
    for one in layers
    if isinstance(one, both('layers.BatchNormalization')) and one.trainable
  ]
  slowest = max((one for one in kept if 0 < one < 1), default=None)
  return 0 if slowest is None else math.ceil(math.log(_LEFT) / math.log(slowest))
