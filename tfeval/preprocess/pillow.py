"""Pillow's resize, bit for bit, in TensorFlow ops.

The reference is Pillow 13: `ImagingResample` (src/libImaging/Resample.c), with
kernels that widen when the image shrinks, coefficients in 22-bit fixed point and
rounding to uint8 after each pass, and for nearest neighbour `ImagingScaleAffine`
(src/libImaging/Geometry.c). Only what the crop needs is decoded and computed.
"""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from tfeval.preprocess import pillow_resample, window

_SUPPORT = {'bilinear': 1.0, 'cubic': 2.0}


def decode_resize_crop(
  image_bytes: tf.Tensor,
  place: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]],
  size: int,
  kernel: str,
  exif: bool = False,
  fast: bool = False,
  jit_compile: bool = True,
  fill: Sequence[int] | None = None,
) -> tf.Tensor:
  """Decodes an image, resizes it as `PIL.Image.resize` and crops it.

  Args:
    image_bytes: scalar string, an encoded JPEG or PNG.
    place: for the shape of the image, int64 [2], height and width after resizing
      and the first row and column of the crop in the resized image, int64 [2].
    size: side of the crop, in pixels.
    kernel: `cubic` (A = -0.5), `bilinear` or `nearest`; all but the last widen
      when the image shrinks.
    exif: whether the image is turned as its EXIF block asks.
    fast: as for `tfeval.preprocess.decode.decode`.
    jit_compile: False for a TensorFlow without XLA on the CPU; the values are
      the same, the resizing takes several times as long.
    fill: RGB in [0, 255] of what of the crop is beside the resized image; None where
      the crop is inside of it.

  Returns:
    uint8 [size, size, 3].

  Raises:
    tf.errors.InvalidArgumentError: the image cannot be decoded.
  """

  def window_of(shape):
    resized, first = place(shape)
    reach = tf.math.ceil(_support(kernel, _scale(shape, resized)))
    return window.ladder_window(shape, resized, first, size, tf.cast(reach, tf.int64))

  shape, low, pixels = window.decode_window(image_bytes, window_of, exif, fast)
  resized, first = place(shape)
  indices = first[:, None] + tf.range(size, dtype=tf.int64)
  if fill is not None:
    # What is beside the image is computed as its edge, and then painted over.
    wanted, indices = indices, tf.clip_by_value(indices, 0, resized[:, None] - 1)
    inside = tf.equal(wanted, indices)
    is_image = (inside[0][:, None] & inside[1])[..., None]
  found = _resized(shape, low, pixels, resized, indices, kernel, jit_compile)
  return found if fill is None else tf.where(is_image, found, np.uint8(fill))


def _resized(shape, low, pixels, resized, indices, kernel, jit_compile):
  """Returns the rows and columns `indices` of an image of which a window is there."""
  if kernel == 'nearest':
    rows, columns = (
      _nearest(shape[i], resized[i], indices[i]) - low[i] for i in (0, 1)
    )
    return tf.gather(tf.gather(pixels, rows), columns, axis=1)
  at, coefficients = _coefficients(
    kernel, shape, resized, indices, low + window.side_of(pixels)
  )
  args = pixels, at - low[:, None], coefficients, _is_vertical_first(shape, resized)
  if not jit_compile:
    return pillow_resample.plain(*args)
  return tf.cond(
    window.is_on_ladder(pixels)
    & pillow_resample.is_on_ladder(tf.shape(coefficients)[1]),
    lambda: pillow_resample.compiled(*args),
    lambda: window.not_inlined(pillow_resample.plain)(*args),
  )


def resize(image: tf.Tensor, resized: tf.Tensor, kernel: str) -> tf.Tensor:
  """Resizes a decoded image as `PIL.Image.resize`, all of it.

  Args:
    image: uint8 [height, width, 3].
    resized: int64 [2], height and width after resizing.
    kernel: as for `decode_resize_crop`.

  Returns:
    uint8 [resized height, resized width, 3].
  """
  indices = [tf.range(resized[i]) for i in (0, 1)]
  shape = tf.shape(image, tf.int64)[:2]
  if kernel == 'nearest':
    rows, columns = (_nearest(shape[i], resized[i], indices[i]) for i in (0, 1))
    return tf.gather(tf.gather(image, rows), columns, axis=1)
  end = window.side_of(image)[None]
  axes = [
    _coefficients(kernel, shape[i : i + 1], resized[i : i + 1], indices[i][None], end)
    for i in (0, 1)
  ]
  return pillow_resample.plain(
    image,
    [first[0] for first, _ in axes],
    [coefficients[0] for _, coefficients in axes],
    _is_vertical_first(shape, resized),
  )


def _is_vertical_first(shape, resized):
  # New in Pillow 13, so that the longer pass has less to do. Both orders round in
  # between: earlier versions differ by 1 in images much higher than wide.
  shrinks = shape - resized
  return (shrinks[0] > 0) & (shrinks[0] > 2 * shrinks[1])


def _scale(shape, resized):
  return tf.cast(shape, tf.float64) / tf.cast(resized, tf.float64)


def _support(kernel, scale):
  """How far the kernel reaches to one side, in pixels of the image."""
  return _SUPPORT.get(kernel, 0.0) * tf.maximum(scale, 1.0)


def _coefficients(
  kernel: str, source: tf.Tensor, target: tf.Tensor, indices: tf.Tensor, end: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
  """Returns the coefficients of some rows and columns of a resized image.

  Args:
    kernel: `bilinear` or `cubic`.
    source: int64 [2], height and width before.
    target: int64 [2], height and width after.
    indices: int64 [2, out], consecutive rows and columns of the resized image.
    end: int32 [2], row and column before which the taps have to end, if their
      number is on the ladder.

  Returns:
    The first source row and the first source column of each, int32 [2, out], and
    the coefficients from there on, int32 [2, taps, out], in units of 2**-22.
  """
  scale = _scale(source, target)[:, None]
  support = _support(kernel, scale)
  taps = pillow_resample.rung(
    tf.cast(tf.math.ceil(2 * tf.reduce_max(support)), tf.int32)
  )
  center = (tf.cast(indices, tf.float64) + 0.5) * scale
  # C's (int) truncates; what is negative is set to 0 anyway.
  first = tf.maximum(tf.cast(center - support + 0.5, tf.int32), 0)
  last = tf.minimum(
    tf.cast(center + support + 0.5, tf.int32), tf.cast(source, tf.int32)[:, None]
  )
  start = tf.minimum(first, end[:, None] - taps)
  at = start[:, None] + tf.range(taps)[:, None]
  distance = (tf.cast(at, tf.float64) - center[:, None] + 0.5) * (
    1 / tf.maximum(scale, 1.0)
  )[:, None]
  weights = tf.where(
    (at >= first[:, None]) & (at < last[:, None]), _kernel(kernel, tf.abs(distance)), 0
  )
  # From the left, as the C loop does.
  weights /= tf.cumsum(weights, axis=1)[:, -1:]
  scaled = weights * (1 << pillow_resample.BITS)
  return start, tf.cast(tf.where(scaled < 0, scaled - 0.5, scaled + 0.5), tf.int32)


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
