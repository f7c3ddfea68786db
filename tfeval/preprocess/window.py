"""The part of a photo that a crop needs: where it is, decoding it, padding it."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfeval.preprocess.decode import decode, decode_jpeg_window, is_jpeg, is_shared
from tfeval.preprocess.exif import jpeg_orientation, may_have_exif

# Columns decoded on each side beyond the taps. Chroma upsampling (factor 2 is
# interpolated, others are copied) makes 1 column at each end of a window differ
# from the middle of the photo.
_MARGIN = 2
# Windows are widened to a side from this ladder, so that few shapes are compiled.
_LADDER = np.array([64, 128, 192, 256, 320, 352, 448, 512, 640, 768, 1024, 1536, 2048])


def crop_window(
  shape: tf.Tensor,
  resized: tf.Tensor,
  first: tf.Tensor,
  size: int,
  reach: tf.Tensor | int,
) -> tuple[tf.Tensor, tf.Tensor]:
  """The window that a crop of a resized photo is computed from.

  Args:
    shape: int64 [2], height and width of the photo.
    resized: int64 [2], height and width after resizing.
    first: int64 [2], first row and column of the crop in the resized photo.
    size: side of the crop, in pixels.
    reach: how far the kernel reaches to one side, rounded up to whole pixels of
      the photo; int64 [2] or one number for both axes.

  Returns:
    int32 [2], first row and column, and int32 [2], height and width.
  """
  # Bounds of the taps in whole numbers, up to 2 wide of them.
  reach = reach + np.array([0, _MARGIN])
  low = first * shape // resized - reach
  high = (first + size) * shape // resized + reach + 1
  low = tf.cast(tf.maximum(low, 0), tf.int32)
  high = tf.cast(tf.minimum(high, shape), tf.int32)
  return low, high - low


def ladder_window(
  shape: tf.Tensor,
  resized: tf.Tensor,
  first: tf.Tensor,
  size: int,
  reach: tf.Tensor | int,
) -> tuple[tf.Tensor, tf.Tensor]:
  """The same with a side of the ladder for each that the photo has room for."""
  low, window = crop_window(shape, resized, first, size, reach)
  high = low + window
  # Up and to the left: rows there are skimmed by the decoder in any case.
  low = tf.maximum(tf.minimum(low, high - _rung(window)), 0)
  return low, high - low


def decode_window(
  image_bytes: tf.Tensor,
  bounds_of: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]],
  exif: bool = True,
  fast: bool = False,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
  """Decodes a window of a photo, of most JPEG without decoding the rest.

  Args:
    image_bytes: scalar string, an encoded JPEG or PNG.
    bounds_of: the window, as `ladder_window` and `crop_window` return it, for the shape
      of the photo, int64 [2].
    exif: whether the photo is turned as its EXIF block asks.
    fast: as for `tfeval.preprocess.decode.decode`.

  Returns:
    The shape of the photo, int64 [2]; the first row and column of the window,
    int32 [2]; the window, uint8 [height, width, 3], equal to the same part of
    what `tfeval.preprocess.decode.decode` returns.

  Raises:
    tf.errors.InvalidArgumentError: the photo cannot be decoded.
  """

  def of_jpeg():
    shape = tf.cast(tf.io.extract_jpeg_shape(image_bytes)[:2], tf.int64)
    low, size = bounds_of(shape)
    return (
      shape,
      low,
      decode_jpeg_window(image_bytes, tf.concat([low, size], 0)),
    )

  def of_whole():
    if is_shared():
      image = decode(image_bytes, fast, exif)
    else:
      image = not_inlined(lambda data: decode(data, fast, exif))(image_bytes)
    shape = tf.shape(image, tf.int64)[:2]
    low, size = bounds_of(shape)
    return (
      shape,
      low,
      tf.slice(image, tf.pad(low, [[0, 1]]), tf.pad(size, [[0, 1]], constant_values=3)),
    )

  if fast or is_shared():
    return of_whole()
  return tf.cond(_is_window_decodable(image_bytes, exif), of_jpeg, of_whole)


def padded(window: tf.Tensor) -> tf.Tensor:
  """Zeros below and to the right of a photo that is smaller than its rung.

  Args:
    window: uint8 [height, width, 3].

  Returns:
    uint8 [side, side, 3], with `side` of the ladder.
  """
  size = tf.shape(window)[:2]
  side = _rung(size)

  def pad():
    # Concatenation copies rows; tf.pad visits single values.
    right = tf.zeros([size[0], side - size[1], 3], tf.uint8)
    below = tf.zeros([side - size[0], side, 3], tf.uint8)
    return tf.concat([tf.concat([window, right], 1), below], 0)

  return tf.cond(tf.reduce_all(size == side), lambda: window, pad)


def is_on_ladder(window: tf.Tensor) -> tf.Tensor:
  """Whether the ladder has a side for a window, scalar bool."""
  return tf.reduce_max(tf.shape(window)) <= _LADDER[-1]


def side_of(window: tf.Tensor) -> tf.Tensor:
  """Side of a window after `padded`, or the longer one if it is not on the ladder.

  Args:
    window: uint8 [height, width, 3].

  Returns:
    Scalar int32.
  """
  size = tf.shape(window)[:2]
  return tf.maximum(_rung(size), tf.reduce_max(size))


def not_inlined(function: Callable) -> Callable:
  """For a branch that few photos take: one operation for the others to skip.

  Inlined, each of its operations is skipped one by one, which costs every photo
  up to a tenth of its time.
  """
  return tf.function(
    function, autograph=False, experimental_attributes={'_noinline': True}
  )


def _is_window_decodable(image_bytes, exif):
  """Whether decoding only a window gives the same pixels and the same errors."""

  def plain():
    # Without its end the file is truncated: decoding rows above would hide it.
    whole = tf.strings.substr(image_bytes, -2, 2) == b'\xff\xd9'
    three = whole & (tf.io.extract_jpeg_shape(image_bytes)[2] != 4)
    if not exif:
      return three
    return three & tf.cond(
      may_have_exif(image_bytes),
      lambda: jpeg_orientation(image_bytes) == 1,
      lambda: tf.constant(True),
    )

  return tf.cond(is_jpeg(image_bytes), plain, lambda: tf.constant(False))


def _rung(size):
  """The lowest side of the ladder that holds `size`, or the highest."""
  ladder = tf.constant(_LADDER, tf.int32)
  fits = ladder >= tf.reduce_max(size)
  return tf.reduce_min(tf.where(fits, ladder, ladder[-1]))
