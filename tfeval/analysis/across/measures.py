"""What the authors of a test set measure beside accuracy."""

import numpy as np
import pyarrow as pa

from tfeval.analysis.across.places import MULTILABEL
from tfeval.analysis.corruption_errors import SEVERITIES, CorruptionErrors
from tfeval.datasets.labels import class_sets
from tfeval.datasets.variant_folders import conflict_of
from tfeval.metrics import accuracy, cue_conflict, out_of_distribution
from tfeval.metrics.competition import suffix
from tfeval.runs.run import Run
from tfeval.utils import arrow
from tfeval.utils.errors import UserError

CATEGORIES = 'categories'


def shape_bias(run: Run) -> cue_conflict.CueDecisions:
  """Counts decisions for shape and texture of a run on cue conflicts.

  Shape and texture are told by the names of files, as `airplane1-bear2.png`.

  Raises:
    UserError: the run has no such rule, or a name tells no categories.
  """
  if not run.classes.has(CATEGORIES):
    raise UserError(f'{run.path} has no rule {CATEGORIES}: evaluate again')
  rows = run.to_arrow(['id', f'classes{suffix(CATEGORIES)}'])
  known = class_sets.read('cue_conflict')
  index = {
    name: group[0] for name, group in zip(known.names, known.groups, strict=True)
  }
  cues = [conflict_of(name) for name in rows['id'].to_pylist()]
  if not all(cue and cue[0] in index and cue[1] in index for cue in cues):
    raise UserError(f'{run.path}: ids do not tell shape and texture')
  decided = arrow.matrix(rows[f'classes{suffix(CATEGORIES)}'])[:, 0]
  shape, texture = (np.array([index[cue[i]] for cue in cues if cue]) for i in (0, 1))
  return cue_conflict.cue_decisions(decided, shape, texture)


def outliers(run: Run, clean: Run) -> out_of_distribution.Detection:
  """Measures how well ImageNet-O is told from its clean partner.

  Args:
    run: on ImageNet-O.
    clean: of the same model on validation images.

  Raises:
    UserError: one of them has no probabilities under the rule.
  """
  unknown = _confidence(run, 'restricted')
  known = _confidence(clean, 'imagenet_o')
  return out_of_distribution.detection(-unknown, -known)


def _confidence(run: Run, rule: str) -> np.ndarray:
  """Returns float64 [n], the highest probability under a rule, of images it is for."""
  if not run.classes.has(rule):
    raise UserError(f'{run.path} has no rule {rule}: evaluate again')
  column = f'log_probs{suffix(rule)}'
  rows = run.to_arrow([column])
  there = rows[column].combine_chunks()
  if there.null_count == len(there):
    raise UserError(f'{run.path} has no probabilities under the rule {rule}')
  return np.exp(arrow.matrix(there.filter(there.is_valid()))[:, 0].astype(np.float64))


def class_mean(run: Run) -> float | None:
  """Returns the mean of the classes' accuracies by multi-labels, in [0, 1].

  None where no image has labels.

  As the authors count (Shankar et al. 2020): a class is that of the original label;
  images without a label, which are problematic, are left out.

  Raises:
    UserError: the run has no such labels.
  """
  if run.classes.label_set != MULTILABEL:
    raise UserError(f'{run.path} has no multi-labels')
  rows = run.to_arrow(['label', 'real_labels', 'classes'])
  sets = _sets(rows)
  hit = accuracy.hits(arrow.matrix(rows['classes']), sets, 1)
  counted = np.asarray(sets.sizes) > 0
  label = arrow.to_numpy(rows['label'], null=-1)[counted]
  if not len(label):
    return None
  right = np.bincount(label, hit[counted])
  count = np.bincount(label)
  return float((right[count > 0] / count[count > 0]).mean())


def _sets(rows: pa.Table) -> accuracy.LabelSets:
  column = rows['real_labels'].combine_chunks()
  sizes = arrow.to_numpy(column.value_lengths(), null=0)
  return accuracy.LabelSets(arrow.to_numpy(column.flatten()), sizes)


def corruption_errors(
  found: dict[tuple[str, str], float], clean: float | None
) -> CorruptionErrors:
  """Returns the errors on the files of ImageNet-C's authors.

  Args:
    found: by corruption and severity, in [0, 1].
    clean: on clean images.
  """
  errors = {
    name: [found.get((name, str(severity))) for severity in SEVERITIES]
    for name in dict.fromkeys(name for name, _ in found)
  }
  return CorruptionErrors(errors, clean, official=True)
