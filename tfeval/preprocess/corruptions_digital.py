"""Corruptions of ImageNet-C that change colours or resolution, in TensorFlow.

Each takes an image, uint8 [224, 224, 3], and the parameters of a severity, and returns
uint8 of the same shape, by truncation. Where a truncation hangs on the last digit, the
operations are those of the reference in float64, in its order.
"""

import numpy as np
import tensorflow as tf

from tfeval.preprocess.corruptions_noise import to_uint8, unit

# PRECISION_BITS of Resample.c.
_BITS = 22


def brightness(image: tf.Tensor, added: float) -> tf.Tensor:
  """Adds to the value of HSV."""
  hue, saturation, value = _rgb_to_hsv(unit(image, tf.float64))
  value = tf.clip_by_value(value + added, 0, 1)
  return to_uint8(_hsv_to_rgb(hue, saturation, value))


def saturate(image: tf.Tensor, parameters: tuple[float, float]) -> tf.Tensor:
  """Multiplies the saturation of HSV, and adds to it."""
  factor, added = parameters
  hue, saturation, value = _rgb_to_hsv(unit(image, tf.float64))
  saturation = tf.clip_by_value(saturation * factor + added, 0, 1)
  return to_uint8(_hsv_to_rgb(hue, saturation, value))


def contrast(image: tf.Tensor, factor: float) -> tf.Tensor:
  """Multiplies the distance of each value to the mean of its channel."""
  values = unit(image, tf.float64)
  # Of whole numbers: no order of threads can change a sum.
  sums = tf.reduce_sum(tf.cast(image, tf.int32), axis=[0, 1], keepdims=True)
  means = tf.cast(sums, tf.float64) * (1 / (255 * image.shape[0] * image.shape[1]))
  return to_uint8((values - means) * factor + means)


def pixelate(image: tf.Tensor, factor: float) -> tf.Tensor:
  """Pillow's resize by BOX to int(side * factor), and back."""
  side = image.shape[0]
  small = int(side * factor)
  shrunk = image
  for _ in range(2):  # Columns first, as Pillow does where both shrink alike.
    shrunk = _means(tf.transpose(shrunk, [1, 0, 2]), small)
  # Back, each pixel is in one alone.
  rows = np.int32((np.arange(side) + 0.5) * (small / side))
  return tf.gather(tf.gather(shrunk, rows), rows, axis=1)


def _means(image: tf.Tensor, count: int) -> tf.Tensor:
  """Returns fewer rows, each the mean of those whose centres are in it.

  `ImagingResample` of Pillow 13 (src/libImaging/Resample.c): a share of a pixel in
  22-bit fixed point, rounded to uint8.

  Args:
    image: uint8 [side, w, 3].
    count: how many rows.

  Returns:
    uint8 [count, w, 3].
  """
  scale = image.shape[0] / count
  centres = (np.arange(count) + 0.5) * scale
  first = (centres - scale / 2 + 0.5).astype(np.int32)
  taps = (centres + scale / 2 + 0.5).astype(np.int32) - first
  share = np.floor(0.5 + 2**_BITS / taps).astype(np.int32)
  lines = tf.cast(image, tf.int32)
  total = tf.gather(lines, first)
  for tap in range(1, taps.max()):
    weight = np.int32(tap < taps)[:, None, None]
    total += tf.gather(lines, np.minimum(first + tap, image.shape[0] - 1)) * weight
  rounded = total * share[:, None, None] + 2 ** (_BITS - 1)
  return tf.cast(tf.bitwise.right_shift(rounded, _BITS), tf.uint8)


def jpeg_compression(image: tf.Tensor, quality: int) -> tf.Tensor:
  """Pillow's JPEG and back: baseline, 4:2:0, libjpeg's integer DCT."""
  return tf.image.adjust_jpeg_quality(image, quality, dct_method='INTEGER_ACCURATE')


def _rgb_to_hsv(values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
  """`skimage.color.rgb2hsv`: float64 [..., 3] in 0..1 -> three of [...]."""
  red, green, blue = tf.unstack(values, axis=-1)
  value = tf.reduce_max(values, axis=-1)
  spread = value - tf.reduce_min(values, axis=-1)
  is_grey = tf.equal(spread, 0)
  divisor = tf.where(is_grey, tf.ones_like(spread), spread)
  sixths = tf.where(
    tf.equal(value, blue),
    4 + (red - green) / divisor,
    tf.where(
      tf.equal(value, green), 2 + (blue - red) / divisor, (green - blue) / divisor
    ),
  )
  hue = tf.math.floormod(sixths / _hidden(6, value), 1)
  saturation = spread / tf.where(is_grey, tf.ones_like(value), value)
  return tf.where(is_grey, tf.zeros_like(hue), hue), saturation, value


def _hidden(number: float, values: tf.Tensor) -> tf.Tensor:
  """Returns a number that Grappler does not know: it would multiply by its inverse.

  Args:
    number: the number.
    values: float64 [h, w], none of which is negative.
  """
  return number + tf.cast(values[0, 0] < 0, values.dtype)


def _hsv_to_rgb(hue: tf.Tensor, saturation: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
  """`skimage.color.hsv2rgb`: three of float64 [...] -> [..., 3]."""
  sixths = hue * 6
  sector = tf.floor(sixths)
  inside = sixths - sector
  low = value * (1 - saturation)
  falling = value * (1 - inside * saturation)
  rising = value * (1 - (1 - inside) * saturation)
  of_sector = tf.cast(tf.math.floormod(sector, 6), tf.int32)
  channels = np.array(
    [[0, 3, 1], [2, 0, 1], [1, 0, 3], [1, 2, 0], [3, 1, 0], [0, 1, 2]], np.int32
  )
  several = tf.stack([value, low, falling, rising], axis=-1)
  return tf.gather(several, tf.gather(channels, of_sector), batch_dims=2)
