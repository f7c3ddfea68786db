"""Decoding as cv2 does: every kind of JPEG and PNG."""

import struct

import cv2
import numpy as np
import pytest
import tensorflow as tf
from images import BASE, chunk, encode, png, scene
from parity import assert_equal, compiled, compiled_decode
from PIL import Image


@pytest.mark.parametrize('subsampling', ['4:4:4', '4:2:2', '4:2:0', '4:1:1'])
@pytest.mark.parametrize(
  'options',
  [
    {},
    {'progressive': True},
    {'quality': 30},
    {'quality': 100},
    {'restart_marker_blocks': 3},
    {'restart_marker_rows': 1},
    {'optimize': True},
  ],
)
@pytest.mark.parametrize('height, width', [(375, 500), (501, 333), (97, 211)])
def test_jpeg_variants(subsampling, options, height, width):
  assert_equal(encode(scene(height, width), subsampling=subsampling, **options))


_SAMPLING = {
  '4:4:0': cv2.IMWRITE_JPEG_SAMPLING_FACTOR_440,
  '4:1:1': cv2.IMWRITE_JPEG_SAMPLING_FACTOR_411,
}


@pytest.mark.parametrize('name', _SAMPLING)
@pytest.mark.parametrize('progressive', [0, 1])
def test_jpeg_samplings_of_opencv(name, progressive):
  for width in (480, 491, 1003):
    _, data = cv2.imencode(
      '.jpg',
      scene(400, width),
      [
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        _SAMPLING[name],
        cv2.IMWRITE_JPEG_PROGRESSIVE,
        progressive,
      ],
    )
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
  length = struct.unpack('>H', data[start + 2 : start + 4])[0]
  assert_equal(data[:start] + data[start + 2 + length :], tolerance=1)


_PALETTE = chunk(b'PLTE', bytes((7 * i + i // 3) % 256 for i in range(768)))


@pytest.mark.parametrize('channels, color_type', [(1, 0), (3, 2), (2, 4), (4, 6)])
@pytest.mark.parametrize('depth', [8, 16])
def test_png_kinds(channels, color_type, depth):
  image = scene(90, 120, channels).astype('>u2' if depth == 16 else np.uint8)
  if depth == 16:
    image = image * 257 ^ np.arange(120)[:, None].astype('>u2')
  assert_equal(png(image.astype(f'>u{depth // 8}'), 120, color_type, depth))


@pytest.mark.parametrize('depth', [1, 2, 4, 8])
@pytest.mark.parametrize(
  'chunks', [(_PALETTE,), (_PALETTE, chunk(b'tRNS', bytes(range(256))))]
)
def test_png_palette(depth, chunks):
  palette = [
    chunk(c[4:8], c[8:-4][: 2**depth * (3 if c[4:5] == b'P' else 1)]) for c in chunks
  ]
  rows = scene(90, 120 * depth // 8, 1)
  assert_equal(png(rows, 120, 3, depth, *palette))


@pytest.mark.parametrize('depth', [1, 2, 4])
def test_png_low_grey(depth):
  assert_equal(png(scene(90, 120 * depth // 8, 1), 120, 0, depth))


@pytest.mark.parametrize(
  'extra',
  [
    chunk(b'gAMA', struct.pack('>I', 100000)),
    chunk(b'sBIT', b'\5\6\5'),
    chunk(b'bKGD', b'\0\1\0\2\0\3'),
    chunk(b'tRNS', b'\0\1\0\2\0\3'),
  ],
)
def test_png_hints_change_nothing(extra):
  assert_equal(png(scene(90, 120), 120, 2, 8, extra))


@pytest.mark.parametrize(
  'data',
  [
    b'',
    b'\xff',
    b'\xff\xd8\xff',
    b'not a photo at all',
    BASE[:-2],
    BASE[:-300],
    BASE[: len(BASE) // 2],
    BASE[:100],
    encode(scene(60, 80), 'GIF'),
    encode(scene(60, 80), 'WEBP'),
    encode(scene(60, 80), 'BMP'),
    encode(scene(60, 80), 'TIFF'),
    encode(scene(60, 80), 'PNG')[:-40],
    encode(
      scene(60, 80),
      'PNG',
      save_all=True,
      append_images=[Image.fromarray(scene(60, 80, seed=1))],
    ),
  ],
  ids=[
    'empty',
    'one byte',
    'signature',
    'text',
    'no end',
    'truncated',
    'half',
    'header',
    'GIF',
    'WebP',
    'BMP',
    'TIFF',
    'truncated PNG',
    'animated PNG',
  ],
)
def test_refused(data):
  with pytest.raises(tf.errors.InvalidArgumentError):
    compiled_decode()(data)
  with pytest.raises(tf.errors.InvalidArgumentError):
    compiled()(data)


@pytest.mark.parametrize('data', [b'', BASE[: len(BASE) // 2]], ids=['empty', 'half'])
def test_refused_in_a_pipeline(data):
  with pytest.raises(tf.errors.InvalidArgumentError):
    list(tf.data.Dataset.from_tensors(data).map(compiled()))


def test_error_says_what_it_saw():
  with pytest.raises(tf.errors.InvalidArgumentError, match='GIF8'):
    compiled()(encode(scene(60, 80), 'GIF'))
