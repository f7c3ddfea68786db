"""The OpenCV protocols in TensorFlow ops, the one in fixed point bit for bit.

Decode, `cv2.resize` with INTER_CUBIC on uint8, centre crop: this is what the
published accuracies of keras.applications were measured with. The reference is
OpenCV 5.0 with IPP off (`cv2.ipp.setUseIPP(False)`); the result has no value
that differs from it. Only what the crop needs is decoded and computed. Two
other roundings are those of `cv2.resize` on float32 and with IPP on.

Flags that let XLA round otherwise than IEEE operations do break this:
`XLA_FLAGS=--xla_cpu_enable_fast_math` (2 values in a million differ by 1) and
`TF_XLA_FLAGS=--tf_xla_cpu_global_jit` (30 in a million). Neither is a default.
"""

import numpy as np
import tensorflow as tf

from tfeval.preprocess import opencv_cubic, window

# Pixels from the position of an output to the farthest of its four taps.
_REACH = 2
# OpenCV's vertical pass works on 8 values at a time. What is left of a row, its
# last 7 values at most, goes through a routine that rounds in integers.
_LANES = 8
_TAIL_COLUMNS = 3
# OpenCV leaves images that are smaller on a side to its own code (measured).
_IPP_SMALLEST_SIDE = 4


def decode_resize_crop(
  image_bytes: tf.Tensor,
  resize_side: int,
  crop_size: int,
  jit_compile: bool = True,
  rounding: str = 'fixed_point',
) -> tf.Tensor:
  """Decodes a photo, resizes its short side and crops the centre.

  With h x w the size of the photo as `cv2.imread` returns it: resize to
  h * resize_side // min(h, w) by w * resize_side // min(h, w) with
  INTER_CUBIC, then crop from row new_h // 2 - crop_size // 2 and the column
  likewise.

  Args:
    image_bytes: scalar string, an encoded JPEG or PNG (see
      `tfeval.preprocess.decode.decode`).
    resize_side: length of the short side after resizing, in pixels.
    crop_size: side of the crop, in pixels, at most `resize_side`.
    jit_compile: False takes several times as long and gives the same values in
      fixed point; without it float values differ in their last digits.
    rounding: `fixed_point`, the arithmetic of OpenCV on uint8 with IPP off, bit
      for bit; `none`, OpenCV on float32, up to the order of its sums; `nearest`,
      the latter rounded to uint8 once, as IPP does with all but narrow images.

  Returns:
    [crop_size, crop_size, 3], RGB: uint8, or float32 for `none`, of which some
    values are beyond 0..255.

  Raises:
    ValueError: `crop_size` is not in 1..`resize_side`.
    tf.errors.InvalidArgumentError: the photo cannot be decoded.
  """
  if not 1 <= crop_size <= resize_side:
    raise ValueError(
      f'crop_size must be in 1..resize_side={resize_side}, got {crop_size}'
    )
  crop = Crop(resize_side, crop_size, rounding)
  shape, low, pixels = window.decode_window(image_bytes, crop.ladder_window)
  if not jit_compile or crop.reaches_tail:
    resized = crop.resize_plain(pixels, shape, low)
  else:
    resized = crop.resize_compiled(pixels, shape, low)
  return tf.ensure_shape(resized, [crop_size, crop_size, 3])


def resize_crop(
  image: tf.Tensor, resized: tf.Tensor, first: tf.Tensor, size: int, rounding: str
) -> tf.Tensor:
  """Resizes a decoded image with INTER_CUBIC and crops it.

  Args:
    image: uint8 [height, width, 3].
    resized: int64 [2], height and width after resizing.
    first: int64 [2], first row and column of the crop in the resized image.
    size: side of the crop, in pixels.
    rounding: as for `decode_resize_crop`.

  Returns:
    [size, size, 3], float32 for `none`, else uint8.
  """
  return _resize_window(
    image,
    tf.shape(image, tf.int64)[:2],
    tf.zeros([2], tf.int32),
    resized,
    first,
    size,
    rounding,
  )


def resize(image: tf.Tensor, resized: tf.Tensor, rounding: str) -> tf.Tensor:
  """Resizes a decoded image with INTER_CUBIC, all of it.

  Args:
    image: uint8 [height, width, 3].
    resized: int64 [2], height and width after resizing.
    rounding: as for `decode_resize_crop`.

  Returns:
    [resized height, resized width, 3], float32 for `none`, else uint8.
  """
  zeros = tf.zeros([2], tf.int64)
  shape = tf.shape(image, tf.int64)[:2]
  return _resize_window(
    image, shape, tf.zeros([2], tf.int32), resized, zeros, resized, rounding
  )


