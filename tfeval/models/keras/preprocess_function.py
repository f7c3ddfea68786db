"""A preprocessing function of the user's: that it can run, and what it does."""

import logging
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from tfeval.models.graph_digest import GraphDigest, graph_digest
from tfeval.models.keras.versions import both
from tfeval.utils import errors
from tfeval.utils.errors import UserError

_LOG = logging.getLogger('tfeval')


def check(
  preprocess: Callable[[tf.Tensor], tf.Tensor], name: str, model_name: str, size: int
) -> GraphDigest:
  """Checks that a function can be part of a TensorFlow graph.

  Args:
    preprocess: a function, a layer, anything that is called with images.
    name: what it is called.
    model_name: of the model that it is for.
    size: side of the images.

  Returns:
    What it does.

  Raises:
    UserError: it cannot run on float32 [n, size, size, 3], returns no tensor, or is a
      `Normalization` that knows nothing to normalise by.
  """
  if isinstance(preprocess, type):
    raise UserError(
      f'the preprocessing of {model_name} is the class {preprocess.__name__}, expected '
      f'one of them: give `preprocess={preprocess.__name__}(...)`'
    )
  images = tf.TensorSpec((None, size, size, 3), tf.float32)
  try:
    if isinstance(preprocess, both('layers.Layer')) and not preprocess.built:
      preprocess(tf.zeros((1, size, size, 3)))  # Makes what it has, in no graph.
    traced = tf.function(preprocess, autograph=False).get_concrete_function(images)
  except Exception as error:  # The user's own code may raise anything.
    raise UserError(
      f'the preprocessing {name} of {model_name} cannot run on a float32 '
      f'tensor [n, {size}, {size}, 3]: {errors.one_line(error)}'
    ) from error
  if not isinstance(traced.structured_outputs, tf.TensorSpec | tf.Tensor):
    raise UserError(
      f'the preprocessing {name} of {model_name} does not return a tensor'
    )
  if any(map(_is_not_adapted, _layers(preprocess))):
    raise UserError(
      f'the preprocessing {name} of {model_name} knows no mean and variance: adapt it '
      'to images (`adapt`), or make it with `mean` and `variance`'
    )
  found = graph_digest(traced)
  if found.changing:
    _LOG.warning(
      'the preprocessing %s of %s may do something else each time (%s): no run with it '
      'is resumed or shown again, and two of them can differ',
      name,
      model_name,
      ', '.join(found.changing),
    )
  return found


def _layers(preprocess: Callable) -> list[keras.layers.Layer]:
  is_layer = isinstance(preprocess, both('layers.Layer'))
  return preprocess._flatten_layers() if is_layer else []


def _is_not_adapted(layer: keras.layers.Layer) -> bool:
  """Whether a layer that normalises changes nothing, having seen no images."""
  return (
    isinstance(layer, both('layers.Normalization'))
    and layer.input_mean is None
    and layer.built
    and not np.any(layer.adapt_mean)
    and bool(np.all(np.asarray(layer.adapt_variance) == 1))
  )
