"""The OpenCV protocol, bit for bit, in TensorFlow ops.

Decode, `cv2.resize` with INTER_CUBIC on uint8, centre crop: this is what the
published accuracies of keras.applications were measured with. The reference is
OpenCV 5.0 (`modules/imgproc/src/resize.cpp`) with IPP off
(`cv2.ipp.setUseIPP(False)`); the result has no value that differs from it.
Only what the crop needs is decoded and computed.
"""

import tensorflow as tf

from tfeval.preprocess import decode as decoding
from tfeval.preprocess import exif

# INTER_RESIZE_COEF_SCALE: the coefficients are 11-bit fixed-point numbers.
_SCALE = 2048
# Keys' cubic (1981) with the A of OpenCV; TensorFlow's and Pillow's is -0.5.
_A = -0.75
# OpenCV's vertical pass works on 8 values at a time; what is left of a row (the
# right end, under 3 pixels) goes through another, integer routine.
_LANES = 8
# Columns decoded on each side beyond the window: chroma upsampling at the ends
# of a window differs from the middle of the photo. The widest block is 4 times
# 8 pixels and the decoder starts at a block, so 16 are enough.
_MARGIN = 16


def decode_resize_crop(
    image_bytes: tf.Tensor, resize_side: int, crop_size: int) -> tf.Tensor:
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

  Returns:
    uint8 [crop_size, crop_size, 3], RGB, 0..255.

  Raises:
    ValueError: `crop_size` is not in 1..`resize_side`.
    tf.errors.InvalidArgumentError: the photo cannot be decoded.
  """
  if not 1 <= crop_size <= resize_side:
    raise ValueError(
        f'crop_size must be in 1..resize_side={resize_side}, got {crop_size}')
  crop = tf.cond(
      _is_window_decodable(image_bytes),
      lambda: _crop_of_jpeg(image_bytes, resize_side, crop_size),
      lambda: _crop_of_image(
          decoding.decode(image_bytes), resize_side, crop_size))
  return tf.ensure_shape(crop, [crop_size, crop_size, 3])


def _is_window_decodable(image_bytes):
  """Whether decoding only a window gives the same pixels and the same errors."""
  def plain():
    # Without its end the file is truncated: decoding rows above would hide it.
    whole = tf.strings.substr(image_bytes, -2, 2) == b'\xff\xd9'
    return whole & (tf.io.extract_jpeg_shape(image_bytes)[2] != 4) & (
        ~exif.may_have_exif(image_bytes))

  return tf.cond(
      decoding.is_jpeg(image_bytes), plain, lambda: tf.constant(False))


def _crop_of_jpeg(jpeg, resize_side, crop_size):
  shape = tf.io.extract_jpeg_shape(jpeg)[:2]
  taps, coefficients = _filters(shape, resize_side, crop_size)
  low = tf.maximum(taps[:, 0, 0] - [0, _MARGIN], 0)
  high = tf.minimum(taps[:, -1, 3] + [1, _MARGIN + 1], shape)
  window = decoding.decode_jpeg_window(jpeg, tf.concat([low, high - low], 0))
  return _resize(window, taps - low[:, None, None], coefficients,
                 _in_tail(shape, resize_side, crop_size))


def _crop_of_image(image, resize_side, crop_size):
  shape = tf.shape(image)[:2]
  taps, coefficients = _filters(shape, resize_side, crop_size)
  low, high = taps[:, 0, 0], taps[:, -1, 3] + 1
  window = image[low[0]:high[0], low[1]:high[1]]
  return _resize(window, taps - low[:, None, None], coefficients,
                 _in_tail(shape, resize_side, crop_size))


def _resized_shape(shape, resize_side):
  # 64 bits: side times resize_side may pass 2**31.
  long = tf.cast(shape, tf.int64)
  return tf.cast(long * resize_side // tf.reduce_min(long), tf.int32)


def _filters(shape, resize_side, crop_size):
  """The taps of the crop's rows and columns.

  Args:
    shape: int32 [2], height and width of the photo.
    resize_side: see `decode_resize_crop`.
    crop_size: see `decode_resize_crop`.

  Returns:
    int32 [2, crop_size, 4], the source rows (0) and columns (1) of every row
    and column of the crop, ascending, clamped to the photo; and float32 of the
    same shape, their coefficients, integers in -2048..4096.
  """
  resized = _resized_shape(shape, resize_side)
  first = resized // 2 - crop_size // 2
  target = first[:, None] + tf.range(crop_size)
  # float64, then one rounding to float32, as in OpenCV; the order matters.
  scale = 1 / (tf.cast(resized, tf.float64) / tf.cast(shape, tf.float64))
  source = (tf.cast(target, tf.float64) + 0.5) * scale[:, None] - 0.5
  source = tf.cast(source, tf.float32)
  floor = tf.floor(source)
  x = source - floor
  y = 1 - x
  c0 = ((_A * (x + 1) - 5 * _A) * (x + 1) + 8 * _A) * (x + 1) - 4 * _A
  c1 = ((_A + 2) * x - (_A + 3)) * x * x + 1
  c2 = ((_A + 2) * y - (_A + 3)) * y * y + 1
  c3 = 1 - c0 - c1 - c2
  coefficients = tf.round(tf.stack([c0, c1, c2, c3], 2) * _SCALE)
  taps = tf.cast(floor, tf.int32)[:, :, None] + tf.range(-1, 3)
  return tf.clip_by_value(taps, 0, shape[:, None, None] - 1), coefficients


def _resize(window, taps, coefficients, in_tail):
  """Both passes.

  Args:
    window: uint8 [height, width, 3].
    taps: int32 [2, size, 4], rows and columns in the window.
    coefficients: float32 [2, size, 4], integers.
    in_tail: bool [size, 3] or None, the values that OpenCV rounds otherwise.

  Returns:
    uint8 [size, size, 3].
  """
  window = tf.cast(window, tf.float32)
  # Horizontal first. All numbers are integers below 2**24: exact in any order.
  rows = tf.add_n([
      tf.gather(window, taps[1, :, k], axis=1) * coefficients[1, :, k, None]
      for k in range(4)])
  rows = [tf.gather(rows, taps[0, :, k]) for k in range(4)]
  # Rounded after every product and sum, in this order, as OpenCV's vector
  # code does: exact integers here change 5 to 8 values in a million.
  factors = coefficients[0, :, :, None, None] * (1 / _SCALE**2)
  total = rows[3] * factors[:, 3]
  for k in (2, 1, 0):
    total = rows[k] * factors[:, k] + total
  total = tf.round(total)
  if in_tail is not None:
    exact = tf.add_n([
        tf.cast(rows[k], tf.int32) *
        tf.cast(coefficients[0, :, k, None, None], tf.int32) for k in range(4)])
    exact = tf.bitwise.right_shift(exact + _SCALE**2 // 2, 22)
    total = tf.where(in_tail, tf.cast(exact, tf.float32), total)
  return tf.cast(tf.clip_by_value(total, 0, 255), tf.uint8)


def _in_tail(shape, resize_side, crop_size):
  """Which values of a crop's row OpenCV's integer routine computes.

  Returns:
    bool [crop_size, 3], or None when the crop never reaches the right end.
  """
  if resize_side - crop_size >= 2 * 3:
    return None
  width = _resized_shape(shape, resize_side)[1]
  column = width // 2 - crop_size // 2 + tf.range(crop_size)
  value = 3 * column[:, None] + tf.range(3)
  return value >= 3 * width // _LANES * _LANES
