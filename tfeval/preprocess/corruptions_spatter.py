"""Spatter of ImageNet-C, water or mud, in NumPy and SciPy.

Water is drawn by edges, distances to these and an equalised histogram, as OpenCV does
it on 8 bits; TensorFlow has none of these. As `corruptions_moved` it runs inside of
`tf.numpy_function`, with a generator of the image.
"""

import numpy as np
import scipy.ndimage

_WATER = np.float32([175, 238, 238]) / np.float32(255)
_MUD = np.float32([63, 42, 20]) / np.float32(255)
# Of gradients, by which an edge is one, and one where it continues another.
_STRONG, _WEAK = 150, 50
# Distances above are taken for it, in pixels.
_FARTHEST = 20
# What makes light of a distance that grows to the lower right.
_RELIEF = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])
# Steps of a distance of `cv2.DIST_L2` with a mask of 5 (Borgefors 1986), in 2**-16: to
# a neighbour, across a corner, and as a knight moves.
_STEPS = [round(step * 2**16) for step in (1, 1.4, 2.1969)]


def spatter(
  image: np.ndarray, parameters: tuple[float, ...], random: np.random.Generator
) -> np.ndarray:
  """Adds drops of water, or paints spots of mud.

  Args:
    image: uint8 [h, w, 3].
    parameters: mean and standard deviation of noise, the sigma that it is smoothed
      with, below what there is nothing, how light water is or the sigma of the edges of
      mud, and whether it is mud.
    random: draws the noise.

  Returns:
    float32 [h, w, 3], 0..255.
  """
  mean, deviation, sigma, threshold, strength, is_mud = parameters
  values = image.astype(np.float32) / np.float32(255)
  liquid = _blurred(random.normal(mean, deviation, image.shape[:2]), sigma)
  liquid[liquid < threshold] = 0
  if is_mud:
    mask = _blurred((liquid > threshold).astype(np.float32), strength)
    mask[mask < 0.8] = 0
    mask = mask.astype(np.float32)[..., None]
    found = values * (1 - mask) + _MUD * mask
  else:
    # Whatever is above 1 wraps around, as in the authors' cast.
    light = _water((liquid * 255).astype(np.int64).astype(np.uint8))
    found = values + np.float32(strength) * light[..., None] * _WATER
  return 255 * np.clip(found, 0, 1)


def _blurred(values: np.ndarray, sigma: float) -> np.ndarray:
  return scipy.ndimage.gaussian_filter(values, sigma, mode='nearest')


def _water(liquid: np.ndarray) -> np.ndarray:
  """Returns how light drops are: uint8 [h, w] -> float32 [h, w], 0..1."""
  distance = np.minimum(distances(edges(liquid)), _FARTHEST)
  smooth = scipy.ndimage.uniform_filter(distance, 3, mode='mirror').astype(np.uint8)
  relief = scipy.ndimage.correlate(
    equalized(smooth).astype(np.int32), _RELIEF, mode='mirror'
  )
  relief = np.clip(relief, 0, 255)
  ninths = scipy.ndimage.correlate(relief, np.ones((3, 3), np.int32), mode='mirror')
  light = liquid * np.rint(ninths / 9).astype(np.float32)
  return light / max(light.max(), np.float32(1))


def edges(values: np.ndarray) -> np.ndarray:
  """`cv2.Canny(values, 50, 150)`: uint8 [h, w] -> bool [h, w].

  Canny (1986) with Sobel's gradients and their L1 norm; an edge is a maximum of these
  along the gradient, to a neighbour within 22.5 degrees.
  """
  signed = values.astype(np.int64)
  smooth, slope = np.array([1, 2, 1]), np.array([-1, 0, 1])

  def gradient(axis):
    along = scipy.ndimage.correlate1d(signed, slope, axis, mode='nearest')
    return scipy.ndimage.correlate1d(along, smooth, 1 - axis, mode='nearest')

  x, y = gradient(1), gradient(0)
  size = np.abs(x) + np.abs(y)
  padded = np.pad(size, 1)

  def beside(down, right):
    height, width = size.shape
    return padded[1 + down : 1 + down + height, 1 + right : 1 + right + width]

  # tan 22.5 degrees in 2**-15; tan 67.5 is larger by 2.
  shallow, steep = np.abs(x) * 13573, np.abs(y) << 15
  horizontal = steep < shallow
  vertical = steep > shallow + (np.abs(x) << 16)
  rising = (x ^ y) < 0
  largest = np.where(
    horizontal,
    (size > beside(0, -1)) & (size >= beside(0, 1)),
    np.where(
      vertical,
      (size > beside(-1, 0)) & (size >= beside(1, 0)),
      np.where(
        rising,
        (size > beside(-1, 1)) & (size > beside(1, -1)),
        (size > beside(-1, -1)) & (size > beside(1, 1)),
      ),
    ),
  )
  candidates = largest & (size > _WEAK)
  labels, _ = scipy.ndimage.label(candidates, np.ones((3, 3)))
  strong = np.unique(labels[candidates & (size > _STRONG)])
  return np.isin(labels, strong) & candidates


def distances(is_edge: np.ndarray) -> np.ndarray:
  """`cv2.distanceTransform(..., cv2.DIST_L2, 5)`: bool [h, w] -> float32 [h, w].

  Two passes, from the upper left and from the lower right. Only distances up to
  `_FARTHEST` are right: what is farther is at least as far.
  """
  far = np.int64(1) << 40
  height, width = is_edge.shape
  found = np.full((height + 2, width + 4), far)
  inner = found[2:, 2:-2]
  inner[is_edge] = 0
  for _ in range(2):
    _pass_down(found)
    # The rows above are of no edge in the other pass, too.
    turned = np.full_like(found, far)
    turned[2:, 2:-2] = found[2:, 2:-2][::-1, ::-1]
    found = turned
  return (found[2:, 2:-2] / 2**16).astype(np.float32)


def _pass_down(found: np.ndarray) -> None:
  """Lowers distances by those above and to the left: int64 [2 + h, 2 + w + 2]."""
  side, corner, knight = _STEPS
  along = side * np.arange(found.shape[1] - 4)
  for row in range(2, len(found)):
    two, one, here = found[row - 2], found[row - 1], found[row, 2:-2]
    best = np.minimum(one[2:-2] + side, here)
    np.minimum(best, np.minimum(one[1:-3], one[3:-1]) + corner, out=best)
    np.minimum(best, np.minimum(one[:-4], one[4:]) + knight, out=best)
    np.minimum(best, np.minimum(two[1:-3], two[3:-1]) + knight, out=best)
    here[:] = np.minimum.accumulate(best - along) + along


def equalized(values: np.ndarray) -> np.ndarray:
  """`cv2.equalizeHist`: uint8 [h, w] -> uint8 [h, w]."""
  counts = np.bincount(values.ravel(), minlength=256)
  lowest = counts[np.flatnonzero(counts)[0]]
  if lowest == values.size:
    return values
  sums = np.cumsum(counts) - lowest
  scale = np.float32(255) / np.float32(values.size - lowest)
  table = np.rint(np.maximum(sums, 0).astype(np.float32) * scale)
  return np.clip(table, 0, 255).astype(np.uint8)[values]
