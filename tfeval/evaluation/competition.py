"""The classes of a run: those of its dataset, and what its model says."""

from collections.abc import Mapping

import numpy as np

from tfeval.datasets.base import ImageDataset
from tfeval.datasets.labels.listing import first
from tfeval.models.model import Model
from tfeval.models.options import SIGMOID
from tfeval.runs import predictions
from tfeval.runs.run_classes import RunClasses
from tfeval.runs.summary import Summary
from tfeval.utils import arrow


def classes_of(model: Model, dataset: ImageDataset) -> RunClasses:
  """Returns the classes of a model's evaluation on a dataset.

  Args:
    model: as `fitting.fit` returns it for the dataset's label space.
    dataset: has the rule `restricted` where the model says more than compete under it.
  """
  space = model.label_space
  assert space is not None  # It is fitted.
  said = np.arange(len(space)) if model.said is None else model.said
  restricted = None
  if dataset.competing is not None or len(space) > len(dataset.label_space):
    own = dataset.competing
    own = np.arange(len(dataset.label_space)) if own is None else np.asarray(own)
    restricted = np.intersect1d(own, said)
    if len(restricted) in (0, len(said)):
      restricted = None
  return RunClasses(dataset.label_space, space, model.said, restricted)


def ranks(
  values: Mapping[str, np.ndarray], rule: str, classes: RunClasses, output: str
) -> predictions.Ranks | None:
  """Returns the ranks that a device made under a rule; None where there is none.

  Args:
    values: what `ForwardPass.result` returned.
    rule: `''`, or `RESTRICTED`.
    classes: what the outputs are.
    output: what their values are, of `models.options.OUTPUTS`.
  """
  if f'classes{rule}' not in values:
    return None
  found = (values[name + rule] for name in ('log_probs', 'label_log_prob'))
  return predictions.named_ranks(
    values[f'classes{rule}'],
    # No distribution over the classes.
    *((None, None) if output == SIGMOID else found),
    classes.competition.classes(bool(rule)),
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
    f'say: {first(names)}'
  ]


def absent_notes(classes: RunClasses, summary: Summary) -> list[str]:
  """Says how many classes have no image among those that were evaluated."""
  labels = arrow.to_numpy(summary.column('label'), null=-1)
  total = len(classes.dataset)
  absent = total - len(np.unique(labels[labels >= 0]))
  return [f'{absent:,} of {total:,} classes have no image in it'] if absent else []
