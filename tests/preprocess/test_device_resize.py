"""Bit-for-bit equality with cv2 of what the device resizes, XLA or not."""

import functools
import itertools
import os

import images
import numpy as np
import pytest
import tensorflow as tf
from images import encode, scene
from parity import reference, reference_decode

from tfeval.preprocess import device_canvas, device_resize, protocol
from tfeval.utils.errors import UserError

_WAYS = {
  'xla': device_resize.compiled(),
  'plain': tf.function(device_resize.resize, autograph=False),
}


@functools.cache
def decoder(resolved, side):
  """`canvas.decode`, traced once."""
  return tf.function(
    lambda data: device_canvas.decode(resolved, data, side, jit_compile=False),
    autograph=False,
  ).get_concrete_function(tf.TensorSpec([], tf.string))


def on_device(data, way='xla', spec='opencv', side=512, batch_size=8, size=224):
  """-> uint8 [n, size, size, 3], and which of the n photos the host has resized."""
  resolved = protocol.resolve(spec, size)
  decode = decoder(resolved, side)
  examples = tf.data.Dataset.from_tensor_slices(data).map(
    lambda d: {'id': d, **decode(d)}, num_parallel_calls=2
  )
  batches = list(device_canvas.batch(examples, resolved, side, batch_size))
  assert np.concatenate([batch['id'] for batch in batches]).tolist() == data
  for batch in batches:
    assert batch['canvas'].shape[1:] == (side, side, 3)
  pixels = [_WAYS[way](device_canvas.device_inputs(batch)).numpy() for batch in batches]
  on_host = [batch['resized_on_host'].numpy() for batch in batches]
  return np.concatenate(pixels), np.concatenate(on_host)


def assert_equal(got, data, resize_side=256, crop_size=224):
  expected = np.stack([reference(d, resize_side, crop_size) for d in data])
  assert got.dtype == np.uint8
  assert got.shape == expected.shape
  assert np.flatnonzero((got != expected).any((1, 2, 3))).tolist() == []


def read(folder, step):
  """-> photos that cv2 and TensorFlow decode to the same pixels: none in CMYK."""
  found = [path.read_bytes() for path in sorted(folder.glob('*.JPEG'))[::step]]
  return [data for data in found if tf.io.extract_jpeg_shape(data)[2] != 4]


@pytest.mark.parametrize('way', ['xla', pytest.param('plain', marks=pytest.mark.slow)])
def test_photos(shared_data, way):
  data = read(shared_data / 'images', 12)
  got, on_host = on_device(data, way)
  assert_equal(got, data)
  assert on_host.sum() < 0.1 * len(data)


@pytest.mark.slow
@pytest.mark.parametrize(
  'way, resize_side, size, step',
  [('xla', 256, 224, 2), ('xla', 341, 299, 6), ('plain', 378, 331, 12)],
)
def test_more_photos(shared_data, way, resize_side, size, step):
  """All of them: tests/benchmarks/device.py."""
  data = read(shared_data / 'images', step)
  assert_equal(on_device(data, way, size=size)[0], data, resize_side, size)


_SHAPES = [
  (1, 1),
  (1, 40),
  (40, 1),
  (7, 3),
  (56, 56),
  (57, 75),
  (75, 56),
  (224, 224),
  (255, 256),
  (256, 256),
  (257, 391),
  (333, 500),
  (500, 333),
  (512, 512),
  (60, 900),
  (900, 60),
  (40, 3000),
  (1801, 2399),
  (2400, 1800),
]


@functools.cache
def edge_cases():
  pictures = [scene(*shape) for shape in _SHAPES]
  made = [
    encode(picture, kind)
    for picture, kind in itertools.product(pictures, ('JPEG', 'PNG'))
  ]
  made += [
    encode(scene(301, 403), subsampling=subsampling)
    for subsampling in ('4:4:4', '4:2:2', '4:2:0')
  ]
  made += [encode(scene(301, 403, 1)), encode(scene(301, 403), progressive=True)]
  return made + [
    images.with_exif(images.BASE, images.tiff('<', images.orientation(value)))
    for value in range(1, 9)
  ]


@pytest.mark.parametrize(
  'way, side',
  [
    pytest.param(way, side, marks=pytest.mark.slow)
    for way in ('plain', 'xla')
    for side in (256, 512)
  ],
)
def test_edge_cases(way, side):
  data = edge_cases()
  assert_equal(on_device(data, way, side=side)[0], data)


