"""Odd and broken images under every named protocol: its library's pixels or an error.

Each test says which of the two it expects of which protocol.
"""

import functools
import subprocess
import sys

import cv2
import images
import numpy as np
import pytest
import references
import tensorflow as tf
from images import BASE, encode, scene
from PIL import Image

from tfeval.preprocess import apply, protocol

# Pillow's, of the odd blocks and palettes that it is given here.
pytestmark = pytest.mark.filterwarnings('ignore::UserWarning:PIL')
_SIZE = 224
# `given` takes images of one size alone, see test_protocols.py.
_WITHOUT_RESIZING = ('given', protocol.ENCODED)
_ALL = tuple(n for n in protocol.named_protocols() if n not in _WITHOUT_RESIZING)
_OF_PILLOW = tuple(
  name for name in _ALL if protocol.resolve(name, _SIZE).library == 'pillow'
)
# What the order of sums, or one rounding fewer, may change.
_TOLERANCES = {'opencv_float': 1e-3, 'slim': 1e-3, 'opencv_ipp': 1}
# Of 1 level after decoding. The kernels' weights overshoot, Pillow's rounds twice.
_CMYK_TOLERANCES = {
  'opencv': 2,
  'opencv_float': 2,
  'opencv_ipp': 2,
  'tf': 2,
  'pil': 3,
  'squash': 1,
  'slim': 1e-3,
}
_PNG, _STILL = encode(scene(60, 80), 'PNG'), scene(60, 80)
_MOVING = {'save_all': True, 'append_images': [Image.fromarray(scene(60, 80, seed=1))]}


@functools.cache
def traced(name):
  """As an evaluation traces it: without AutoGraph."""
  resolved = protocol.resolve(name, _SIZE)
  return tf.function(
    lambda image: apply.apply(resolved, image, jit_compile=False),
    autograph=False,
    input_signature=[tf.TensorSpec([], tf.string)],
  )


def assert_equal(data, names=_ALL, tolerances=_TOLERANCES):
  for name in names:
    theirs = references.REFERENCES[name](data, _SIZE)
    ours = traced(name)(data).numpy()
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype), name
    gap = np.abs(ours.astype(np.float64) - theirs).max()
    assert gap <= tolerances.get(name, 0), name


def assert_refused(data, reason, names=_ALL):
  for name in names:
    with pytest.raises(tf.errors.OpError) as caught:
      traced(name)(data)
    # What follows is where in the graph it happened.
    assert reason in caught.value.message.split('\n')[0], name


def without(*names):
  return [name for name in _ALL if name not in names]


# What is no image, or not all of one.


@pytest.mark.parametrize(
  'data, seen',
  [
    (b'', '[]'),
    (b'\xff', '[?]'),
    (b'not an image at all', '[not an image'),
    (encode(_STILL, 'GIF'), '[GIF87a'),
    (encode(_STILL, 'GIF', **_MOVING), '[GIF8'),
    (encode(_STILL, 'WEBP'), '[RIFF'),
    (encode(_STILL, 'WEBP', **_MOVING), '[RIFF'),
    (encode(_STILL, 'BMP'), '[BM'),
    (encode(_STILL, 'TIFF'), '[II*'),
  ],
  ids=[
    'empty',
    'one byte',
    'text',
    'GIF',
    'animated GIF',
    'WebP',
    'animated WebP',
    'BMP',
    'TIFF',
  ],
)
def test_neither_jpeg_nor_png(data, seen):
  assert_refused(data, f'not a JPEG or PNG file; it starts with] {seen}')


def test_animated_png():
  assert_refused(encode(_STILL, 'PNG', **_MOVING), 'it is animated')


