"""Pillow's resize, bit for bit, in TensorFlow ops.

The reference is Pillow 13: `ImagingResample` (src/libImaging/Resample.c), with
kernels that widen when the image shrinks, coefficients in 22-bit fixed point and
rounding to uint8 after each pass, and for nearest neighbour `ImagingScaleAffine`
(src/libImaging/Geometry.c).
"""

import tensorflow as tf

# PRECISION_BITS = 32 - 8 - 2 in Resample.c.
_BITS = 22
# A coefficient is high * 2**11 + low: products of the halves with uint8 values sum
# up exactly in float32, which a matrix product needs.
_LOW_BITS = 11
_SUPPORT = {'bilinear': 1.0, 'cubic': 2.0}


def resize_crop(image: tf.Tensor, resized: tf.Tensor, first: tf.Tensor, size: int,
                kernel: str) -> tf.Tensor:
  """Resizes a decoded image as `PIL.Image.resize` and crops it.

  Args:
    image: uint8 [height, width, 3].
    resized: int64 [2], height and width after resizing.
    first: int64 [2], first row and column of the crop in the resized image.
    size: side of the crop, in pixels.
    kernel: `cubic` (A = -0.5), `bilinear` or `nearest`; all but the last widen
      when the image shrinks.

  Returns:
    uint8 [size, size, 3].
  """
  shape = tf.shape(image, tf.int64)[:2]
  indices = first[:, None] + tf.range(size, dtype=tf.int64)
  if kernel == 'nearest':
    rows, columns = (_nearest(shape[i], resized[i], indices[i]) for i in (0, 1))
    return tf.gather(tf.gather(image, rows), columns, axis=1)
  (top, rows), (left, columns) = (
      _coefficients(kernel, shape[i], resized[i], indices[i]) for i in (0, 1))
  window = image[top:top + tf.shape(rows)[1], left:left + tf.shape(columns)[1]]
  # New in Pillow 13, so that the longer pass has less to do. Both orders round in
  # between: earlier versions differ by 1 in images much higher than wide.
  shrinks = shape - resized
  return tf.cond(
      (shrinks[0] > 0) & (shrinks[0] > 2 * shrinks[1]),
      lambda: _horizontal(_vertical(window, rows), columns),
      lambda: _vertical(_horizontal(window, columns), rows))


def _vertical(image: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
  """Applies int32 [out, height] coefficients to uint8 [height, width, 3]."""
  width = tf.shape(image)[1]
  lines = _pass(rows, tf.reshape(image, [-1, width * 3]))
  return tf.reshape(lines, [-1, width, 3])


def _horizontal(image: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
  """Applies int32 [out, width] coefficients to uint8 [height, width, 3]."""
  return tf.transpose(_vertical(tf.transpose(image, [1, 0, 2]), columns), [1, 0, 2])


def _pass(coefficients: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
  """Returns uint8 [out, m] for int32 [out, n] and uint8 [n, m]."""
  high = tf.bitwise.right_shift(coefficients, _LOW_BITS)
  low = coefficients - tf.bitwise.left_shift(high, _LOW_BITS)
  halves = tf.cast(tf.concat([high, low], 0), tf.float32)
  sums = tf.cast(tf.matmul(halves, tf.cast(values, tf.float32)), tf.int32)
  high, low = tf.split(sums, 2)
  total = tf.bitwise.left_shift(high, _LOW_BITS) + low + (1 << (_BITS - 1))
  return tf.cast(tf.clip_by_value(tf.bitwise.right_shift(total, _BITS), 0, 255),
                 tf.uint8)


def _coefficients(kernel: str, source: tf.Tensor, target: tf.Tensor,
                 indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
  """Returns the coefficients of some rows or columns of a resized image.

  Args:
    kernel: `bilinear` or `cubic`.
    source: scalar int64, length of the axis before.
    target: scalar int64, length of the axis after.
    indices: int64 [out], consecutive positions in the resized axis.

  Returns:
    The first source index that has a coefficient, scalar int32, and the
    coefficients from there to the last: int32 [out, n], in units of 2**-22.
  """
  scale = tf.cast(source, tf.float64) / tf.cast(target, tf.float64)
  widening = tf.maximum(scale, 1.0)
  support = _SUPPORT[kernel] * widening
  taps = 2 * tf.cast(tf.math.ceil(support), tf.int32) + 1
  center = (tf.cast(indices, tf.float64) + 0.5) * scale
  # C's (int) truncates; what is negative is set to 0 anyway.
  first = tf.maximum(tf.cast(center - support + 0.5, tf.int32), 0)
  last = tf.minimum(tf.cast(center + support + 0.5, tf.int32),
                    tf.cast(source, tf.int32))
  at = first[:, None] + tf.range(taps)
  distance = (tf.cast(at, tf.float64) - center[:, None] + 0.5) * (1 / widening)
  weights = tf.where(at < last[:, None], _kernel(kernel, tf.abs(distance)), 0)
  weights /= _sum_in_order(weights)
  scaled = weights * (1 << _BITS)
  fixed = tf.cast(tf.where(scaled < 0, scaled - 0.5, scaled + 0.5), tf.int32)
  return first[0], _dense(fixed, at - first[0], last[-1] - first[0])


def _nearest(source: tf.Tensor, target: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
  """Returns the source indices that Pillow's NEAREST picks, int32 [out]."""
  step = tf.cast(source, tf.float64) / tf.cast(target, tf.float64)
  # Pillow adds step to step, and its rounding errors decide where two are equal.
  steps = tf.fill([indices[-1] + 1], step)
  position = tf.cumsum(tf.tensor_scatter_nd_update(steps, [[0]], [step * 0.5]))
  return tf.cast(tf.gather(position, indices), tf.int32)


def _kernel(name: str, x: tf.Tensor) -> tf.Tensor:
  """`bilinear_filter` and `bicubic_filter` of Resample.c, for x >= 0."""
  if name == 'bilinear':
    return tf.maximum(1 - x, 0)
  a = -0.5
  near = ((a + 2) * x - (a + 3)) * x * x + 1
  far = (((x - 5) * x + 8) * x - 4) * a
  return tf.where(x < 1, near, tf.where(x < 2, far, 0))


def _sum_in_order(weights: tf.Tensor) -> tf.Tensor:
  """Sums along the last axis from the left, as the C loop does: [out, 1]."""
  return tf.cumsum(weights, axis=1)[:, -1:]


def _dense(fixed: tf.Tensor, at: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
  """Spreads int32 [out, taps] at columns `at` over int32 [out, width]."""
  out = tf.broadcast_to(tf.range(tf.shape(at)[0])[:, None], tf.shape(at))
  # Taps past the end have a coefficient of 0; add them where they do no harm.
  indices = tf.stack([out, tf.minimum(at, width - 1)], -1)
  return tf.scatter_nd(indices, fixed, tf.stack([tf.shape(at)[0], width]))