@pytest.mark.slow
@pytest.mark.parametrize('way', _WAYS)
def test_right_end_of_the_resized_image(way):
  """OpenCV computes the last values of a row in integers, the rest in float."""
  data = [encode(scene(700, width), 'PNG') for width in range(300, 317, 4)]
  data += [encode(scene(900, 700), 'PNG')]
  got, on_host = on_device(data, way, 'opencv:crop_fraction=1.0')
  assert on_host.tolist() == [False] * 5 + [True]
  assert_equal(got, data, 224, 224)


def test_what_the_canvas_does_not_hold_is_resized_on_the_host():
  """224 of 256 rows of the resized photo: 7/8 of the short side, and the taps."""
  shapes = [(280, 400), (400, 280), (300, 300), (200, 900), (1000, 250), (600, 800)]
  data = [encode(scene(*shape), 'PNG') for shape in shapes]
  got, on_host = on_device(data, side=256)
  assert on_host.tolist() == [7 / 8 * min(shape) + 4 > 256 for shape in shapes]
  assert_equal(got, data)


def test_batches_change_no_value():
  data = [encode(scene(*shape)) for shape in [(375, 500), (60, 900), (900, 700)]]
  expected, _ = on_device(data, batch_size=3)
  np.testing.assert_array_equal(on_device(data, batch_size=1)[0], expected)


def test_compiled_with_what_follows():
  resolved = protocol.resolve('opencv', 224)
  data = [encode(scene(375, 500)), encode(scene(500, 333))]
  examples = tf.data.Dataset.from_tensor_slices(data).map(
    lambda d: decoder(resolved, 512)(d)
  )
  (batch,) = device_canvas.batch(examples, resolved, 512, 2)

  @tf.function(jit_compile=True)
  def step(inputs):
    return tf.reduce_sum(tf.cast(device_resize.resize(inputs), tf.int32), [1, 2])

  expected = [reference(d).astype(int).sum((0, 1)) for d in data]
  np.testing.assert_array_equal(step(device_canvas.device_inputs(batch)), expected)


def test_without_exif():
  block = images.tiff('<', images.orientation(6))
  data = [images.with_exif(images.BASE, block)]
  got, _ = on_device(data, spec='opencv:exif=false')
  assert_equal(got, [images.BASE])
  assert reference_decode(data[0]).shape != reference_decode(images.BASE).shape


@pytest.mark.parametrize(
  'spec, field',
  [
    ('pil', 'library=pillow'),
    ('opencv_float', 'rounding=none'),
    ('opencv_ipp', 'rounding=nearest'),
    ('tf', 'library=tensorflow'),
    ('opencv:resize=squash,crop=none', 'resize=squash'),
  ],
)
def test_protocols_that_are_not_implemented(spec, field):
  with pytest.raises(UserError, match=f'{field}: implemented is opencv .*=host') as e:
    device_canvas.check_protocol(
      protocol.resolve(spec, 224), 512, 32, computed_on_cpu=False
    )
  assert '\n' not in str(e.value)


@pytest.mark.parametrize(
  'side, size, batch_size, words',
  [
    (500, 224, 32, '`canvas=500`: give one of 256, 384, 512'),
    (256, 299, 32, '`canvas=256` does not hold what is resized to 299'),
    (1024, 224, 10**7, r'1024 x 1024 pixels need \d+\.\d GB, this host has .*smaller'),
  ],
)
def test_canvases_that_cannot_be(side, size, batch_size, words):
  with pytest.raises(UserError, match=words) as error:
    device_canvas.check_protocol(
      protocol.resolve('opencv', size), side, batch_size, True
    )
  assert '\n' not in str(error.value)


def test_a_broken_photo_fails_as_on_the_host():
  with pytest.raises(tf.errors.InvalidArgumentError):
    on_device([images.BASE[:-2000]])


def test_every_canvas_that_is_offered_is_let_through():
  for side in device_canvas.CANVASES:
    device_canvas.check_protocol(
      protocol.resolve('opencv', 224), side, 1, computed_on_cpu=True
    )
  assert device_canvas.DEFAULT_CANVAS in device_canvas.CANVASES


def test_memory_is_counted_where_it_is():
  """Four batches of canvases of 0.79 MB; computing on the CPU takes 6 MB more."""
  resolved = protocol.resolve('opencv', 224)
  memory = os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
  batch_size = memory // (4 * 3 * 512**2)
  device_canvas.check_protocol(resolved, 512, batch_size, computed_on_cpu=False)
  for too_many, on_cpu in ((batch_size + 1, False), (batch_size // 2, True)):
    with pytest.raises(UserError, match='give a smaller `batch_size`'):
      device_canvas.check_protocol(resolved, 512, too_many, on_cpu)
