"""Classifiers of two classes that return a single value: that of the second class."""

from collections.abc import Callable

import tensorflow as tf

from tfeval.models.options import LOGITS, PROBABILITIES, SIGMOID
from tfeval.utils.errors import UserError

# What two values are that a single one of each kind becomes.
KIND = {LOGITS: LOGITS, SIGMOID: PROBABILITIES, PROBABILITIES: PROBABILITIES}


def two_classes(
  function: Callable[[tf.Tensor], tf.Tensor], name: str, output: str
) -> Callable[[tf.Tensor], tf.Tensor]:
  """Returns a function of the values of two classes, [n, 2].

  Of a logit x these are 0 and x, of which the softmax is sigmoid(x); of a probability p
  they are 1 - p and p.
  A tie, x = 0 or p = 0.5, is the first class, as Keras' `BinaryAccuracy` has it.

  Args:
    function: returns [n, 1].
    name: the model's, for errors.
    output: `'logits'` or `'sigmoid'`: what it returns.

  Raises:
    UserError: it returns the softmax of a single value, which is always 1.
  """
  if output == PROBABILITIES:
    raise UserError(
      f'{name} returns a single value: a softmax of it is always 1; give '
      '`output=sigmoid` if it is the probability of the second class, `output=logits` '
      'if its logit'
    )

  def values(x):
    found = function(x)
    first = tf.zeros_like(found) if output == LOGITS else 1 - found
    return tf.concat([first, found], axis=-1)

  return values
