"""Corruptions of ImageNet-C that take pixels from elsewhere, in NumPy and SciPy.

TensorFlow has no operations for these: one goes pixel by pixel, the others take most
pixels from places that are drawn. They run inside of `tf.numpy_function`; all that they
draw comes from a generator of the image, so that no order of threads can change it.

Each takes an image, uint8 [224, 224, 3], the parameters of a severity and a generator,
and returns values of the same shape, 0..255.
"""

import math

import numpy as np
import scipy.fft
import scipy.ndimage


def glass_blur(
  image: np.ndarray, parameters: tuple[float, int, int], random: np.random.Generator
) -> np.ndarray:
  """Blurs, takes each pixel from nearby, and blurs again.

  The authors write a swap, of views of one array: both ends have the same pixel then,
  and so it is a copy. Copies go from the lower right to the upper left, each of what
  the ones before have left.

  Args:
    image: the image.
    parameters: the sigma of the blurs, how far a pixel comes from, in pixels, and how
      often each is taken.
    random: draws distances to the right and down.
  """
  sigma, reach, times = parameters
  blurred = (255 * _blurred(image / 255.0, sigma)).astype(np.uint8)
  height, width, _ = blurred.shape
  at = np.arange(height * width).reshape(height, width)
  targets = at[height - reach : reach : -1, width - reach : reach : -1].ravel()
  places = at.ravel().tolist()
  for _ in range(times):
    right, down = random.integers(-reach, reach, (len(targets), 2)).T
    sources = (targets + down * width + right).tolist()
    for target, source in zip(targets.tolist(), sources, strict=True):
      places[target] = places[source]
  taken = blurred.reshape(-1, 3)[places].reshape(blurred.shape)
  return 255 * np.clip(_blurred(taken / 255.0, sigma), 0, 1)


def _blurred(values: np.ndarray, sigma: float) -> np.ndarray:
  """`skimage.filters.gaussian` of an image: mode nearest, truncate 4."""
  return scipy.ndimage.gaussian_filter(values, (sigma, sigma, 0), mode='nearest')


def motion_blur(
  image: np.ndarray, parameters: tuple[int, float], random: np.random.Generator
) -> np.ndarray:
  """Blurs along a line that ends at each pixel, at an angle in -45..45 degrees."""
  return motion_blurred(image, *parameters, random.uniform(-45, 45))


def motion_blurred(
  image: np.ndarray, radius: int, sigma: float, degrees: float
) -> np.ndarray:
  """ImageMagick's `MotionBlurImage` (MagickCore/effect.c), virtual pixels at the edge.

  Half of a Gaussian: weights of exp(-i^2 / 2 sigma^2), sum 1, for i from 0 to 2 radius,
  of the pixels ceil(i cos - 1/2) to the right and ceil(i sin - 1/2) below.

  Args:
    image: uint8 [h, w, c].
    radius, sigma: in pixels.
    degrees: the angle.

  Returns:
    uint8 [h, w, c], rounded to 16 bits and truncated to 8: what version 6.9.11 (Q16)
    writes into the PNG that the authors read again.
  """
  at = np.arange(2 * radius + 1)
  weights = np.exp(-(at**2) / (2 * sigma**2))
  weights = (weights / weights.sum()).astype(np.float32)
  angle = math.radians(degrees)
  right = np.ceil(at * math.cos(angle) - 0.5).astype(int)
  down = np.ceil(at * math.sin(angle) - 0.5).astype(int)
  height, width, channels = image.shape
  most = 2 * radius + 1
  padded = np.pad(image, [(most, most), (most, most), (0, 0)], 'edge')
  padded = padded.astype(np.float32)
  total = np.zeros((height, width, channels), np.float32)
  for weight, x, y in zip(weights, right + most, down + most, strict=True):
    total += weight * padded[y : y + height, x : x + width]
  return (np.rint(total * np.float32(257)).astype(np.int32) // 257).astype(np.uint8)


def elastic_transform(
  image: np.ndarray,
  parameters: tuple[float, float, float],
  random: np.random.Generator,
) -> np.ndarray:
  """Maps three points to others nearby, and displaces each pixel smoothly.

  Args:
    image: the image.
    parameters: by what displacements are multiplied, in pixels, the sigma that they are
      smoothed with, and how far the three points are moved, in pixels.
    random: draws the points, and displacements to the right and down, in -1..1.
  """
  alpha, sigma, reach = parameters
  side = image.shape[0]
  values = image.astype(np.float32) / np.float32(255)
  centre, square = side // 2, side // 3
  points = np.float64([[1, 1], [1, -1], [-1, -1]]) * square + centre
  moved = points + random.uniform(-reach, reach, points.shape)
  columns, rows = np.meshgrid(np.arange(side), np.arange(side))
  affine = _affine(moved, points)
  x, y = (a * columns + b * rows + c for a, b, c in affine)
  values = _sampled(values, y, x, _mirrored_101)
  right, down = (
    alpha * _smooth(random.uniform(-1, 1, (side, side)), sigma) for _ in range(2)
  )
  values = _sampled(values, rows + down, columns + right, _mirrored)
  return 255 * np.clip(values, 0, 1)


def _smooth(values: np.ndarray, sigma: float) -> np.ndarray:
  """`skimage.filters.gaussian` of [n, n] with mode reflect and truncate 3.

  Where a line is continued by its mirror, a symmetric kernel multiplies each cosine of
  it by a factor: the largest sigma has 1,025 taps for a line of 224 pixels.
  """
  at = np.arange(int(3 * sigma + 0.5) + 1)
  taps = np.exp(-(at**2) / (2 * sigma**2)) * np.where(at == 0, 1, 2)
  waves = np.cos(np.pi / len(values) * np.arange(len(values))[:, None] * at)
  factors = waves @ (taps / taps.sum())
  return scipy.fft.idctn(scipy.fft.dctn(values) * np.outer(factors, factors))


def _affine(sources: np.ndarray, targets: np.ndarray) -> np.ndarray:
  """Returns what maps three points, [3, 2], to three others: float64 [2, 3]."""
  return np.linalg.solve(np.c_[sources, np.ones(3)], targets).T


def _sampled(values: np.ndarray, y: np.ndarray, x: np.ndarray, fold) -> np.ndarray:
  """Returns an image at other places, bilinear, float32 [h, w, 3]."""
  height, width, _ = values.shape
  low_y, low_x = np.floor(y), np.floor(x)
  down = (y - low_y).astype(np.float32)[..., None]
  right = (x - low_x).astype(np.float32)[..., None]
  top, left = low_y.astype(np.int32), low_x.astype(np.int32)
  columns = [fold(left + i, width) for i in (0, 1)]
  flat = values.reshape(-1, 3)

  def line(row):
    first, second = (flat[row * width + column] for column in columns)
    second -= first
    second *= right
    return np.add(first, second, out=second)

  upper, lower = (line(fold(top + i, height)) for i in (0, 1))
  lower -= upper
  lower *= down
  return np.add(upper, lower, out=lower)


def _mirrored(at: np.ndarray, side: int) -> np.ndarray:
  """Returns positions inside of a line, beside which its mirror is: ba|abc|cb."""
  at = np.mod(at, 2 * side)
  return np.minimum(at, 2 * side - 1 - at)


def _mirrored_101(at: np.ndarray, side: int) -> np.ndarray:
  """As `_mirrored` without the edge twice: cb|abc|ba."""
  at = np.mod(at, 2 * side - 2)
  return np.minimum(at, 2 * side - 2 - at)
