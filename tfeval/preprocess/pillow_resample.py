"""The passes of Pillow's resize, bit for bit.

The reference is Pillow 13: `ImagingResample` (src/libImaging/Resample.c) with
coefficients in 22-bit fixed point and rounding to uint8 after each pass.
`compiled` and `plain` give the same values; `plain` takes several times as long,
but any window, any number of taps and no compiling.
"""

import functools

import tensorflow as tf

from tfeval.preprocess import gathers, window

# PRECISION_BITS = 32 - 8 - 2 in Resample.c.
BITS = 22
# Numbers of taps are raised to one of these, so that few programs are compiled.
# All of them fit into the smallest window.
_FEW = 4, 6, 8, 12
_LADDER = *_FEW, 16, 24, 36, 48


def rung(count: tf.Tensor) -> tf.Tensor:
  """Returns the lowest number of the ladder from `count` on, or `count`."""
  ladder = tf.constant(_LADDER, count.dtype)
  return tf.reduce_min(tf.where(ladder >= count, ladder, tf.maximum(count, ladder[-1])))


def is_on_ladder(count: tf.Tensor) -> tf.Tensor:
  """Whether `compiled` takes so many taps, scalar bool."""
  return count <= _LADDER[-1]


def compiled(
  pixels: tf.Tensor,
  first: tf.Tensor,
  coefficients: tf.Tensor,
  vertical_first: tf.Tensor,
) -> tf.Tensor:
  """Both passes, compiled by XLA for the CPU.

  Each shape of window and number of taps is compiled once, in about 0.2 s.

  Args:
    pixels: uint8 [height, width, 3], a window on its ladder.
    first: int32 [2, size], the first of the rows of the window, then of the
      columns, under each row and each column of the result.
    coefficients: int32 [2, taps, size], `taps` of the ladder.
    vertical_first: scalar bool, which pass is first; both round.

  Returns:
    uint8 [size, size, 3].
  """
  size = first.shape[1]
  columns = tf.repeat(first[1] * 3, 3) + tf.tile([0, 1, 2], [size])
  # Three values of a pixel have the same coefficients.
  of_columns = tf.repeat(coefficients[1], 3, axis=1)
  pixels = window.padded(pixels)
  lines = tf.reshape(pixels, [tf.shape(pixels)[0], -1])
  # Elsewhere than on the host (tf.data runs there) it would only be copied.
  with tf.device('/CPU:0'):
    # Two programs: in one, XLA fuses the passes and computes the first anew for
    # each tap of the second.
    result = tf.cond(
      vertical_first,
      lambda: _compiled_horizontal(
        _sum_of_rows(lines, first[0], coefficients[0]), columns, of_columns
      ),
      lambda: _sum_of_rows(
        _compiled_horizontal(lines, columns, of_columns), first[0], coefficients[0]
      ),
    )
  return tf.reshape(result, [size, size, 3])


def _compiled_horizontal(lines, columns, factors):
  def few(count):
    return lambda: _sum_of_few_columns(count)(
      lines, columns, tf.ensure_shape(factors, [count, None])
    )

  place = tf.reduce_sum(tf.cast(tf.shape(factors)[0] > _FEW, tf.int32))
  return tf.switch_case(
    place,
    [few(count) for count in _FEW] + [lambda: _sum_of_columns(lines, columns, factors)],
  )


def _program(function):
  """-> for uint8 [height, width], int32 [m] and int32 [taps, m]."""
  return tf.function(
    function,
    jit_compile=True,
    autograph=False,
    input_signature=[
      tf.TensorSpec([None, None], tf.uint8),
      tf.TensorSpec([None], tf.int32),
      tf.TensorSpec([None, None], tf.int32),
    ],
  )


@functools.cache
def _sum_of_few_columns(count):
  """-> as `_sum_of_columns`, for `count` taps: in two thirds of the time."""

  def program(lines, columns, factors):
    pixels = gathers.along_rows(lines, columns, count)
    return _to_uint8(tf.add_n([pixel * factors[k] for k, pixel in enumerate(pixels)]))

  return _program(program)


