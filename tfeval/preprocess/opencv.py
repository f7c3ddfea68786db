"""The OpenCV protocol, bit for bit, in TensorFlow ops.

Decode, `cv2.resize` with INTER_CUBIC on uint8, centre crop: this is what the
published accuracies of keras.applications were measured with. The reference is
OpenCV 5.0 with IPP off (`cv2.ipp.setUseIPP(False)`); the result has no value
that differs from it. Only what the crop needs is decoded and computed.

Flags that let XLA round otherwise than IEEE operations do break this:
`XLA_FLAGS=--xla_cpu_enable_fast_math` (2 values in a million differ by 1) and
`TF_XLA_FLAGS=--tf_xla_cpu_global_jit` (30 in a million). Neither is a default.
"""

import numpy as np
import tensorflow as tf

from tfeval.preprocess import cubic, exif
from tfeval.preprocess import decode as decoding

# Columns decoded on each side beyond the taps. Chroma upsampling (factor 2 is
# interpolated, others are copied) makes 1 column at each end of a window differ
# from the middle of the photo.
_MARGIN = 2
# OpenCV's vertical pass works on 8 values at a time. What is left of a row, its
# last 7 values at most, goes through a routine that rounds in integers.
_LANES = 8
_TAIL_COLUMNS = 3
# OpenCV leaves images that are smaller on a side to its own code (measured).
_IPP_SMALLEST_SIDE = 4
# Windows are widened to a side from this ladder, so that few shapes are compiled.
_LADDER = np.array([
    64, 128, 192, 256, 320, 352, 448, 512, 640, 768, 1024, 1536, 2048])


