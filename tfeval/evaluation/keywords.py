"""Keywords of `tfeval.evaluate`, checked as the flags of the command are."""

import dataclasses
import numbers
from collections.abc import Mapping
from typing import Any

from tfeval import datasets
from tfeval.evaluation.config import EvaluationConfig
from tfeval.models.options import ModelOptions
from tfeval.utils import errors, options
from tfeval.utils.arguments import several, shown, whole_number
from tfeval.utils.errors import UserError


def checked_classes(classes: Any) -> list[str] | int:
  """Returns classes of a dataset as they are given in Python.

  Raises:
    UserError: they are neither names nor a number of them.
  """
  if isinstance(classes, numbers.Integral):
    return whole_number('classes', classes)
  expected = 'names of classes, or how many there are'
  if not (names := several('classes', classes, str, expected)):
    raise UserError(f'classes is {shown(classes)}, expected {expected}')
  return names


def checked(values: Mapping[str, Any]) -> EvaluationConfig:
  """Returns the config of keywords; of values as flags have them.

  Raises:
    UserError: a keyword that is none, or a value that no flag could have.
  """
  known = options.python_names(EvaluationConfig)
  for name in values:
    if name not in known:
      raise errors.unknown('keyword', name, known)
  if type(values.get('sample')) in (int, float):
    values = {**values, 'sample': str(values['sample'])}
  config = EvaluationConfig.of(**values)
  if not isinstance(config.dataset.name, str):
    raise UserError(
      f'dataset is of type {type(config.dataset.name).__name__}, expected a TFDS name, '
      'folder:DIR, a tf.data.Dataset, a PyDataset, arrays (images, labels) or a list '
      'of batches'
    )
  config = dataclasses.replace(config, dataset=datasets.requested(config.dataset))
  # What is known of models is checked with the model.
  of_model = {field.name for field in options.fields(ModelOptions)}
  return options.checked(config, {*known} - of_model | {'class_map', 'output_name'})
