"""Bit-for-bit equality with cv2, photos and shapes."""

import pathlib

import cv2
import numpy as np
import pytest
import tensorflow as tf
from images import encode, scene
from parity import assert_equal, compiled, compiled_decode, reference, reference_decode

from tfeval.preprocess import opencv

_REPOSITORY = pathlib.Path(__file__).parents[2]
_PHOTOS = sorted(_REPOSITORY.glob('../shared/data/images/*.JPEG'))
needs_photos = pytest.mark.skipif(
  not _PHOTOS, reason='no photos in ../shared/data/images'
)


# Photos.


def pipeline(data, resize_side, crop_size, parallel=2):
  dataset = tf.data.Dataset.from_tensor_slices(data)
  return dataset.map(
    lambda d: opencv.decode_resize_crop(d, resize_side, crop_size),
    num_parallel_calls=parallel,
  )


@needs_photos
@pytest.mark.parametrize(
  'resize_side, crop_size, step',
  [
    (256, 224, 6),
    *(
      pytest.param(*one, marks=pytest.mark.slow)
      for one in ((256, 224, 2), (341, 299, 6), (378, 331, 12))
    ),
  ],
)
def test_photos_equal_in_a_parallel_pipeline(resize_side, crop_size, step):
  data = [path.read_bytes() for path in _PHOTOS[::step]]
  crops = list(pipeline(data, resize_side, crop_size).as_numpy_iterator())
  assert len(crops) == len(data)
  different = {
    path.name: int((crop != reference(d, resize_side, crop_size)).sum())
    for path, crop, d in zip(_PHOTOS[::step], crops, data, strict=True)
  }
  assert {name: n for name, n in different.items() if n} == {}


@needs_photos
@pytest.mark.slow
def test_opencv_with_ipp_is_another_reference():
  """The fields of the protocol say fixed point, since this differs from it."""
  if not hasattr(cv2, 'ipp') or not cv2.ipp.getIppVersion():
    pytest.skip('this build of OpenCV has no IPP')
  data = [path.read_bytes() for path in _PHOTOS[::10]]
  crops = np.stack(list(pipeline(data, 256, 224).as_numpy_iterator())).astype(int)
  cv2.ipp.setUseIPP(True)
  try:
    theirs = np.stack([reference(d, 256, 224) for d in data])
  finally:
    cv2.ipp.setUseIPP(False)
  difference = abs(crops - theirs)
  assert difference.max() <= 1
  assert np.count_nonzero(difference) <= 0.05 * difference.size


@needs_photos
def test_without_xla():
  for path in _PHOTOS[::20]:
    data = path.read_bytes()
    got = opencv.decode_resize_crop(tf.constant(data), 256, 224, jit_compile=False)
    np.testing.assert_array_equal(got, reference(data))


@needs_photos
@pytest.mark.slow
def test_in_tf_data_service():
  data = [path.read_bytes() for path in _PHOTOS[:20]]
  service = tf.data.experimental.service
  dispatcher = service.DispatchServer(service.DispatcherConfig(port=0))
  address = dispatcher.target.split('://')[1]
  worker = service.WorkerServer(
    service.WorkerConfig(dispatcher_address=address, port=0)
  )
  dataset = pipeline(data, 256, 224).apply(
    service.distribute(
      processing_mode=service.ShardingPolicy.OFF, service=dispatcher.target
    )
  )
  crops = list(dataset.as_numpy_iterator())
  assert len(crops) == len(data)
  for crop, d in zip(crops, data, strict=True):
    np.testing.assert_array_equal(crop, reference(d))
  worker._stop()  # There is no public way.
  dispatcher._stop()


@needs_photos
def test_reference_does_not_depend_on_its_threads():
  threads = cv2.getNumThreads()
  try:
    for path in _PHOTOS[::30]:
      data = path.read_bytes()
      got = compiled()(data).numpy()
      for count in (1, 2, 4):
        cv2.setNumThreads(count)
        np.testing.assert_array_equal(got, reference(data))
  finally:
    cv2.setNumThreads(threads)


@needs_photos
def test_decode_of_photos():
  for path in _PHOTOS[::10]:
    data = path.read_bytes()
    np.testing.assert_array_equal(
      compiled_decode()(data).numpy(), reference_decode(data)
    )


# Shapes.


@pytest.mark.parametrize(
  'height, width',
  [
    (56, 56),
    (57, 75),
    (75, 56),
    (255, 256),
    (256, 256),
    (257, 391),
    pytest.param(2400, 1800, marks=pytest.mark.slow),
    (1801, 2399),
    (60, 900),
    (900, 60),
    (333, 500),
    (500, 333),
    (1, 1),
    (1, 40),
    (7, 3),
    (224, 224),
    (512, 512),
  ],
)
@pytest.mark.parametrize('file_format', ['JPEG', 'PNG'])
def test_shapes(height, width, file_format):
  assert_equal(encode(scene(height, width), file_format), [(256, 224), (341, 299)])


@pytest.mark.parametrize(
  'width', [pytest.param(width, marks=pytest.mark.slow) for width in range(300, 317)]
)
def test_right_end_of_the_resized_image(width):
  """OpenCV computes the last values of a row in integers, the rest in float."""
  data = encode(scene(2000, width), 'PNG')
  assert_equal(data, [(224, 224), (225, 224), (226, 224), (7, 3), (1, 1)])


@pytest.mark.parametrize(
  'resize_side, crop_size',
  [(10, 9), pytest.param(256, 1, marks=pytest.mark.slow), (600, 500)],
)
def test_other_sizes(resize_side, crop_size):
  assert_equal(encode(scene(375, 500)), [(resize_side, crop_size)])


@pytest.mark.parametrize('resize_side, crop_size', [(224, 225), (256, 0)])
def test_impossible_sizes(resize_side, crop_size):
  with pytest.raises(ValueError, match='crop_size must be in 1..resize_side='):
    opencv.decode_resize_crop(tf.constant(b''), resize_side, crop_size)
