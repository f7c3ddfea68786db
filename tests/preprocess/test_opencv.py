"""Bit-for-bit equality with cv2, photos and edge cases."""

import functools
import io
import pathlib
import struct
import zlib

import cv2
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfeval.preprocess import decode as decoding
from tfeval.preprocess import opencv

_REPOSITORY = pathlib.Path(__file__).parents[2]
_PHOTOS = sorted(_REPOSITORY.glob('../shared/data/images/*.JPEG'))
needs_photos = pytest.mark.skipif(
    not _PHOTOS, reason='no photos in ../shared/data/images')


@pytest.fixture(autouse=True)
def _reference_without_ipp():
  """IPP computes with float coefficients: another reference."""
  used = cv2.ipp.useIPP()
  cv2.ipp.setUseIPP(False)
  yield
  cv2.ipp.setUseIPP(used)


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
  return image[y0:y0 + crop_size, x0:x0 + crop_size]


@functools.cache
def compiled(resize_side=256, crop_size=224):
  return tf.function(
      lambda data: opencv.decode_resize_crop(data, resize_side, crop_size),
      input_signature=[tf.TensorSpec([], tf.string)])


@functools.cache
def compiled_decode():
  return tf.function(
      decoding.decode, input_signature=[tf.TensorSpec([], tf.string)])


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