def _resize_window(pixels, shape, low, resized, first, size, rounding):
  """As `resize_crop`, from a window of an image of `shape` that begins at `low`.

  `size` may be int64 [2], height and width of the crop.
  """
  if rounding == 'nearest':

    def resize(rounding):
      return lambda: _resize_window(pixels, shape, low, resized, first, size, rounding)

    return tf.cond(
      _is_left_by_ipp(shape),
      resize('fixed_point'),
      lambda: opencv_cubic.to_uint8(resize('none')()),
    )
  taps, weights = [], []
  for i, side in enumerate(
    (size, size) if isinstance(size, int) else (size[0], size[1])
  ):
    index = first[i] + tf.range(side, dtype=tf.int64)
    floor, four = opencv_cubic.weights_along(shape[i], resized[i], index, rounding)
    at = floor + np.arange(-1, 3, dtype=np.int32)[:, None]
    at = tf.clip_by_value(at, 0, tf.cast(shape[i], tf.int32) - 1)
    taps.append(at - low[i])
    weights.append(four)
  in_tail = None
  if rounding == 'fixed_point':
    in_tail = tail(resized[1], first[1], side)
  return opencv_cubic.plain(pixels, *taps, *weights, rounding, in_tail)


def _is_left_by_ipp(shape):
  return tf.reduce_min(shape) < _IPP_SMALLEST_SIDE


def tail(width: tf.Tensor, first: tf.Tensor, size: int) -> tf.Tensor:
  """Tells which values of a row OpenCV rounds in integers.

  Args:
    width: of the resized photo; of a batch, int64 [n, 1, 1].
    first: column of it where the row begins, likewise.
    size: columns of the row; an integer, or int64 [].

  Returns:
    bool [size, 3], of a batch [n, size, 3].
  """
  column = first + tf.range(size, dtype=tf.int64)[:, None]
  return 3 * column + np.arange(3) >= 3 * width // _LANES * _LANES


class Crop:
  """Centre crop of `size` pixels after resizing the short side to `side`.

  Attributes:
    reaches_tail: whether it can have values that OpenCV rounds in integers.
  """

  def __init__(self, side: int, size: int, rounding: str):
    self._side = side
    self._size = size
    self._rounding = rounding
    self.reaches_tail = rounding == 'fixed_point' and side - size < 2 * _TAIL_COLUMNS

  def place(self, shape: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns where the crop is.

    Args:
      shape: int64 [..., 2], height and width of the photo.

    Returns:
      int64 [..., 2], height and width after resizing, and int64 [..., 2], first
      row and column of the crop there.
    """
    resized = shape * self._side // tf.reduce_min(shape, -1, keepdims=True)
    return resized, resized // 2 - self._size // 2

  def crop_window(self, shape: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """As `window.crop_window`, for a photo of int64 [2] height and width."""
    return window.crop_window(shape, *self.place(shape), self._size, _REACH)

  def ladder_window(self, shape: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """As `window.ladder_window`, for a photo of int64 [2] height and width."""
    return window.ladder_window(shape, *self.place(shape), self._size, _REACH)

  def resize_plain(
    self, pixels: tf.Tensor, shape: tf.Tensor, low: tf.Tensor
  ) -> tf.Tensor:
    """Resizes what `window.decode` returns of a photo, uncompiled."""
    return _resize_window(
      pixels, shape, low, *self.place(shape), self._size, self._rounding
    )

  def resize_compiled(
    self, pixels: tf.Tensor, shape: tf.Tensor, low: tf.Tensor
  ) -> tf.Tensor:
    """The same, compiled where that can be."""
    size = self._size
    floor, weights = opencv_cubic.weights(
      shape, *self.place(shape), size, self._rounding
    )

    def resize():
      taps = floor[:size] + np.arange(-1, 3, dtype=np.int32)[:, None]
      rows = tf.clip_by_value(taps, 0, tf.cast(shape[0], tf.int32) - 1) - low[0]
      channel = np.tile(np.arange(3, dtype=np.int32), size)
      columns = (floor[size:] - (low[1] + 1)) * 3 + channel
      return tf.reshape(
        opencv_cubic.compiled(
          window.padded(pixels),
          rows,
          columns,
          weights[:, :size],
          weights[:, size:],
          self._rounding,
        ),
        [size, size, 3],
      )

    # Compiled code takes four columns in a row: none beyond the photo.
    compilable = floor[size] >= 1
    compilable &= floor[-1] + 3 <= tf.cast(shape[1], tf.int32)
    compilable &= window.is_on_ladder(pixels)
    if self._rounding == 'nearest':
      compilable &= ~_is_left_by_ipp(shape)
    return tf.cond(
      compilable,
      resize,
      lambda: window.not_inlined(self.resize_plain)(pixels, shape, low),
    )
