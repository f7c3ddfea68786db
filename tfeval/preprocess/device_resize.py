"""OpenCV's INTER_CUBIC on uint8 for a batch of canvases, where the model runs.

What `tfeval.preprocess.device_canvas` makes on the host becomes pixels of the
model's size within the same compiled step as the model. The result is that of
`tfeval.preprocess.opencv_cubic`, bit for bit, wherever float32 sums and products
round as IEEE 754 says; `tfeval.engine.self_test` measures whether they do.

The first pass is a product of matrices of small integers. Each weight is split in
two halves of at most 6 significant bits, and a pixel has 8: units that keep 8
bits of an operand (bfloat16) or 11 (TF32) and add up in float32 are exact too.
"""

from collections.abc import Callable

import tensorflow as tf

from tfeval.preprocess import gathers, opencv_cubic

# A weight is in -228..2048, and where several stand in one place, at the border of a
# photo, they sum to -384..2432 (Keys' cubic with A = -0.75). Divided by this they are
# in -6..38, and what remains is in -32..32.
_HALF = 64


def compiled() -> Callable[[dict[str, tf.Tensor]], tf.Tensor]:
  """Returns `resize` compiled by XLA, once for each shape of canvases.

  Within a step that is not, it takes less memory: what it computes on the way stays
  in the compiler's hands.
  """
  return tf.function(resize, jit_compile=True, autograph=False)


def resize(inputs: dict[str, tf.Tensor]) -> tf.Tensor:
  """Resizes and crops a batch of a known shape; in a compiled step, XLA or not.

  Args:
    inputs: from `tfeval.preprocess.device_canvas.device_inputs`: `canvas`, `taps`,
      `weights` and, if it is there, `in_tail`.

  Returns:
    uint8 [n, size, size, 3], RGB.
  """
  rows, columns = tf.unstack(inputs['taps'], axis=1)
  row_weights, column_weights = tf.unstack(inputs['weights'], axis=1)
  sums = _horizontal(inputs['canvas'], columns, column_weights)
  n, height, _, size = sums.shape
  sums = tf.reshape(sums, [n, height, 3 * size])
  # Gathers: a product of matrices would add up in an order of its own.
  four = [
    tf.reshape(tf.gather(sums, rows[:, k], batch_dims=1), [n, size, 3, size])
    for k in range(4)
  ]
  in_tail = inputs.get('in_tail')
  if in_tail is not None:
    in_tail = tf.transpose(in_tail, [0, 2, 1])[:, None]
  pixels = opencv_cubic.vertical(
    four,
    tf.transpose(row_weights, [1, 0, 2])[..., None, None],
    gathers.hidden_zero(tf.reshape(rows, [-1])),
    'fixed_point',
    in_tail,
  )
  return tf.transpose(pixels, [0, 1, 3, 2])


def _horizontal(canvas, columns, weights):
  """-> float32 [n, height, 3, size].

  All numbers are integers, and each sum of magnitudes stays below 2**24: the four
  weights' magnitudes sum to at most 1.375 * 2048 + 2, times 255. float32 holds them
  exactly in any order.
  """
  n, height, width, _ = canvas.shape
  matrix = _banded(columns, weights, width)
  high = tf.round(matrix / _HALF)
  lines = tf.reshape(tf.transpose(canvas, [0, 1, 3, 2]), [n, height * 3, width])
  lines = tf.cast(lines, tf.float32)
  sums = _HALF * _matmul(lines, high) + _matmul(lines, matrix - _HALF * high)
  return tf.reshape(sums, [n, height, 3, columns.shape[-1]])


def _banded(columns, weights, width):
  """-> float32 [n, width, size], each column's weights where its taps are."""
  at = tf.range(width)[:, None]
  return tf.add_n(
    [tf.where(at == columns[:, None, k], weights[:, None, k], 0) for k in range(4)]
  )


# A name of its own for the self-test to be tested with another one.
_matmul = tf.matmul
