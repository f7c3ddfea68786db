"""The classes of a run: those of its dataset, and what its model says."""

from collections.abc import Mapping

import numpy as np

from tfeval.datasets.base import ImageDataset
from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.metrics.competition import Rule, singles, suffix
from tfeval.metrics.entry import ALL, RESTRICTED
from tfeval.models.model import Model
from tfeval.models.options import SIGMOID
from tfeval.runs import predictions
from tfeval.runs.run_classes import RunClasses
from tfeval.runs.summary import Summary
from tfeval.utils import arrow
from tfeval.utils.errors import listed


def classes_of(model: Model, dataset: ImageDataset) -> RunClasses:
  """Returns the classes of a model's evaluation on a dataset.

  Args:
    model: as `fitting.fit` returns it for the dataset's label space.
    dataset: has rules of its own, and `restricted` where the model says more than
      compete under it.
  """
  space = model.label_space
  assert space is not None  # It is fitted.
  said = np.arange(len(space)) if model.said is None else model.said
  rules = list(dataset.rules)
  if not any(rule.name == RESTRICTED for rule in rules):
    rules += _restricted(space, said, dataset)
  return RunClasses(
    dataset.label_space, space, model.said, tuple(rules), dataset.label_set
  )


def _restricted(
  space: LabelSpace, said: np.ndarray, dataset: ImageDataset
) -> list[Rule]:
  """Returns the rule `restricted`, where it leaves out some that a model says."""
  if dataset.competing is None and len(space) == len(dataset.label_space):
    return []
  own = dataset.competing
  own = np.arange(len(dataset.label_space)) if own is None else np.asarray(own)
  restricted = np.intersect1d(own, said)
  return [singles(RESTRICTED, restricted)] if 0 < len(restricted) < len(said) else []


def ranks(
  values: Mapping[str, np.ndarray],
  rule: str,
  classes: RunClasses,
  labels: np.ndarray,
  output: str,
) -> predictions.Ranks:
  """Returns the ranks that a device made under a rule.

  Args:
    values: what `ForwardPass.result` returned.
    rule: its name.
    classes: what the outputs are.
    labels: int64 [n], of the images.
    output: what their values are, of `models.options.OUTPUTS`.
  """
  of_rule = suffix(rule)
  found = (values[name + of_rule] for name in ('log_probs', 'label_log_prob'))
  return predictions.named_ranks(
    values[f'classes{of_rule}'],
    # No distribution over the classes.
    *((None, None) if output == SIGMOID else found),
    labels,
    classes.competition,
    rule,
  )


def unsaid_notes(classes: RunClasses, summary: Summary) -> list[str]:
  """Says how many images are of classes that the model has no output for.

  They are counted like any others, and are never hit.
  """
  if classes.said is None:
    return []
  labels = arrow.to_numpy(summary.column('label'), null=-1)
  unsaid = np.setdiff1d(np.arange(len(classes.dataset)), classes.said)
  missed = np.isin(labels, unsaid)
  if not missed.any():
    return []
  names = [classes.dataset.class_ids[i] for i in np.unique(labels[missed])]
  return [
    f'{int(missed.sum()):,} images are of {len(names)} classes that the model cannot '
    f'say: {listed(names)}'
  ]


def absent_notes(classes: RunClasses, summary: Summary) -> list[str]:
  """Says how many classes have no image among those that were evaluated."""
  labels = arrow.to_numpy(summary.column('label'), null=-1)
  there, total = np.unique(labels[labels >= 0]), len(classes.dataset)
  own = [r for r in classes.competition.rules if r != ALL and not classes.is_partner(r)]
  if own:
    # Of a set of fewer classes than its labels could be.
    rule = classes.rule(own[0])
    there, total = np.intersect1d(rule.named(there), rule.classes), len(rule.classes)
  absent = total - len(there)
  return [f'{absent:,} of {total:,} classes have no image in it'] if absent else []
