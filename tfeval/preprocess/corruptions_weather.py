"""Fog, frost and snow of ImageNet-C, in NumPy and SciPy.

A height map that grows by halves, photos of frost, and flakes that are drawn and moved:
nothing that TensorFlow has operations for. As `corruptions_moved` they run inside of
`tf.numpy_function`, with a generator of the image.

Each takes an image, uint8 [224, 224, 3], the parameters of a severity and a generator,
and returns values of the same shape, 0..255.
"""

import numpy as np

from tfeval.preprocess import frost_textures
from tfeval.preprocess.corruptions_blur import zoom_taps
from tfeval.preprocess.corruptions_moved import motion_blurred

# Of make_imagenet_c.py. TFDS' has 512, of which the corner that is used is smoother.
_MAP_SIDE = 256
# Grey of a colour, as `cv2.cvtColor` weighs it (ITU-R BT.601).
_GREY = np.float32([0.299, 0.587, 0.114])


def fog(
  image: np.ndarray, parameters: tuple[float, float], random: np.random.Generator
) -> np.ndarray:
  """Adds a height map of the diamond-square algorithm.

  Args:
    image: the image.
    parameters: by what the map is multiplied, and by what its steps shrink.
    random: draws the map.
  """
  thickness, decay = parameters
  height, width, _ = image.shape
  values = image / 255.0
  lightest = values.max()
  values += thickness * plasma(_MAP_SIDE, decay, random)[:height, :width, None]
  return 255 * np.clip(values * lightest / (lightest + thickness), 0, 1)


def plasma(side: int, decay: float, random: np.random.Generator) -> np.ndarray:
  """Returns a height map that continues across its edges, float64 [side, side], 0..1.

  `plasma_fractal` of make_imagenet_c.py, its amplitudes included: the step times a draw
  within plus and minus the step.

  Args:
    side: a power of two.
    decay: by what the step shrinks whenever the grid is halved.
    random: draws.
  """
  heights = np.zeros((side, side))
  grid, step = side, 100.0

  def raised(sums):
    return sums / 4 + step * random.uniform(-step, step, sums.shape)

  while grid >= 2:
    half = grid // 2
    corners = heights[::grid, ::grid]
    pairs = corners + np.roll(corners, -1, 0)
    middles = raised(pairs + np.roll(pairs, -1, 1))
    heights[half::grid, half::grid] = middles
    # Between two corners and two middles, first of a row, then of a column.
    sums = middles + np.roll(middles, 1, 0) + corners + np.roll(corners, -1, 1)
    heights[::grid, half::grid] = raised(sums)
    sums = middles + np.roll(middles, 1, 1) + corners + np.roll(corners, -1, 0)
    heights[half::grid, ::grid] = raised(sums)
    grid, step = half, step / decay
  heights -= heights.min()
  return heights / heights.max()


def frost(
  image: np.ndarray, parameters: tuple[float, float], random: np.random.Generator
) -> np.ndarray:
  """Adds a part of one of five photos of frost.

  Args:
    image: the image.
    parameters: by what the image and the frost are multiplied.
    random: draws which photo, and where its part begins.
  """
  of_image, of_frost = parameters
  textures = frost_textures.textures()
  texture = textures[random.integers(len(textures))]
  height, width, _ = image.shape
  top = random.integers(0, texture.shape[0] - height)
  left = random.integers(0, texture.shape[1] - width)
  part = texture[top : top + height, left : left + width]
  return np.clip(of_image * image + of_frost * part, 0, 255)


def snow(
  image: np.ndarray, parameters: tuple[float, ...], random: np.random.Generator
) -> np.ndarray:
  """Lightens an image, and adds flakes and, turned by half, the same flakes.

  Args:
    image: the image.
    parameters: mean and standard deviation of noise, by what it is zoomed, below what
      there is none, radius and sigma of its motion, in pixels, and how much of the
      image stays as it is.
    random: draws the noise, and the angle of its motion in -135..-45 degrees.
  """
  mean, deviation, factor, threshold, radius, sigma, kept = parameters
  values = image.astype(np.float32) / np.float32(255)
  flakes = _zoomed(random.normal(mean, deviation, image.shape[:2]), factor)
  flakes[flakes < threshold] = 0
  flakes = (255 * np.clip(flakes, 0, 1)).astype(np.uint8)[..., None]
  angle = random.uniform(-135, -45)
  flakes = motion_blurred(flakes, int(radius), sigma, angle) / 255.0
  grey = (values @ _GREY)[..., None]
  lighter = kept * values + (1 - kept) * np.maximum(values, grey * 1.5 + 0.5)
  return 255 * np.clip(lighter + flakes + flakes[::-1, ::-1], 0, 1)


def _zoomed(values: np.ndarray, factor: float) -> np.ndarray:
  """`clipped_zoom` of make_imagenet_c.py: [n, n] -> [n, n]."""
  low, weight = zoom_taps(len(values), factor)
  for _ in range(2):
    first = values[low]
    values = (first + (values[low + 1] - first) * weight[:, None]).T
  return values
