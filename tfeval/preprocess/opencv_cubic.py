"""INTER_CUBIC of OpenCV: its weights and its two passes.

The reference is OpenCV 5.0 (`modules/imgproc/src/resize.cpp`). `compiled` and
`plain` give the same values; `plain` takes about four times as long, but any
window and no compiling. Both take a `rounding`:

* `fixed_point`: OpenCV on uint8 with IPP off (`cv2.ipp.setUseIPP(False)`), bit
  for bit;
* `none`: OpenCV on float32, up to the order of its sums;
* `nearest`: the latter rounded to uint8 once, as IPP does.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfeval.preprocess import gathers

# INTER_RESIZE_COEF_SCALE: the weights are fixed-point numbers of 11 bits.
_SCALE = 2048
# Keys' cubic (1981) with the A of OpenCV; TensorFlow's and Pillow's is -0.5.
_A = -0.75


def weights(
  source: tf.Tensor, target: tf.Tensor, first: tf.Tensor, count: int, rounding: str
) -> tuple[tf.Tensor, tf.Tensor]:
  """Where the cubic kernel of each row and column stands, and its weights.

  Args:
    source: int64 [2], height and width of the photo.
    target: int64 [2], height and width of the whole resized photo.
    first: int64 [2], first row and column wanted of the resized photo.
    count: how many rows and columns are wanted.
    rounding: see above.

  Returns:
    int32 [count * 4], the second of four source rows under each of `count`
    rows, then the second of four source columns for each of `count` columns and
    3 channels; and float32 [4, count * 4], the weights of the four: in fixed
    point integers in -2048..4096, else as they are.
  """
  axis = np.repeat([0, 1], [count, 3 * count])
  step = np.arange(count, dtype=np.int64)
  step = np.concatenate([step, np.repeat(step, 3)])
  return _weights_at(
    tf.gather(first, axis) + step, tf.gather(_scale(source, target), axis), rounding
  )


def weights_along(
  source: tf.Tensor, target: tf.Tensor, index: tf.Tensor, rounding: str
) -> tuple[tf.Tensor, tf.Tensor]:
  """The same of one axis.

  Args:
    source: int64 [], length of the photo along it.
    target: int64 [], length of the whole resized photo.
    index: int64 [n], the rows or columns wanted of the resized photo.
    rounding: see above.

  Returns:
    int32 [n], the second of four source rows or columns; float32 [4, n], the weights
    of the four.
  """
  return _weights_at(index, _scale(source, target), rounding)


def weights_of_batch(
  source: tf.Tensor, target: tf.Tensor, first: tf.Tensor, count: int
) -> tuple[tf.Tensor, tf.Tensor]:
  """The same for n photos, in fixed point, without repeating the channels.

  Args:
    source: int64 [n, 2], height and width of each photo.
    target: int64 [n, 2], height and width of each whole resized photo.
    first: int64 [n, 2], first row and column wanted of each.
    count: how many rows and columns are wanted.

  Returns:
    int32 [n, 2, count], the second of four source rows and columns; float32
    [4, n, 2, count], the weights of the four.
  """
  return _weights_at(
    first[..., None] + np.arange(count, dtype=np.int64),
    _scale(source, target)[..., None],
    'fixed_point',
  )


def _scale(source, target):
  return 1 / (tf.cast(target, tf.float64) / tf.cast(source, tf.float64))


def _weights_at(index, scale, rounding):
  # float64, then one rounding to float32, as in OpenCV; the order matters.
  at = tf.cast(index, tf.float64) + 0.5
  at = tf.cast(at * scale - 0.5, tf.float32)
  floor = tf.floor(at)
  x = at - floor
  y = 1 - x
  c0 = ((_A * (x + 1) - 5 * _A) * (x + 1) + 8 * _A) * (x + 1) - 4 * _A
  c1 = ((_A + 2) * x - (_A + 3)) * x * x + 1
  c2 = ((_A + 2) * y - (_A + 3)) * y * y + 1
  c3 = 1 - c0 - c1 - c2
  four = tf.stack([c0, c1, c2, c3])
  return (
    tf.cast(floor, tf.int32),
    tf.round(four * _SCALE) if rounding == 'fixed_point' else four,
  )


def compiled(
  window: tf.Tensor,
  rows: tf.Tensor,
  columns: tf.Tensor,
  row_weights: tf.Tensor,
  column_weights: tf.Tensor,
  rounding: str,
) -> tf.Tensor:
  """Both passes, compiled by XLA for the CPU.

  Each shape of `window` is compiled once, in about 0.1 s; let there be few.

  Args:
    window: uint8 [side, side, 3].
    rows: int32 [4, size], four rows of the window under each row.
    columns: int32 [size * 3], index into a row of `side * 3` values of the first
      of four columns, 3 values apart, for each value of a row.
    row_weights: float32 [4, size], from `weights`.
    column_weights: float32 [4, size * 3], likewise.
    rounding: see above.

  Returns:
    [size, size * 3], float32 for `none`, else uint8.
  """
  second = _vertical if rounding == 'none' else _vertical_to_uint8
  # Elsewhere than on the host (tf.data runs there) it would only be copied.
  with tf.device('/CPU:0'):
    # Two programs: in one, XLA fuses the passes and computes the first 4 times.
    sums = _horizontal(window, columns, column_weights)
    return second(sums, rows, row_weights * _unit(rounding))


def _unit(rounding):
  """What the product of two weights is to be multiplied by."""
  return 1 / _SCALE**2 if rounding == 'fixed_point' else 1.0


@tf.function(
  jit_compile=True,
  autograph=False,
  input_signature=[
    tf.TensorSpec([None, None, 3], tf.uint8),
    tf.TensorSpec([None], tf.int32),
    tf.TensorSpec([4, None], tf.float32),
  ],
)
def _horizontal(window, columns, factors):
  """-> float32 [side, size * 3].

  In fixed point all numbers are integers below 2**24: exact in any order.
  """
  side = tf.shape(window)[0]
  four = gathers.along_rows(tf.reshape(window, [side, side * 3]), columns, 4)
  return tf.add_n([tf.cast(tap, tf.float32) * factors[k] for k, tap in enumerate(four)])


def _weighted_rows(sums, rows, factors):
  """-> float32 [size, size * 3], rounded after each product and each sum."""
  return _sum_in_order(
    [tf.gather(sums, rows[k]) * factors[k][:, None] for k in range(4)],
    gathers.hidden_zero(rows[0]),
  )


def _sum_in_order(products, hidden):
  """From the last to the first, as OpenCV's vector code does.

  Args:
    products: four tensors of float32.
    hidden: int32, a zero that compilers cannot know.
  """

  def same_bits(value):
    # XLA would contract product and sum into one fused operation with one
    # rounding, and TensorFlow's graph optimizer add up in an order of its own.
    return tf.bitcast(
      tf.bitwise.bitwise_xor(tf.bitcast(value, tf.int32), hidden), tf.float32
    )

  total = same_bits(products[-1])
  for product in products[-2::-1]:
    total = same_bits(same_bits(product) + total)
  return total


def _compiled_vertical(function):
  return tf.function(
    function,
    jit_compile=True,
    autograph=False,
    input_signature=[
      tf.TensorSpec([None, None], tf.float32),
      tf.TensorSpec([4, None], tf.int32),
      tf.TensorSpec([4, None], tf.float32),
    ],
  )


_vertical = _compiled_vertical(_weighted_rows)
_vertical_to_uint8 = _compiled_vertical(lambda *args: to_uint8(_weighted_rows(*args)))


def plain(
  window: tf.Tensor,
  rows: tf.Tensor,
  columns: tf.Tensor,
  row_weights: tf.Tensor,
  column_weights: tf.Tensor,
  rounding: str,
  in_tail: tf.Tensor | None = None,
) -> tf.Tensor:
  """Both passes in single operations, for a window of any shape.

  Args:
    window: uint8 [height, width, 3].
    rows: int32 [4, size], four rows of the window under each row.
    columns: int32 [4, size], likewise.
    row_weights: float32 [4, size], from `weights`.
    column_weights: float32 [4, size], likewise.
    rounding: see above.
    in_tail: bool [size, 3], the values that OpenCV computes in integers in
      fixed point.

  Returns:
    [size, size, 3], float32 for `none`, else uint8.
  """
  window = tf.cast(window, tf.float32)
  # Horizontal first. In fixed point all numbers are integers below 2**24: exact
  # in any order.
  sums = tf.add_n(
    [
      tf.gather(window, columns[k], axis=1) * column_weights[k][:, None]
      for k in range(4)
    ]
  )
  sums = [tf.gather(sums, rows[k]) for k in range(4)]
  return vertical(
    sums, row_weights[:, :, None, None], gathers.hidden_zero(rows[0]), rounding, in_tail
  )


def vertical(
  sums: Sequence[tf.Tensor],
  row_weights: tf.Tensor,
  hidden: tf.Tensor,
  rounding: str,
  in_tail: tf.Tensor | None = None,
) -> tf.Tensor:
  """The second pass, in single operations.

  Args:
    sums: the four rows of the first pass under each row, float32.
    row_weights: float32 [4, ...], of each of them, from `weights`.
    hidden: int32, a zero that compilers cannot know.
    rounding: see above.
    in_tail: bool, as for `plain`.

  Returns:
    The shape of the sums, float32 for `none`, else uint8.
  """
  # Rounded after every product and sum, in this order: exact integers here change
  # 5 to 8 values in a million.
  factors = row_weights * _unit(rounding)
  total = _sum_in_order([sums[k] * factors[k] for k in range(4)], hidden)
  if in_tail is not None:
    exact = tf.add_n(
      [tf.cast(sums[k], tf.int32) * tf.cast(row_weights[k], tf.int32) for k in range(4)]
    )
    exact = tf.bitwise.right_shift(exact + _SCALE**2 // 2, 22)
    total = tf.where(in_tail, tf.cast(exact, tf.float32), total)
  return total if rounding == 'none' else to_uint8(total)


def to_uint8(total: tf.Tensor) -> tf.Tensor:
  """Rounds float32 half to even, to uint8 0..255, as `saturate_cast<uchar>`."""
  return tf.cast(tf.clip_by_value(tf.round(total), 0, 255), tf.uint8)
