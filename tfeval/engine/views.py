"""Outputs averaged over views of the same image: test-time augmentation."""

import tensorflow as tf

from tfeval.models.model import Model
from tfeval.models.options import LOGITS
from tfeval.preprocess.protocol import FLIP, NO_TTA, TEN_CROP


def averaged(model: Model, pixels: tf.Tensor, tta: str) -> tf.Tensor:
  """Returns what a model says of images on average over views of them.

  Probabilities are averaged, as Krizhevsky et al. (2012) do over ten crops.

  Args:
    model: the model.
    pixels: [n, size, size, channels], of several crops [n, crops, size, size,
      channels], as a protocol with this `tta` makes them.
    tta: which views, see `Protocol`: with a mirror of each crop or without.

  Returns:
    float32 [n, outputs]. Of a model of logits the logarithm of the mean probability,
    which is a logit too; else the mean of what it returns.
  """
  if tta == NO_TTA:
    return model(pixels)
  crops = [pixels] if tta == FLIP else tf.unstack(pixels, axis=1)
  seen = [mirrored for one in crops for mirrored in _mirrors(one, tta)]
  # Traced once, and as many images at once as without views.
  outputs = tf.map_fn(
    model, tf.stack(seen), fn_output_signature=_signature(model, pixels)
  )
  if model.output != LOGITS:
    return tf.reduce_mean(outputs, 0)
  log_probs = tf.nn.log_softmax(outputs)
  return tf.reduce_logsumexp(log_probs, 0) - tf.math.log(float(len(seen)))


def _mirrors(pixels: tf.Tensor, tta: str) -> list[tf.Tensor]:
  """Returns images, and their mirrors where these are asked for."""
  return [pixels, tf.reverse(pixels, [2])] if tta in (FLIP, TEN_CROP) else [pixels]


def _signature(model: Model, pixels: tf.Tensor) -> tf.TensorSpec:
  outputs = model.outputs if model.said is None else len(model.said)
  return tf.TensorSpec([pixels.shape[0], outputs], tf.float32)
