"""Blurs of ImageNet-C that are linear, in TensorFlow.

Each takes an image, uint8 [224, 224, 3], and the parameters of a severity, and returns
uint8 of the same shape, by truncation. Sums come out in another order than in SciPy and
OpenCV: where a sum is a whole number, as of a white area, both truncate to it or to one
less.
"""

import functools

import numpy as np
import scipy.ndimage
import tensorflow as tf

from tfeval.preprocess.corruptions_noise import to_uint8, unit

# Sides that are transformed by Fourier quickly.
_SIDES = 256, 288, 320


def gaussian_blur(image: tf.Tensor, sigma: float) -> tf.Tensor:
  """`skimage.filters.gaussian`: scipy's gaussian_filter, mode nearest, truncate 4."""
  reach = int(4 * sigma + 0.5)
  at = np.arange(-reach, reach + 1)
  weights = np.exp(-(at**2) / (2 * sigma**2))
  weights /= weights.sum()
  edge = np.clip(np.arange(-reach, image.shape[0] + reach), 0, image.shape[0] - 1)
  padded = tf.gather(tf.gather(unit(image, tf.float64), edge), edge, axis=1)
  return _convolved(padded, np.outer(weights, weights))


def defocus_blur(image: tf.Tensor, parameters: tuple[int, float]) -> tf.Tensor:
  """Convolves with a disk: `cv2.filter2D`, border REFLECT_101.

  Args:
    image: the image.
    parameters: the radius of the disk, in pixels, and the sigma that softens it.
  """
  kernel = disk(*parameters)
  reach = len(kernel) // 2
  border = [[reach, reach], [reach, reach], [0, 0]]
  padded = tf.pad(unit(image, tf.float64), border, 'REFLECT')
  return _convolved(padded, kernel.astype(np.float64))


def _convolved(padded: tf.Tensor, kernel: np.ndarray) -> tf.Tensor:
  """Convolves by Fourier transforms, each value with all of the kernel.

  Args:
    padded: float64 [side + n - 1, side + n - 1, 3], in 0..1.
    kernel: float64 [n, n].

  Returns:
    uint8 [side, side, 3].
  """
  around = len(kernel) - 1
  side = padded.shape[0] - around
  size = [next(one for one in _SIDES if one >= padded.shape[0])] * 2
  channels = tf.transpose(padded, [2, 0, 1])
  waves = tf.signal.rfft2d(channels, size) * np.fft.rfft2(kernel, size)
  found = tf.signal.irfft2d(waves, size)
  # What comes before is of the other side.
  inside = found[:, around : around + side, around : around + side]
  return to_uint8(tf.transpose(inside, [1, 2, 0]))


@functools.cache
def disk(radius: int, sigma: float) -> np.ndarray:
  """Returns a disk of sum 1 with soft edges, float32 [n, n], n odd.

  `disk` of make_imagenet_c.py: up to a radius of 8 on 17 x 17 pixels, softened by
  `cv2.GaussianBlur` of 3 x 3, above on 2 r + 1 by that of 5 x 5, border REFLECT_101.
  """
  reach, taps = (8, 3) if radius <= 8 else (radius, 5)
  at = np.arange(-reach, reach + 1)
  found = (at[:, None] ** 2 + at**2 <= radius**2).astype(np.float32)
  found /= found.sum()
  near = np.arange(taps) - taps // 2
  weights = np.exp(-(near**2) / (2 * sigma**2))
  weights /= weights.sum()
  for axis in (0, 1):
    found = scipy.ndimage.correlate1d(found, weights, axis, mode='mirror')
  return found


def zoom_blur(image: tf.Tensor, parameters: tuple[float, float]) -> tf.Tensor:
  """The mean of an image and of itself zoomed in, by factors from 1 on.

  Args:
    image: the image.
    parameters: before which factor they end, and by how much they grow.
  """
  stop, step = parameters
  rows = unit(image)
  several = [rows]
  for factor in np.arange(1, stop, step):
    low, weight = zoom_taps(image.shape[0], factor)
    # Rows lie in memory as a whole, columns do not: the image is turned in between.
    turned = tf.transpose(_zoomed(rows, low, weight), [1, 0, 2])
    several.append(tf.transpose(_zoomed(turned, low, weight), [1, 0, 2]))
  # Sums and divisions by constants Grappler would write otherwise in a graph.
  return to_uint8(tf.add_n(several) * (1 / len(several)))


def _zoomed(values: tf.Tensor, low: np.ndarray, weight: np.ndarray) -> tf.Tensor:
  weights = tf.constant(weight[:, None, None], tf.float32)
  first = tf.gather(values, low)
  return first + (tf.gather(values, low + 1) - first) * weights


@functools.cache
def zoom_taps(side: int, factor: float) -> tuple[np.ndarray, np.ndarray]:
  """Returns where `clipped_zoom` of make_imagenet_c.py takes each pixel of a line.

  It zooms the central ceil(side / factor) pixels by `scipy.ndimage.zoom` of order 1,
  whose first and last samples are those pixels' first and last, and trims the result.

  Args:
    side: pixels of a line.
    factor: at least 1.

  Returns:
    The lower of both neighbours, int32 [side], and the weight of the upper, float64
    [side].
  """
  inner = int(np.ceil(side / factor))
  zoomed = int(round(inner * factor))
  trimmed = (zoomed - side) // 2
  at = (trimmed + np.arange(side)) * ((inner - 1) / (zoomed - 1))
  low = np.minimum(at.astype(np.int32), inner - 2)
  return low + (side - inner) // 2, at - low
