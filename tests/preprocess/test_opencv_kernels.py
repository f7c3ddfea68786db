"""Nearest, bilinear and area against cv2 with IPP off: no value may differ."""

import numpy as np
import pytest
import tensorflow as tf

from tfeval.preprocess import opencv_kernels

cv2 = pytest.importorskip('cv2')
FLAGS = {
  'nearest': cv2.INTER_NEAREST,
  'bilinear': cv2.INTER_LINEAR,
  'area': cv2.INTER_AREA,
}


@pytest.fixture(autouse=True)
def without_ipp():
  cv2.ipp.setUseIPP(False)
  yield
  cv2.ipp.setUseIPP(True)


def differing(image, height, width, kernel, function):
  """Returns how many values differ in crops that reach each corner."""
  expected = cv2.resize(image, (width, height), interpolation=FLAGS[kernel])
  size = min(height, width)
  bad = 0
  for first in {(0, 0), (height - size, width - size)}:
    found = function(image, np.int64([height, width]), np.int64(first), size)
    at = expected[first[0] : first[0] + size, first[1] : first[1] + size]
    bad += (found.numpy() != at).sum()
  return bad


def functions(kernel):
  def call(image, resized, first, size):
    return opencv_kernels.resize_crop(image, resized, first, size, kernel)

  return call, tf.function(call, reduce_retracing=True)


def shapes(rng):
  """Yields (source, target): any, whole scales, one axis grows, lines, the same."""
  for _ in range(30):
    yield rng.integers(1, 300, 2), rng.integers(1, 120, 2)
  for times in ((1, 1), (2, 2), (2, 3), (4, 4), (7, 1), (5, 5)):
    target = rng.integers(1, 60, 2)
    yield target * times, target
  for source, target in (((40, 90), (80, 30)), ((1, 50), (9, 9)), ((50, 1), (9, 9))):
    yield np.array(source), np.array(target)


@pytest.mark.parametrize('kernel', FLAGS)
def test_no_value_differs(kernel):
  rng = np.random.default_rng(0)
  eager, graph = functions(kernel)
  for i, (source, target) in enumerate(shapes(rng)):
    image = rng.integers(0, 256, (*source, 3)).astype(np.uint8)
    for function in (eager, graph) if i % 6 == 0 else (eager,):
      assert not differing(image, *map(int, target), kernel, function), (source, target)