def decode_resize_crop(
    image_bytes: tf.Tensor, resize_side: int, crop_size: int,
    jit_compile: bool = True) -> tf.Tensor:
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
    jit_compile: False for a TensorFlow without XLA on the CPU; the values are
      the same, the resizing takes several times as long.

  Returns:
    uint8 [crop_size, crop_size, 3], RGB, 0..255.

  Raises:
    ValueError: `crop_size` is not in 1..`resize_side`.
    tf.errors.InvalidArgumentError: the photo cannot be decoded.
  """
  if not 1 <= crop_size <= resize_side:
    raise ValueError(
        f'crop_size must be in 1..resize_side={resize_side}, got {crop_size}')
  crop = _Crop(resize_side, crop_size)
  shape, low, window = tf.cond(
      _is_window_decodable(image_bytes),
      lambda: crop.window_of_jpeg(image_bytes),
      lambda: crop.window_of_image(_rare(decoding.decode)(image_bytes)))
  target, first = crop.place(shape)
  floor, weights = cubic.weights(shape, target, first, crop_size)
  # Compiled code takes four columns in a row: none beyond the photo, no tail.
  inner = floor[crop_size] >= 1
  inner &= floor[-1] + 3 <= tf.cast(shape[1], tf.int32)
  inner &= tf.reduce_max(tf.shape(window)) <= _LADDER[-1]
  args = window, shape, low, floor, weights
  if not jit_compile or crop.reaches_tail:
    pixels = crop.resize_plain(*args)
  else:
    pixels = tf.cond(inner, lambda: crop.resize_compiled(*args),
                     lambda: _rare(crop.resize_plain)(*args))
  return tf.ensure_shape(pixels, [crop_size, crop_size, 3])


def resize_crop(image: tf.Tensor, resized: tf.Tensor, first: tf.Tensor, size: int,
                rounding: str) -> tf.Tensor:
  """Resizes a decoded image with INTER_CUBIC and crops it.

  Args:
    image: uint8 [height, width, 3].
    resized: int64 [2], height and width after resizing.
    first: int64 [2], first row and column of the crop in the resized image.
    size: side of the crop, in pixels.
    rounding: `fixed_point`, the arithmetic of OpenCV on uint8 with IPP off, bit
      for bit; `none`, OpenCV on float32, up to the order of its sums; `nearest`,
      the latter rounded to uint8 once, as IPP does with all but narrow images.

  Returns:
    [size, size, 3], float32 for `none`, else uint8.
  """
  if rounding == 'nearest':
    return tf.cond(
        tf.reduce_min(tf.shape(image)[:2]) < _IPP_SMALLEST_SIDE,
        lambda: resize_crop(image, resized, first, size, 'fixed_point'),
        lambda: cubic.to_uint8(resize_crop(image, resized, first, size, 'none')))
  shape = tf.shape(image, tf.int64)[:2]
  floor, weights = cubic.weights(
      shape, resized, first, size, in_fixed_point=rounding == 'fixed_point')
  floor = tf.stack([floor[:size], floor[size::3]])
  taps = floor + np.arange(-1, 3, dtype=np.int32)[:, None, None]
  taps = tf.clip_by_value(taps, 0, tf.cast(shape, tf.int32)[:, None] - 1)
  args = image, taps[:, 0], taps[:, 1], weights[:, :size], weights[:, size::3]
  if rounding == 'fixed_point':
    return cubic.plain(*args, _tail(resized[1], first[1], size))
  return cubic.in_float(*args)


def _tail(width, first, size):
  """-> bool [size, 3], which values of a row OpenCV rounds in integers.

  Args:
    width: of the resized photo.
    first: column of it where the row begins.
    size: columns of the row.
  """
  column = first + np.arange(size)[:, None]
  return 3 * column + np.arange(3) >= 3 * width // _LANES * _LANES


def _is_window_decodable(image_bytes):
  """Whether decoding only a window gives the same pixels and the same errors."""
  def plain():
    # Without its end the file is truncated: decoding rows above would hide it.
    whole = tf.strings.substr(image_bytes, -2, 2) == b'\xff\xd9'
    upright = tf.cond(
        exif.may_have_exif(image_bytes),
        lambda: _rare(exif.jpeg_orientation)(image_bytes) == 1,
        lambda: tf.constant(True))
    return whole & upright & (tf.io.extract_jpeg_shape(image_bytes)[2] != 4)

  return tf.cond(
      decoding.is_jpeg(image_bytes), plain, lambda: tf.constant(False))


def _rare(function):
  """For a branch that few photos take: one operation for the others to skip.

  Inlined, each of its operations is skipped one by one, which costs every photo
  up to a tenth of its time.
  """
  return tf.function(
      function, autograph=False, experimental_attributes={'_noinline': True})


class _Crop:
  """Centre crop of `size` pixels after resizing the short side to `side`."""

  def __init__(self, side: int, size: int):
    self._side = side
    self._size = size
    self.reaches_tail = side - size < 2 * _TAIL_COLUMNS

  def place(self, shape):
    """-> int64 [2], resized shape, and [2], first row and column of the crop."""
    target = shape * self._side // tf.reduce_min(shape)
    return target, target // 2 - self._size // 2

  def window_of_jpeg(self, jpeg):
    shape = tf.cast(tf.io.extract_jpeg_shape(jpeg)[:2], tf.int64)
    low, size = self._window(shape)
    window = decoding.decode_jpeg_window(jpeg, tf.concat([low, size], 0))
    return shape, low, window

  def window_of_image(self, image):
    shape = tf.shape(image, tf.int64)[:2]
    low, size = self._window(shape)
    return shape, low, tf.slice(
        image, tf.pad(low, [[0, 1]]), tf.pad(size, [[0, 1]], constant_values=3))

  def _window(self, shape):
    """-> int32 [2], first row and column, and [2], height and width."""
    target, first = self.place(shape)
    # Bounds of the taps in whole numbers, up to 2 wide of them.
    low = first * shape // target - [2, 2 + _MARGIN]
    high = (first + self._size) * shape // target + [3, 3 + _MARGIN]
    low = tf.cast(tf.maximum(low, 0), tf.int32)
    high = tf.cast(tf.minimum(high, shape), tf.int32)
    # Up and to the left: rows there are skimmed by the decoder in any case.
    low = tf.maximum(tf.minimum(low, high - _rung(high - low)), 0)
    return low, high - low

  def resize_compiled(self, window, shape, low, floor, weights):
    size = self._size
    taps = floor[:size] + np.arange(-1, 3, dtype=np.int32)[:, None]
    rows = tf.clip_by_value(taps, 0, tf.cast(shape[0], tf.int32) - 1) - low[0]
    channel = np.tile(np.arange(3, dtype=np.int32), size)
    columns = (floor[size:] - (low[1] + 1)) * 3 + channel
    pixels = cubic.compiled(
        _padded(window), rows, columns, weights[:, :size], weights[:, size:])
    return tf.reshape(pixels, [size, size, 3])

  def resize_plain(self, window, shape, low, floor, weights):
    size = self._size
    floor = tf.stack([floor[:size], floor[size::3]])
    taps = floor + np.arange(-1, 3, dtype=np.int32)[:, None, None]
    limit = tf.cast(shape, tf.int32)[:, None] - 1
    taps = tf.clip_by_value(taps, 0, limit) - low[:, None]
    return cubic.plain(
        window, taps[:, 0], taps[:, 1], weights[:, :size],
        weights[:, size::3], self._in_tail(shape))

  def _in_tail(self, shape):
    if not self.reaches_tail:
      return None
    target, first = self.place(shape)
    return _tail(target[1], first[1], self._size)


def _rung(size):
  """The lowest side of the ladder that holds `size`, or the highest."""
  ladder = tf.constant(_LADDER, tf.int32)
  fits = ladder >= tf.reduce_max(size)
  return tf.reduce_min(tf.where(fits, ladder, ladder[-1]))


def _padded(window):
  """Zeros below and to the right of a photo that is smaller than its rung."""
  size = tf.shape(window)[:2]
  side = _rung(size)

  def pad():
    # Concatenation copies rows; tf.pad visits single values.
    right = tf.zeros([size[0], side - size[1], 3], tf.uint8)
    below = tf.zeros([side - size[0], side, 3], tf.uint8)
    return tf.concat([tf.concat([window, right], 1), below], 0)

  return tf.cond(tf.reduce_all(size == side), lambda: window, pad)
