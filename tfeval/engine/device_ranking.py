"""Ranking where the model computes: only what is stored leaves the device.

The reference is `tfeval.metrics.ranking` in NumPy: the same classes for all scores but
NaN, ties, signed zeros, subnormal numbers and infinities included.
"""

from typing import Any

import tensorflow as tf

from tfeval.metrics import ranking

_SIGN = -(2**31)


def ranked(
  scores: tf.Tensor,
  labels: tf.Tensor,
  k: int,
  is_logits: bool,
  renormalised: bool = False,
) -> dict[str, tf.Tensor]:
  """Returns what is stored and checked of a model's outputs.

  Args:
    scores: float32 [n, classes].
    labels: int64 [n], which score is that of the label: -1 without a label, -2 where
      none is.
    k: how many classes are kept, at most.
    is_logits: whether the scores are logits; else probabilities,
    renormalised: that are made to sum to 1 again.

  Returns:
    `classes`: int32 [n, k], best first, ties as `ranking.top_k` settles them;
    `log_probs`: float64 [n, k]; `label_log_prob`: float64 [n], NaN without a label,
    -inf where no score is its;
    `finite`: bool [n], whether all scores are; `lowest`, `highest`, `total`: float32
    [n], the lowest and the highest of the scores and their sum.
  """
  classes = tf.math.top_k(_keys(scores), min(k, scores.shape[1])).indices
  exact = tf.cast(scores, tf.float64)
  if is_logits:
    shifted = exact - tf.reduce_max(exact, 1, keepdims=True)
    log_probs = shifted - tf.math.log(tf.reduce_sum(tf.exp(shifted), 1, keepdims=True))
  else:
    log_probs = tf.math.log(exact)
    if renormalised:
      log_probs -= tf.math.log(tf.reduce_sum(exact, 1, keepdims=True))
  label = tf.gather(log_probs, tf.maximum(labels, 0), batch_dims=1)
  missing = tf.where(
    labels == -1, *(tf.cast(float(one), tf.float64) for one in ('nan', '-inf'))
  )
  return {
    'classes': classes,
    'log_probs': tf.gather(log_probs, classes, batch_dims=1),
    'label_log_prob': tf.where(labels < 0, missing, label),
    'finite': tf.reduce_all(tf.math.is_finite(scores), 1),
    'lowest': tf.reduce_min(scores, 1),
    'highest': tf.reduce_max(scores, 1),
    'total': tf.reduce_sum(scores, 1),
  }


def _keys(scores: tf.Tensor) -> Any:
  """Returns int64 [n, classes] in the order of the scores, no two of a row alike.

  Integers, since devices take subnormal numbers for 0 and may tell -0 from 0; the
  class in the lower half, since the order of equal ones is the kernel's choice.
  """
  bits = tf.bitcast(scores, tf.int32)
  bits = tf.where(bits == _SIGN, 0, bits)
  ordered = tf.where(bits < 0, tf.bitwise.bitwise_xor(bits, 2**31 - 1), bits)
  classes = scores.shape[1]
  last = classes - 1 - ranking.tie_key(tf.range(classes, dtype=tf.int64))
  return (
    tf.bitwise.left_shift(tf.cast(ordered, tf.int64), tf.constant(32, tf.int64)) + last
  )
