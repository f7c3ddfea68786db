"""Whether labels are numbered otherwise than the classes, as models have it."""

import numpy as np

from tfeval.datasets.labels import numbering
from tfeval.evaluation.preflight.finding import Finding
from tfeval.metrics.accuracy import LabelSets
from tfeval.models.model import Model


def check(model: Model, outputs: np.ndarray, labels: np.ndarray) -> list[Finding]:
  """Looks for labels in another order, as those of folders that were sorted as text.

  Args:
    model: fitted to the dataset.
    outputs: float32 [n, outputs].
    labels: int64 [n], of the dataset.

  Returns:
    What is wrong with them, if anything is: many more answers are right in that order,
    see `numbering.NumberingCounts`.
  """
  space, said = model.label_space, model.said
  if space is None or outputs.shape[1] != (len(space) if said is None else len(said)):
    return []
  predicted = outputs.argmax(axis=1)
  if said is not None:
    predicted = said[predicted]
  counts = numbering.NumberingCounts(space)
  counts.add(predicted, LabelSets.from_single(labels))
  name = counts.found()
  if name is None:
    return []
  return [
    Finding(
      'labels',
      f'they seem to be {numbering.WORDS[name]}: {counts.others[name]} of '
      f'{counts.count} answers are right if they are, {counts.as_they_stand} as they '
      'stand',
      'the numbers of the classes',
      'sort the images into the folders of their classes again, or correct the labels',
    )
  ]
