"""Batches of `build_dataset` as a model, `fit` and `evaluate` of Keras take them."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
import tensorflow as tf

from tfeval.datasets.base import ImageDataset
from tfeval.models.model import of_space, preprocessing
from tfeval.utils import errors
from tfeval.utils.arguments import shown
from tfeval.utils.errors import UserError

# The words of `keras.utils.image_dataset_from_directory`.
LABEL_MODES = INT, CATEGORICAL = ('int', 'categorical')


@dataclasses.dataclass(frozen=True)
class Outputs:
  """What a model has outputs for.

  Attributes:
    count: how many there are.
    own: the classes that they are, in order; None: all of the dataset's label space.
  """

  count: int
  own: Sequence[int] | None

  @classmethod
  def of(
    cls, dataset: ImageDataset, label_mode: str | None, num_classes: int | None
  ) -> Self:
    """Returns those of a dataset.

    Args:
      dataset: has the classes.
      label_mode, num_classes: as they were given to `build_dataset`.

    Raises:
      UserError: it has another number of classes, or it has to be said which.
    """
    if label_mode is None and num_classes is not None:
      raise UserError('num_classes is of labels for Keras: give label_mode too')
    space, own = dataset.label_space, dataset.own_classes
    counts = [len(space)] if own is None else [len(own), len(space)]
    if num_classes is None and (label_mode is None or len(counts) == 1):
      return cls(len(space), None)
    if num_classes not in counts:
      given = '' if num_classes is None else f', and num_classes is {num_classes}'
      raise UserError(
        f'{dataset.name} has {counts[0]} of {of_space(space)}{given}: give num_classes='
        f'{" or ".join(map(str, counts))}, as many as the model has'
      )
    return cls(num_classes, own if num_classes == counts[0] else None)

  def labels(self, label: tf.Tensor) -> tf.Tensor:
    """Returns which output is the label, int64 [n]; 0 for none."""
    # -1 is padding or no label; losses know no such class.
    label = tf.maximum(label, 0)
    if self.own is None:
      return label
    of_class = np.zeros(max(self.own) + 1, np.int64)
    of_class[list(self.own)] = np.arange(len(self.own))
    # No label is 0, which need not be one of the classes.
    return tf.gather(of_class, label)


def feeding(
  label_mode: Any, preprocess: Any
) -> Callable[[Outputs], Callable[[dict[str, tf.Tensor]], Any]] | None:
  """Returns what makes, of what a model has outputs for, a function of a batch.

  Args:
    label_mode, preprocess: as they were given to `build_dataset`.

  Returns:
    None where batches stay as they are.

  Raises:
    UserError: there is no such label mode or preprocessing.
  """
  is_known = isinstance(label_mode, str) and label_mode in LABEL_MODES
  if label_mode is not None and not is_known:
    raise errors.unknown('label_mode', shown(label_mode), LABEL_MODES)
  if isinstance(preprocess, str):
    preprocess = preprocessing(preprocess)
  elif preprocess is not None and (
    not callable(preprocess) or isinstance(preprocess, type)
  ):
    raise UserError(
      f'preprocess is {shown(preprocess)}, expected a name or a function of images'
    )
  if label_mode is None and preprocess is None:
    return None
  return lambda outputs: _fed(outputs, label_mode, preprocess)


def _fed(
  outputs: Outputs,
  label_mode: str | None,
  preprocess: Callable[[tf.Tensor], tf.Tensor] | None,
) -> Callable[[dict[str, tf.Tensor]], Any]:
  @tf.autograph.experimental.do_not_convert
  def fed(batch):
    if preprocess is not None:
      images = tf.cast(batch['pixels'], tf.float32)
      try:
        pixels = tf.convert_to_tensor(preprocess(images))
      except Exception as error:  # The user's own code may raise anything.
        raise UserError(
          f'preprocess cannot run on a tensor {list(images.shape)} of float32: '
          f'{errors.one_line(error)}'
        ) from error
      batch = {**batch, 'pixels': pixels}
    if label_mode is None:
      return batch
    label = outputs.labels(batch['label'])
    if label_mode == CATEGORICAL:
      label = tf.one_hot(label, outputs.count)
    return batch['pixels'], label, tf.cast(batch['label'] >= 0, tf.float32)

  return fed
