"""A model fed otherwise than it wants to be, to see what that costs."""

import dataclasses
from collections.abc import Callable

import tensorflow as tf

from tfeval.models import whole_numbers
from tfeval.models.model import Model, preprocessing
from tfeval.models.options import BGR, NO_MEAN, TWICE
from tfeval.utils.errors import UserError


def otherwise(model: Model, feed: str | None) -> Model:
  """Returns a model with another preprocessing than its own.

  Args:
    model: as it wants to be fed.
    feed: `bgr`, the channels exchanged before its own preprocessing; `twice`, its own
      applied to what it returned; `no_mean`, less what it makes of black; what stands
      in its place, as `preprocessing` reads it; `bgr+` and one of these, both; None:
      its own.

  Raises:
    UserError: there is no such preprocessing, the model takes encoded images, or whole
      numbers, which this does not make.
  """
  if feed is None:
    return model
  if model.takes_encoded:
    raise UserError(
      f'{model.name} takes encoded images, and nothing is done to their pixels: leave '
      f'`feed={feed}` out'
    )
  function, name = _fed(model, feed)
  whole_numbers.check(
    model.name, function, name, model.backend.input_spec, model.input_size
  )
  return dataclasses.replace(
    model, preprocess=function, preprocess_name=name, feed=feed
  )


def _fed(model: Model, feed: str) -> tuple[Callable[[tf.Tensor], tf.Tensor], str]:
  own, name = model.preprocess, model.preprocess_name
  if feed == BGR or feed.startswith(f'{BGR}+'):
    if feed != BGR:
      own, name = _fed(model, feed.removeprefix(f'{BGR}+'))
    return lambda x: own(x[..., ::-1]), f'bgr before {name}'
  if feed == TWICE:
    return lambda x: own(own(x)), f'{name} twice'
  if feed == NO_MEAN:
    return lambda x: own(x) - own(tf.zeros_like(x)), f'{name} without its mean'
  return preprocessing(feed), f'{feed} in place of {name}'
