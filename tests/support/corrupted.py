"""Corruptions as TFDS computes them in NumPy, drawing what tfeval draws.

TFDS' functions draw from `np.random` and round; here they draw from a generator that is
given, and truncate, as the authors' `make_imagenet_c.py` does. Its fog has the authors'
map of 256 pixels, and pixelate their BOX filter.
"""

import contextlib
import functools
import importlib.util
import math
import pathlib
from unittest import mock

import numpy as np
from PIL import Image
from tensorflow_datasets.image_classification import corruptions as of_tfds

from tfeval.preprocess import corruptions
from tfeval.preprocess.corruption_table import Corruption


def by_tfds(
  image: np.ndarray, corruption: Corruption, image_id: str, seed: int = 0
) -> np.ndarray:
  """Returns what TFDS makes of an image; arguments are those of `corrupt`."""
  name, severity = corruption.name, corruption.severity
  if name == 'pixelate':
    return _pixelate(image, corruption.parameters)
  key = f'{image_id} {corruption.text} {seed}'.encode()
  draws = _Draws(corruptions.generator(key))
  plasma = of_tfds.plasma_fractal
  with contextlib.ExitStack() as stack:
    for attribute, value in {
      'around_and_astype': lambda x: np.asarray(x).astype(np.uint8),
      'plasma_fractal': lambda mapsize, wibbledecay: plasma(256, wibbledecay),
      'np': _NumPy(draws),
      'subprocess': _ImageMagick,
    }.items():
      stack.enter_context(mock.patch.object(of_tfds, attribute, value))
    if name == 'frost':
      names = [str(path) for path in frost_files()]
      stack.enter_context(mock.patch.object(of_tfds, 'FROST_FILENAMES', names))
    return getattr(of_tfds, name)(image.copy(), severity)


@functools.cache
def frost_files() -> list[pathlib.Path]:
  """Returns the photos of frost of an installed `imagecorruptions`, none without."""
  found = importlib.util.find_spec('imagecorruptions')
  if found is None:
    return []
  return sorted((pathlib.Path(found.origin).parent / 'frost').glob('frost*'))


def _pixelate(image, factor):
  small = [int(side * factor) for side in image.shape[1::-1]]
  found = Image.fromarray(image).resize(small, Image.BOX)
  return np.asarray(found.resize(image.shape[1::-1], Image.BOX))


class _NumPy:
  """NumPy with another `random`."""

  def __init__(self, random):
    self.random = random

  def __getattr__(self, name):
    return getattr(np, name)


class _Draws:
  """`np.random` of a generator; glass_blur's pairs are drawn at once."""

  def __init__(self, generator):
    self._generator, self._pairs = generator, iter(())

  def normal(self, loc=0.0, scale=1.0, size=None):
    return self._generator.normal(loc, scale, size)

  def uniform(self, low, high, size=None):
    if low == high == -45:  # A slip of TFDS: the authors' is -45..45.
      high = 45
    return self._generator.uniform(low, high, size)

  def poisson(self, lam):
    return self._generator.poisson(lam)

  def randint(self, low, high=None, size=None):
    if size is None:
      return self._generator.integers(*((0, low) if high is None else (low, high)))
    found = next(self._pairs, None)
    if found is None:
      count = (224 - 2 * high) ** 2
      self._pairs = iter(self._generator.integers(low, high, (count, 2)))
      found = next(self._pairs)
    return found


class _ImageMagick:
  """`subprocess`, of the one command that TFDS calls, by a name that nothing has."""

  @staticmethod
  def check_output(command):
    _, source, _, geometry, target = command
    size, degrees = geometry.split('+', 1)
    radius, sigma = map(int, size.split('x'))
    found = motion_blurred(
      np.asarray(Image.open(source)), radius, sigma, float(degrees)
    )
    Image.fromarray(found).save(target, 'PNG')


def motion_blurred(image, radius, sigma, degrees):
  """`MotionBlurImage` of ImageMagick, from its description, one sample by another."""
  weights = [math.exp(-(i**2) / (2 * sigma**2)) for i in range(2 * radius + 1)]
  sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
  rows, columns = np.indices(image.shape[:2])
  total = np.zeros(image.shape)
  for i, weight in enumerate(weights):
    row = np.clip(rows + math.ceil(i * sine - 0.5), 0, image.shape[0] - 1)
    column = np.clip(columns + math.ceil(i * cosine - 0.5), 0, image.shape[1] - 1)
    total += weight / sum(weights) * image[row, column]
  return (np.rint(257 * total) // 257).astype(np.uint8)
