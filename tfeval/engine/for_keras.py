"""Batches of `build_dataset` as a model, `fit` and `evaluate` of Keras take them."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfeval.models.model import preprocessing
from tfeval.utils import errors
from tfeval.utils.arguments import shown
from tfeval.utils.errors import UserError

# The words of `keras.utils.image_dataset_from_directory`.
LABEL_MODES = INT, CATEGORICAL = ('int', 'categorical')


def feeding(
  label_mode: Any, preprocess: Any
) -> Callable[[int], Callable[[dict[str, tf.Tensor]], Any]] | None:
  """Returns what makes, of how many classes there are, a function of a batch.

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
  return lambda classes: _fed(classes, label_mode, preprocess)


def _fed(
  classes: int,
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
    # -1 is padding or no label; losses know no such class.
    label = tf.maximum(batch['label'], 0)
    if label_mode == CATEGORICAL:
      label = tf.one_hot(label, classes)
    return batch['pixels'], label, tf.cast(batch['label'] >= 0, tf.float32)

  return fed