@pytest.mark.parametrize(
  'end', [3, 100, BASE.index(b'\xff\xda') + 20, len(BASE) // 2, len(BASE) - 2]
)
def test_truncated_jpeg(end):
  # Without its last two bytes all pixels are there; the authors ask for no more.
  whole = ['efficientnet'] if end == len(BASE) - 2 else []
  assert_equal(BASE[:end], whole)
  assert_refused(BASE[:end], 'Invalid JPEG data', without(*whole))


@pytest.mark.parametrize('end', [8, 20, 33, len(_PNG) // 2, -40, -12])
def test_truncated_png(end):
  assert_refused(_PNG[:end], 'Invalid PNG')


@pytest.mark.parametrize('at', [60, -20])
def test_png_with_a_wrong_checksum(at):
  data = bytearray(_PNG)
  data[at] ^= 255
  assert_refused(bytes(data), 'Invalid PNG data')


def test_damage_within_a_jpeg_is_what_libjpeg_makes_of_it():
  middle = len(BASE) // 2
  assert_equal(BASE[:middle] + b'\x55' * 40 + BASE[middle + 40 :])


@pytest.mark.parametrize(
  'data, pixels',
  [
    (images.claims(60000, 60000, 'PNG'), 3_600_000_000),
    (images.claims(2**31 - 1, 2**31 - 1, 'PNG'), (2**31 - 1) ** 2),
    (images.claims(12500, 5001, 'PNG'), 62_512_500),
    (images.claims(65500, 65500, 'JPEG'), 4_290_250_000),
    (images.claims(5001, 12500, 'JPEG'), 62_512_500),
  ],
)
def test_claimed_size(data, pixels):
  assert_refused(data, f'it has {pixels} pixels, at most 62500000 are decoded')


def test_no_size():
  assert_refused(images.claims(0, 5, 'PNG'), 'Invalid PNG')
  assert_refused(images.claims(0, 5, 'JPEG'), 'Invalid JPEG data')


def test_line_of_pixels_does_not_fill_the_memory():
  """tf.image.resize would make 47 GB of it."""
  data = images.png(scene(1, 60000), 60000, 2, 8)
  assert_refused(data, 'resized it has 3932160000 pixels, at most 67108864', ['tf'])
  assert_equal(data, ['squash', 'slim', 'convnext'])
  for name in ('opencv', 'opencv_float', 'opencv_ipp', 'pil'):
    assert traced(name)(data).shape == (_SIZE, _SIZE, 3)


# Odd but whole.


@pytest.mark.parametrize('file_format', ['JPEG', 'PNG'])
@pytest.mark.parametrize('height, width', [(2, 3), (10, 300), (300, 10)])
def test_smaller_than_the_crop(height, width, file_format):
  assert_equal(encode(scene(height, width), file_format))


@pytest.mark.parametrize(
  'file_format, reason',
  [
    ('JPEG', 'Invalid JPEG data or crop window'),
    ('PNG', 'input image must be of non-zero size'),
  ],
)
@pytest.mark.parametrize('height, width', [(1, 1), (1, 40), (40, 1)])
def test_one_pixel_high_or_wide(height, width, file_format, reason):
  """7/8 of one pixel is none: the authors' code fails as well."""
  data = encode(scene(height, width), file_format)
  assert_equal(data, without('efficientnet'))
  assert_refused(data, reason, ['efficientnet'])
  with pytest.raises(tf.errors.OpError):
    references.efficientnet(data, _SIZE)


@pytest.mark.parametrize('color_type', [2, 4, 6])
def test_deep_png(color_type):
  assert_equal(images.deep_png(color_type))


def test_deep_grey_png():
  """Pillow clips it to white instead of scaling it."""
  assert_equal(images.deep_png(0), without(*_OF_PILLOW))
  assert_refused(images.deep_png(0), 'Pillow turns grey of 16 bits white', _OF_PILLOW)


@pytest.mark.parametrize('depth', [1, 2, 4, 8])
def test_palette_png(depth):
  assert_equal(images.palette_png(depth))
  assert_equal(images.palette_png(depth, transparent=True))


@pytest.mark.parametrize(
  'channels, color_type, depth',
  [(1, 0, 1), (1, 0, 2), (1, 0, 4), (1, 0, 8), (2, 4, 8), (4, 6, 8)],
)
def test_grey_png_and_alpha(channels, color_type, depth):
  rows = scene(90, 120 * depth // 8, channels)
  assert_equal(images.png(rows, 120, color_type, depth))


@pytest.mark.parametrize('transform', [0, 2], ids=['CMYK', 'YCCK'])
def test_four_components(transform):
  assert_equal(images.cmyk_jpeg(transform), tolerances=_CMYK_TOLERANCES)


@pytest.mark.parametrize('value', range(1, 9))
def test_exif_orientation(value):
  block = images.tiff('<', images.orientation(value))
  assert_equal(images.with_exif(BASE, block))
  assert_equal(images.png(_STILL, 80, 2, 8, images.chunk(b'eXIf', block)))


@pytest.mark.parametrize('name', images.BROKEN_EXIF)
def test_broken_exif(name):
  assert_equal(images.with_exif(BASE, images.BROKEN_EXIF[name]))


@pytest.mark.parametrize('subsampling', ['4:4:4', '4:2:2', '4:2:0', '4:1:1'])
def test_subsampling_with_restart_markers(subsampling):
  if subsampling == '4:1:1':  # Pillow writes 4:2:0 for it.
    data = cv2.imencode(
      '.jpg',
      scene(97, 211),
      [
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_411,
        cv2.IMWRITE_JPEG_RST_INTERVAL,
        3,
      ],
    )[1].tobytes()
  else:
    data = encode(scene(97, 211), subsampling=subsampling, restart_marker_blocks=3)
  assert b'\xff\xdd' in data
  assert_equal(data)


@pytest.mark.parametrize(
  'data',
  [
    encode(scene(97, 211), progressive=True),
    encode(scene(97, 211, 1)),
    encode(scene(97, 211), keep_rgb=True, subsampling=0),
    images.arithmetic_jpeg(),
  ],
  ids=['progressive', 'grey', 'RGB', 'arithmetic'],
)
def test_kinds_of_jpeg(data):
  assert_equal(data)


@pytest.mark.parametrize('file_format', ['JPEG', 'PNG'])
def test_20000_pixels_wide(file_format):
  assert_equal(encode(np.full((300, 20000, 1), 90, np.uint8), file_format))


_PEAK = """
import resource, sys
import tensorflow as tf
from tfeval.preprocess import apply, protocol
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
function = tf.function(lambda data: apply.apply(
    protocol.resolve('opencv', 224), data, jit_compile=False), autograph=False,
    input_signature=[tf.TensorSpec([], tf.string)])
function(open(sys.argv[1], 'rb').read())
before = peak()
try:
  function(open(sys.argv[2], 'rb').read())
except tf.errors.InvalidArgumentError as error:
  print(error.message)
print('MiB', peak() - before)
"""


@pytest.mark.slow
def test_20000_by_20000_is_refused_in_little_memory(tmp_path):
  """Decoded it would have 1.2 GB; in a process of its own, for its peak."""
  small, *huge = (tmp_path / name for name in ('small', 'JPEG', 'PNG'))
  small.write_bytes(BASE)
  for path in huge:
    Image.new('L', (20000, 20000), 90).save(path, path.name)
    done = subprocess.run(
      [sys.executable, '-c', _PEAK, small, path],
      text=True,
      check=True,
      capture_output=True,
    ).stdout
    assert 'it has 400000000 pixels' in done
    assert int(done.split('MiB')[1]) < 100
