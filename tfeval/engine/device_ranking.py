"""Ranking where the model computes: only what is stored leaves the device.

The reference is `tfeval.metrics.ranking` in NumPy: the same classes for all scores but
NaN, ties, signed zeros, subnormal numbers and infinities included.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from tfeval.metrics import ranking
from tfeval.metrics.competition import MAX, MEAN, Contest
from tfeval.metrics.entry import ALL

_SIGN = -(2**31)


def ranked(
  scores: tf.Tensor,
  labels: tf.Tensor,
  k: int,
  is_logits: bool,
  contest: Contest | None = None,
) -> dict[str, tf.Tensor]:
  """Returns what is stored and checked of a model's outputs.

  Args:
    scores: float32 [n, outputs].
    labels: int64 [n], which of what competes is the label: -1 without a label, -2 where
      nothing is.
    k: how many classes are kept, at most.
    is_logits: whether the scores are logits; else probabilities.
    contest: what competes; None: every score.

  Returns:
    `classes`: int32 [n, k], of what competes, best first, ties as `ranking.top_k`
    settles them; `log_probs`: float64 [n, k]; `label_log_prob`: float64 [n], NaN
    without a label, -inf where nothing is its. Where all that competes are outputs,
    `finite`: bool [n], whether all scores are; `lowest`, `highest`, `total`: float32
    [n], the lowest and the highest of the scores and their sum.
  """
  all_scores = scores
  scores, log_probs = _competing(scores, is_logits, contest)
  classes = tf.math.top_k(_keys(scores), min(k, scores.shape[1])).indices
  label = tf.gather(log_probs, tf.maximum(labels, 0), batch_dims=1)
  missing = tf.where(
    labels == -1, *(tf.cast(float(one), tf.float64) for one in ('nan', '-inf'))
  )
  found = {
    'classes': classes,
    'log_probs': tf.gather(log_probs, classes, batch_dims=1),
    'label_log_prob': tf.where(labels < 0, missing, label),
  }
  if contest is not None and contest.rule.name != ALL:
    return found
  return found | {
    'finite': tf.reduce_all(tf.math.is_finite(all_scores), 1),
    'lowest': tf.reduce_min(all_scores, 1),
    'highest': tf.reduce_max(all_scores, 1),
    'total': tf.reduce_sum(all_scores, 1),
  }


def _competing(
  scores: tf.Tensor, is_logits: bool, contest: Contest | None
) -> tuple[tf.Tensor, tf.Tensor]:
  """Returns what is ranked, float32, and its logarithms of probabilities, float64."""
  if contest is None:
    return scores, _log_probs(scores, is_logits, False)
  chosen = tf.gather(scores, contest.columns, axis=1)
  if contest.rule.reduce == MEAN:
    of_all = tf.cast(scores, tf.float64)
    if is_logits:
      of_all = tf.exp(_log_probs(scores, is_logits, False))
    mean = _reduced(tf.gather(of_all, contest.columns, axis=1), contest)
    return tf.cast(mean, tf.float32), tf.math.log(mean)
  log_probs = _log_probs(chosen, is_logits, contest.rule.name != ALL)
  return _reduced(chosen, contest), _reduced(log_probs, contest)


def _log_probs(scores: tf.Tensor, is_logits: bool, renormalised: bool) -> tf.Tensor:
  exact = tf.cast(scores, tf.float64)
  if is_logits:
    shifted = exact - tf.reduce_max(exact, 1, keepdims=True)
    return shifted - tf.math.log(tf.reduce_sum(tf.exp(shifted), 1, keepdims=True))
  log_probs = tf.math.log(exact)
  if renormalised:
    log_probs -= tf.math.log(tf.reduce_sum(exact, 1, keepdims=True))
  return log_probs


def _reduced(values: tf.Tensor, contest: Contest) -> tf.Tensor:
  """`Contest.reduced` of a tensor: [n, groups] of [n, columns]."""
  if not contest.is_grouped:
    return values
  groups = len(contest.sizes)
  of_column = np.repeat(np.arange(groups), contest.sizes)
  by_column = tf.transpose(values)
  if contest.rule.reduce == MAX:
    return tf.transpose(tf.math.unsorted_segment_max(by_column, of_column, groups))
  total = tf.math.unsorted_segment_sum(by_column, of_column, groups)
  return tf.transpose(total) / tf.constant(contest.sizes, values.dtype)


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