def scene(height, width, channels=3, seed=0):
  """Smooth areas, hard edges and noise: overshoot and both clips occur."""
  rng = np.random.default_rng(seed)
  coarse = rng.integers(0, 256, (height // 16 + 2, width // 16 + 2, channels))
  image = coarse.repeat(16, 0).repeat(16, 1)[:height, :width]
  image[height // 3:height // 2] = 255 * (np.arange(width) // 3 % 2)[:, None]
  noise = rng.normal(0, 12, image.shape) * (np.arange(width) > width // 3)[:, None]
  return np.clip(image + noise, 0, 255).astype(np.uint8)


def encode(array, file_format='JPEG', mode=None, **options):
  if array.shape[-1] == 1:
    array = array[..., 0]
  image = Image.fromarray(array)
  if array.ndim == 3 and array.shape[-1] == 4 and file_format == 'JPEG':
    image = Image.frombytes('CMYK', array.shape[1::-1], array.tobytes())
  if mode:
    image = image.convert(mode)
  buffer = io.BytesIO()
  image.save(buffer, file_format, **options)
  return buffer.getvalue()


# Photos.


def pipeline(data, resize_side, crop_size, parallel=2):
  dataset = tf.data.Dataset.from_tensor_slices(data)
  return dataset.map(
      lambda d: opencv.decode_resize_crop(d, resize_side, crop_size),
      num_parallel_calls=parallel)


@needs_photos
@pytest.mark.parametrize('resize_side, crop_size, step', [
    (256, 224, 1), (341, 299, 6), (378, 331, 12)])
def test_photos_equal_in_a_parallel_pipeline(resize_side, crop_size, step):
  data = [path.read_bytes() for path in _PHOTOS[::step]]
  crops = list(pipeline(data, resize_side, crop_size).as_numpy_iterator())
  assert len(crops) == len(data)
  different = {
      path.name: int((crop != reference(d, resize_side, crop_size)).sum())
      for path, crop, d in zip(_PHOTOS[::step], crops, data, strict=True)}
  assert {name: n for name, n in different.items() if n} == {}


@needs_photos
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
def test_in_tf_data_service():
  data = [path.read_bytes() for path in _PHOTOS[:20]]
  service = tf.data.experimental.service
  dispatcher = service.DispatchServer(service.DispatcherConfig(port=0))
  address = dispatcher.target.split('://')[1]
  worker = service.WorkerServer(
      service.WorkerConfig(dispatcher_address=address, port=0))
  dataset = pipeline(data, 256, 224).apply(service.distribute(
      processing_mode=service.ShardingPolicy.OFF, service=dispatcher.target))
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
        compiled_decode()(data).numpy(), reference_decode(data))


# Shapes.


@pytest.mark.parametrize('height, width', [
    (56, 56), (57, 75), (75, 56), (255, 256), (256, 256), (257, 391),
    (2400, 1800), (1801, 2399), (60, 900), (900, 60), (333, 500), (500, 333),
    (1, 1), (1, 40), (7, 3), (224, 224), (512, 512)])
@pytest.mark.parametrize('file_format', ['JPEG', 'PNG'])
def test_shapes(height, width, file_format):
  assert_equal(encode(scene(height, width), file_format),
               [(256, 224), (341, 299)])


@pytest.mark.parametrize('width', range(300, 317))
def test_right_end_of_the_resized_image(width):
  """OpenCV computes the last values of a row in integers, the rest in float."""
  data = encode(scene(2000, width), 'PNG')
  assert_equal(data, [(224, 224), (225, 224), (226, 224), (7, 3), (1, 1)])


@pytest.mark.parametrize('resize_side, crop_size', [(10, 9), (256, 1), (600, 500)])
def test_other_sizes(resize_side, crop_size):
  assert_equal(encode(scene(375, 500)), [(resize_side, crop_size)])


@pytest.mark.parametrize('resize_side, crop_size', [(224, 225), (256, 0)])
def test_impossible_sizes(resize_side, crop_size):
  with pytest.raises(ValueError, match='crop_size must be in 1..resize_side='):
    opencv.decode_resize_crop(tf.constant(b''), resize_side, crop_size)


# JPEG.


@pytest.mark.parametrize('subsampling', ['4:4:4', '4:2:2', '4:2:0', '4:1:1'])
@pytest.mark.parametrize('options', [
    {}, {'progressive': True}, {'quality': 30}, {'quality': 100},
    {'restart_marker_blocks': 3}, {'restart_marker_rows': 1}, {'optimize': True}])
@pytest.mark.parametrize('height, width', [(375, 500), (501, 333), (97, 211)])
def test_jpeg_variants(subsampling, options, height, width):
  assert_equal(encode(scene(height, width), subsampling=subsampling, **options))


_SAMPLING = {
    '4:4:0': cv2.IMWRITE_JPEG_SAMPLING_FACTOR_440,
    '4:1:1': cv2.IMWRITE_JPEG_SAMPLING_FACTOR_411}


@pytest.mark.parametrize('name', _SAMPLING)
@pytest.mark.parametrize('progressive', [0, 1])
def test_jpeg_samplings_of_opencv(name, progressive):
  for width in (480, 491, 1003):
    _, data = cv2.imencode('.jpg', scene(400, width), [
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR, _SAMPLING[name],
        cv2.IMWRITE_JPEG_PROGRESSIVE, progressive])
    assert_equal(data.tobytes())


def test_grey_jpeg():
  assert_equal(encode(scene(375, 500, 1)))
  assert_equal(encode(scene(375, 500, 1), progressive=True))


def test_rgb_jpeg():
  assert_equal(encode(scene(375, 500), keep_rgb=True, subsampling=0))


def test_bytes_behind_the_end():
  assert_equal(encode(scene(375, 500)) + b'more')


@pytest.mark.parametrize('transform', [0, 2], ids=['CMYK', 'YCCK'])
def test_cmyk_within_one_level(transform):
  data = bytearray(encode(scene(100, 120, 4)))
  data[data.index(b'Adobe') + 11] = transform
  assert_equal(bytes(data), tolerance=1)


def test_cmyk_without_adobe_segment_within_one_level():
  data = encode(scene(100, 120, 4))
  start = data.index(b'Adobe') - 4
  length = struct.unpack('>H', data[start + 2:start + 4])[0]
  assert_equal(data[:start] + data[start + 2 + length:], tolerance=1)


# PNG.


def chunk(name, content):
  body = name + content
  return struct.pack('>I', len(content)) + body + struct.pack(
      '>I', zlib.crc32(body))


def png(rows, width, color_type, depth, *chunks):
  """A PNG by hand: Pillow does not write every kind."""
  header = struct.pack(
      '>IIBBBBB', width, len(rows), depth, color_type, 0, 0, 0)
  pixels = zlib.compress(b''.join(b'\0' + row.tobytes() for row in rows))
  return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + b''.join(chunks) + (
      chunk(b'IDAT', pixels) + chunk(b'IEND', b''))


_PALETTE = chunk(b'PLTE', bytes((7 * i + i // 3) % 256 for i in range(768)))


@pytest.mark.parametrize('channels, color_type', [(1, 0), (3, 2), (2, 4), (4, 6)])
@pytest.mark.parametrize('depth', [8, 16])
def test_png_kinds(channels, color_type, depth):
  image = scene(90, 120, channels).astype('>u2' if depth == 16 else np.uint8)
  if depth == 16:
    image = image * 257 ^ np.arange(120)[:, None].astype('>u2')
  assert_equal(png(image.astype(f'>u{depth // 8}'), 120, color_type, depth))


@pytest.mark.parametrize('depth', [1, 2, 4, 8])
@pytest.mark.parametrize('chunks', [
    (_PALETTE,), (_PALETTE, chunk(b'tRNS', bytes(range(256))))])
def test_png_palette(depth, chunks):
  palette = [chunk(c[4:8], c[8:-4][:2 ** depth * (3 if c[4:5] == b'P' else 1)])
             for c in chunks]
  rows = scene(90, 120 * depth // 8, 1)
  assert_equal(png(rows, 120, 3, depth, *palette))


@pytest.mark.parametrize('depth', [1, 2, 4])
def test_png_low_grey(depth):
  assert_equal(png(scene(90, 120 * depth // 8, 1), 120, 0, depth))


@pytest.mark.parametrize('extra', [
    chunk(b'gAMA', struct.pack('>I', 100000)), chunk(b'sBIT', b'\5\6\5'),
    chunk(b'bKGD', b'\0\1\0\2\0\3'), chunk(b'tRNS', b'\0\1\0\2\0\3')])
def test_png_hints_change_nothing(extra):
  assert_equal(png(scene(90, 120), 120, 2, 8, extra))


# EXIF.


def tiff(order, *entries, count=None, magic=42, start=8):
  """A TIFF block of (tag, type, count, two 16-bit values) entries."""
  block = struct.pack(order + 'HI', magic, start) + struct.pack(
      order + 'H', len(entries) if count is None else count)
  for entry in entries:
    block += struct.pack(order + 'HHIHH', *entry)
  return (b'II' if order == '<' else b'MM') + block


def with_exif(jpeg, block, head=b'Exif\0\0', marker=0xE1, at=2):
  content = head + block
  segment = struct.pack('>BBH', 0xFF, marker, len(content) + 2) + content
  return jpeg[:at] + segment + jpeg[at:]


def orientation(value):
  return (0x112, 3, 1, value, 0)


_BASE = encode(scene(300, 400), subsampling='4:2:0')


@pytest.mark.parametrize('order', '<>')
@pytest.mark.parametrize('value', range(10))
def test_exif_orientation(order, value):
  block = tiff(order, (0x100, 3, 1, 9, 0), orientation(value))
  assert_equal(with_exif(_BASE, block))
  turned = reference_decode(with_exif(_BASE, block)).shape != (300, 400, 3)
  assert turned == (5 <= value <= 8)
  picture = png(scene(30, 40), 40, 2, 8, chunk(b'eXIf', block))
  assert_equal(picture)


_OUTSIDE = (0x10F, 2, 99, 60000, 60000)  # a string outside the block
_BROKEN = {
    'no magic': tiff('<', orientation(6), magic=43),
    'count too large': tiff('<', orientation(6), count=40000),
    'count too small': tiff('<', orientation(6), count=0),
    'directory outside': tiff('>', orientation(6), start=70000),
    'directory at 2**32 - 1': tiff('>', orientation(6), start=2**32 - 1),
    'string outside before': tiff('<', _OUTSIDE, orientation(6)),
    'string outside after': tiff('<', orientation(6), _OUTSIDE),
    'cut in the value': tiff('<', orientation(6))[:-3],
    'cut behind the value': tiff('<', orientation(6))[:-2],
    'long': tiff('<', (0x112, 4, 1, 6, 0)),
    'long, big endian': tiff('>', (0x112, 4, 1, 0, 6)),
    'twice': tiff('<', orientation(3), orientation(6)),
    'first is invalid': tiff('<', orientation(9), orientation(6)),
    'unknown order': b'XX' + tiff('>', orientation(6))[2:],
    'empty': b'',
    'one byte': b'I',
}


@pytest.mark.parametrize('name', _BROKEN)
def test_broken_exif_is_what_opencv_makes_of_it(name):
  assert_equal(with_exif(_BASE, _BROKEN[name]))


def test_exif_segments():
  block, other = tiff('<', orientation(6)), tiff('>', orientation(3))
  assert_equal(with_exif(_BASE, block, at=20))  # behind JFIF
  assert_equal(with_exif(_BASE, block, head=b'Exif\0X'))
  assert_equal(with_exif(_BASE, block, marker=0xE2))
  assert_equal(with_exif(with_exif(_BASE, other), block))
  assert_equal(with_exif(with_exif(_BASE, block), tiff('<')))
  xmp = b'http://ns.adobe.com/xap/1.0/\0<x/>'
  assert_equal(with_exif(with_exif(_BASE, block), b'', head=xmp))
  # Behind 60 KB of other segments.
  assert_equal(with_exif(with_exif(_BASE, block), bytes(60000), marker=0xED))
  # Behind the quantisation tables.
  tables = _BASE.index(b'\xff\xdb')
  assert_equal(with_exif(_BASE, block, at=tables))
  # In a comment: no block.
  assert_equal(with_exif(_BASE, block, marker=0xFE))


# What must fail.


@pytest.mark.parametrize('data', [
    b'', b'\xff', b'\xff\xd8\xff', b'not a photo at all', _BASE[:-2],
    _BASE[:-300], _BASE[:len(_BASE) // 2], _BASE[:100],
    encode(scene(60, 80), 'GIF'), encode(scene(60, 80), 'WEBP'),
    encode(scene(60, 80), 'BMP'), encode(scene(60, 80), 'TIFF'),
    encode(scene(60, 80), 'PNG')[:-40],
    encode(scene(60, 80), 'PNG', save_all=True,
           append_images=[Image.fromarray(scene(60, 80, seed=1))])],
    ids=['empty', 'one byte', 'signature', 'text', 'no end', 'truncated', 'half',
         'header', 'GIF', 'WebP', 'BMP', 'TIFF', 'truncated PNG', 'animated PNG'])
def test_refused(data):
  with pytest.raises(tf.errors.InvalidArgumentError):
    compiled_decode()(data)
  with pytest.raises(tf.errors.InvalidArgumentError):
    compiled()(data)
  with pytest.raises(tf.errors.InvalidArgumentError):
    list(pipeline([data], 256, 224))


def test_error_says_what_it_saw():
  with pytest.raises(tf.errors.InvalidArgumentError, match='GIF8'):
    compiled()(encode(scene(60, 80), 'GIF'))
