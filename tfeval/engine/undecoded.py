"""Which image of a batch a model cannot decode that is handed encoded images."""

import tensorflow as tf

from tfeval.engine.placement import Placed
from tfeval.models.model import Model
from tfeval.utils import errors
from tfeval.utils.errors import UserError


def first(
  model: Model, strategy: tf.distribute.Strategy, placed: Placed
) -> UserError | None:
  """Returns what to raise for the first image that fails alone; None: none does.

  Args:
    model: takes encoded images.
    strategy: of `placed`.
    placed: a batch that it failed on.
  """
  local = strategy.experimental_local_results(placed.inputs)
  images = tf.concat([tf.nest.flatten(one)[0] for one in local], 0)
  for name, image in zip(placed.ids, images[: placed.count], strict=False):
    try:
      model(image[None])
    except Exception as error:  # The model may be anyone's.
      return UserError(
        f'{model.name} cannot decode {name}: {errors.one_line(error)}: replace this '
        'image or leave it out (`on_error` is of images that tfeval decodes)'
      )
  return None
