"""Ranks of numbers in TensorFlow against those of NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from tfeval.keras import ranks
from tfeval.metrics import ranking

MODES = {
  'eager': lambda function: function,
  'graph': tf.function,
  'xla': tf.function(jit_compile=True),
}


@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('dtype', ['float64', 'float32', 'float16', 'bfloat16'])
def test_integers_order_as_numbers_do(mode, dtype):
  dtype = tf.as_dtype(dtype)
  kind = dtype.as_numpy_dtype
  limits = np.finfo(np.float32) if dtype == tf.bfloat16 else np.finfo(kind)
  smallest = float(limits.smallest_subnormal) * (2**16 if dtype == tf.bfloat16 else 1)
  values = np.array(
    [
      -np.inf,
      -2.5,
      -1,
      -2 * smallest,
      -smallest,
      -0.0,
      0.0,
      smallest,
      2 * smallest,
      float(limits.tiny),
      1,
      2.5,
      np.inf,
    ]
  ).astype(kind)
  places = np.array([0, 1, 2, 3, 4, 5, 5, 6, 7, 8, 9, 10, 11])
  found = MODES[mode](ranks.ordered_as_integers)(tf.constant(values)).numpy()
  np.testing.assert_array_equal(np.unique(found, return_inverse=True)[1], places)


@pytest.mark.parametrize('mode', MODES)
def test_subnormal_probabilities_and_signed_zeros_rank_as_in_numpy(mode):
  scores = np.float32([[0, 1e-40, 2e-40, 0, 1], [0, -0.0, 0.0, -0.0, -1]])
  found = np.stack(
    [
      [
        MODES[mode](lambda right, scores, k=k: ranks.hits(right, scores, k))(
          tf.one_hot([label] * 2, 5, True, False), tf.constant(scores)
        ).numpy()
        for label in range(5)
      ]
      for k in range(1, 6)
    ]
  )
  expected = [
    [[label in row[:k] for row in ranking.top_k(scores, 5)] for label in range(5)]
    for k in range(1, 6)
  ]
  np.testing.assert_array_equal(found, expected)