# Sums stay below 2**31, as in Pillow. Products in int32 take a third of the time
# of products in halves that float32 holds, or in float64.


@_program
def _sum_of_columns(lines, columns, factors):
  """-> uint8 [height, m]."""
  count = tf.shape(factors)[0]
  at = tf.reshape(columns + 3 * tf.range(count)[:, None], [-1])
  pixels = tf.cast(tf.gather(lines, at, axis=1), tf.int32)
  pixels = tf.reshape(pixels, [tf.shape(lines)[0], count, -1])
  return _to_uint8(tf.reduce_sum(pixels * factors, 1))


@_program
def _sum_of_rows(lines, rows, factors):
  """-> uint8 [m, width]."""
  at = rows + tf.range(tf.shape(factors)[0])[:, None]
  pixels = tf.cast(tf.gather(lines, at), tf.int32)
  return _to_uint8(tf.reduce_sum(pixels * factors[:, :, None], 0))


def plain(
  pixels: tf.Tensor,
  first: tf.Tensor,
  coefficients: tf.Tensor,
  vertical_first: tf.Tensor,
) -> tf.Tensor:
  """Both passes as matrix products: as `compiled`, for any window and any taps."""
  rows, columns = (
    _dense(coefficients[i], first[i], tf.shape(pixels)[i]) for i in (0, 1)
  )
  return tf.cond(
    vertical_first,
    lambda: _horizontal(_vertical(pixels, rows), columns),
    lambda: _vertical(_horizontal(pixels, columns), rows),
  )


def _vertical(image, rows):
  """Applies int32 [out, height] coefficients to uint8 [height, width, 3]."""
  width = tf.shape(image)[1]
  lines = _pass(rows, tf.reshape(image, [-1, width * 3]))
  return tf.reshape(lines, [-1, width, 3])


def _horizontal(image, columns):
  """Applies int32 [out, width] coefficients to uint8 [height, width, 3]."""
  return tf.transpose(_vertical(tf.transpose(image, [1, 0, 2]), columns), [1, 0, 2])


# Values in float64 at once: all of a large photo would take eight times its bytes.
_STRIP = 1 << 22


def _pass(coefficients, values):
  """-> uint8 [out, m] for int32 [out, n] and uint8 [n, m]."""
  factors = tf.cast(coefficients, tf.float64)
  strip = tf.maximum(1, _STRIP // tf.shape(values)[0])
  starts = tf.range(0, tf.shape(values)[1], strip)

  def add(number, strips):
    start = starts[number]
    part = tf.cast(values[:, start : start + strip], tf.float64)
    # Integers below 2**53: exact in any order.
    sums = tf.matmul(part, factors, transpose_a=True, transpose_b=True)
    return number + 1, strips.write(number, _to_uint8(tf.cast(sums, tf.int32)))

  count = tf.size(starts)
  empty = tf.TensorArray(tf.uint8, count, infer_shape=False, element_shape=[None, None])
  _, strips = tf.while_loop(
    lambda number, _: number < count, add, (0, empty), parallel_iterations=1
  )
  return tf.transpose(strips.concat())


def _dense(coefficients, first, width):
  """Spreads int32 [taps, out] at columns from `first` on over int32 [out, width]."""
  at = first + tf.range(tf.shape(coefficients)[0])[:, None]
  out = tf.broadcast_to(tf.range(tf.shape(at)[1]), tf.shape(at))
  # Taps outside have a coefficient of 0; add them where they do no harm.
  at = tf.clip_by_value(at, 0, width - 1)
  return tf.scatter_nd(
    tf.stack([out, at], -1), coefficients, tf.stack([tf.shape(at)[1], width])
  )


def _to_uint8(total):
  """Rounds int32 in units of 2**-22 half up."""
  total = tf.bitwise.right_shift(total + (1 << (BITS - 1)), BITS)
  return tf.cast(tf.clip_by_value(total, 0, 255), tf.uint8)
