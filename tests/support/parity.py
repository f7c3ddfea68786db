"""cv2 as the reference of decoding and of the opencv protocol."""

import functools

import cv2
import numpy as np
import tensorflow as tf

from tfeval.preprocess import decode, opencv


def reference_decode(data):
  image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
  return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def reference(data, resize_side=256, crop_size=224):
  image = reference_decode(data)
  height, width = image.shape[:2]
  new_h = height * resize_side // min(height, width)
  new_w = width * resize_side // min(height, width)
  image = cv2.resize(image, (new_w, new_h), interpolation=cv2.INTER_CUBIC)
  y0, x0 = new_h // 2 - crop_size // 2, new_w // 2 - crop_size // 2
  return image[y0 : y0 + crop_size, x0 : x0 + crop_size]


@functools.cache
def compiled(resize_side=256, crop_size=224):
  return tf.function(
    lambda data: opencv.decode_resize_crop(data, resize_side, crop_size),
    input_signature=[tf.TensorSpec([], tf.string)],
  )


@functools.cache
def compiled_decode():
  return tf.function(decode.decode, input_signature=[tf.TensorSpec([], tf.string)])


def assert_equal(data, sizes=((256, 224),), tolerance=0):
  """Decoded and cropped, `data` equals the reference.

  The weights of the cubic sum to 1, their magnitudes to up to 1.4 per axis: of
  1 level in the decoded photo, 2 can be left.
  """
  expected = reference_decode(data).astype(int)
  got = compiled_decode()(data).numpy()
  assert got.shape == expected.shape
  assert np.abs(got - expected).max() <= tolerance
  for resize_side, crop_size in sizes:
    got = compiled(resize_side, crop_size)(data).numpy()
    expected = reference(data, resize_side, crop_size).astype(int)
    assert got.shape == expected.shape == (crop_size, crop_size, 3)
    assert got.dtype == np.uint8
    assert np.abs(got - expected).max() <= 2 * tolerance
