"""The other kernels of `cv2.resize` on uint8, bit for bit: nearest, bilinear, area.

The reference is OpenCV 5.0 with IPP off (`modules/imgproc/src/resize.cpp`), as for the
cubic; single operations on a decoded image, of which only the crop is computed.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfeval.preprocess import opencv_cubic

# INTER_RESIZE_COEF_SCALE: the bilinear weights are fixed-point numbers of 11 bits.
_SCALE = 2048
# Of `computeResizeAreaTab`: less of a source pixel than this is left out.
_LEAST_SHARE = 1e-3
# DBL_EPSILON: how near to whole numbers scales are for the sums of whole pixels.
_EPSILON = np.finfo(np.float64).eps


class Axis(NamedTuple):
  """What an axis of the crop is made of.

  Attributes:
    index: int64 [size], rows or columns of the resized image.
    source: int64 [], length of the image along it.
    scale: float64 [], source pixels under a resized one.
    inverse: float64 [], its inverse, as OpenCV has it: target / source.
  """

  index: tf.Tensor
  source: tf.Tensor
  scale: tf.Tensor
  inverse: tf.Tensor


def resize_crop(
  image: tf.Tensor,
  resized: tf.Tensor,
  first: tf.Tensor,
  size: int | tf.Tensor,
  kernel: str,
) -> tf.Tensor:
  """Resizes a decoded image and crops it.

  Args:
    image: uint8 [height, width, 3].
    resized: int64 [2], height and width after resizing.
    first: int64 [2], first row and column of the crop in the resized image.
    size: side of the crop, in pixels; or int64 [2], its height and width.
    kernel: `nearest` (INTER_NEAREST), `bilinear` (INTER_LINEAR) or `area` (INTER_AREA).

  Returns:
    uint8 [size, size, 3], or [height, width, 3].
  """
  # Not a constant: of a division by one graphs make a product that rounds otherwise.
  source = tf.shape(image, tf.int64)[:2] + tf.bitwise.right_shift(resized, 63)
  inverse = tf.cast(resized, tf.float64) / tf.cast(source, tf.float64)
  scale = 1 / inverse
  sides = (size, size) if isinstance(size, int) else (size[0], size[1])
  index = [first[i] + tf.range(side, dtype=tf.int64) for i, side in enumerate(sides)]
  rows, columns = (Axis(index[i], source[i], scale[i], inverse[i]) for i in range(2))
  if kernel == 'nearest':
    return _take(image, _nearest(rows), _nearest(columns))
  if kernel == 'bilinear':
    return _bilinear(image, _linear(rows), _inside(columns, *_linear(columns)))
  return tf.cond(
    (rows.scale >= 1) & (columns.scale >= 1),
    lambda: _area(image, rows, columns),
    lambda: _bilinear(image, _enlarged(rows), _inside(columns, *_enlarged(columns))),
  )


def _take(image, rows, columns):
  return tf.gather(tf.gather(image, rows), columns, axis=1)


def _nearest(axis):
  at = tf.floor(tf.cast(axis.index, tf.float64) * axis.scale)
  return tf.minimum(tf.cast(at, tf.int64), axis.source - 1)


def _linear(axis):
  """-> int64 [size], the first of two source pixels; float32 [size], the other's share.

  Centres of pixels on each other; of float64 rounded once to float32, as in OpenCV.
  """
  at = (tf.cast(axis.index, tf.float64) + 0.5) * axis.scale - 0.5
  at = tf.cast(at, tf.float32)
  floor = tf.floor(at)
  return tf.cast(floor, tf.int64), at - floor


def _enlarged(axis):
  """The same of INTER_AREA where an axis grows: no share within a source pixel."""
  at = tf.cast(axis.index, tf.float64)
  floor = tf.floor(at * axis.scale)
  share = tf.cast((at + 1) - (floor + 1) * axis.inverse, tf.float32)
  return tf.cast(floor, tf.int64), tf.where(share <= 0, 0.0, share - tf.floor(share))


def _inside(axis, floor, share):
  """What OpenCV does at the ends of rows alone: no share of what is beyond."""
  beyond = (floor < 0) | (floor >= axis.source - 1)
  return tf.clip_by_value(floor, 0, axis.source - 1), tf.where(beyond, 0.0, share)


def _bilinear(image, rows, columns):
  """Two passes in integers: exact up to the shifts, which are those of OpenCV."""
  height, width = tf.unstack(tf.shape(image, tf.int64)[:2])
  (row, row_share), (column, column_share) = rows, columns

  def fixed(share):
    return [tf.cast(tf.round(s * _SCALE), tf.int32) for s in (1 - share, share)]

  left, right = (weights[:, None] for weights in fixed(column_share))
  pair = (column, tf.minimum(column + 1, width - 1))
  total = 0
  for step, weights in enumerate(fixed(row_share)):
    lines = tf.gather(image, tf.clip_by_value(row + step, 0, height - 1))
    first, second = (tf.cast(tf.gather(lines, c, axis=1), tf.int32) for c in pair)
    sums = tf.bitwise.right_shift(first * left + second * right, 4)
    total += tf.bitwise.right_shift(weights[:, None, None] * sums, 16)
  rounded = tf.bitwise.right_shift(total + 2, 2)
  return tf.cast(tf.clip_by_value(rounded, 0, 255), tf.uint8)


def _area(image, rows, columns):
  whole = tf.reduce_all(
    [_is_whole(axis.scale) for axis in (rows, columns)]
  )  # Sums of whole pixels then, divided once.
  row_taps, row_shares = _covered(rows, whole)
  column_taps, column_shares = _covered(columns, whole)
  low = row_taps[0, 0]
  lines = tf.cast(image[low : tf.reduce_max(row_taps) + 1], tf.float32)
  sums = _accumulated(lines, column_taps, column_shares[..., None], 1)
  sums = _accumulated(sums, row_taps - low, row_shares[..., None, None], 0)
  return tf.cond(
    whole,
    lambda: _divided(sums, tf.round(rows.scale) * tf.round(columns.scale)),
    lambda: opencv_cubic.to_uint8(sums),
  )


def _is_whole(scale):
  return tf.abs(scale - tf.round(scale)) < _EPSILON


def _divided(sums, count):
  # Four pixels are an average that rounds halves up.
  return tf.cond(
    tf.equal(count, 4),
    lambda: tf.cast(tf.floor((sums + 2) / 4), tf.uint8),
    # The cast keeps graphs from dividing by the count instead.
    lambda: opencv_cubic.to_uint8(sums * tf.cast(1 / count, tf.float32)),
  )


def _covered(axis, whole):
  """Which source pixels a resized one covers, and how much of it each one is.

  `computeResizeAreaTab`, in float64 and rounded to float32 at the end.

  Returns:
    int64 [taps, size], in order; float32 [taps, size], 0 where there are fewer taps,
    and 1 of whole pixels.
  """
  start = tf.cast(axis.index, tf.float64) * axis.scale
  stop = start + axis.scale
  length = tf.cast(axis.source, tf.float64)
  cell = tf.minimum(axis.scale, length - start)
  last = tf.minimum(tf.floor(stop), length - 1)
  first = tf.minimum(tf.math.ceil(start), last)
  count = tf.cast(tf.reduce_max(last - first), tf.int64) + 2
  step = tf.range(count)[:, None] - 1
  tap = tf.cast(first, tf.int64) + step
  before = tf.where(first - start > _LEAST_SHARE, (first - start) / cell, 0.0)
  behind = tf.minimum(tf.minimum(stop - last, 1.0), cell) / cell
  behind = tf.where(stop - last > _LEAST_SHARE, behind, 0.0)
  end = tf.cast(last, tf.int64)
  share = tf.where(
    step < 0,
    before,
    tf.where(tap < end, 1 / cell, tf.where(tf.equal(tap, end), behind, 0.0)),
  )
  share = tf.where(whole, tf.cast(share > 0, tf.float64), share)
  return tf.clip_by_value(tap, 0, axis.source - 1), tf.cast(share, tf.float32)


def _accumulated(lines, taps, shares, axis):
  """Adds one tap after the other, each product and sum rounded to float32."""

  def add(k, total):
    return k + 1, total + tf.gather(lines, taps[k], axis=axis) * shares[k]

  total = tf.zeros_like(tf.gather(lines, taps[0], axis=axis))
  return tf.while_loop(
    lambda k, _: k < tf.shape(taps)[0], add, (0, total), parallel_iterations=1
  )[1]
