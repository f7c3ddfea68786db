"""Formats of images, and of the cache that keeps them, for `mutations`."""

import functools
import io
import pathlib
from typing import Any

import numpy as np
import PIL.Image
import tensorflow as tf
from mutations import Format

from tfeval.engine import pipeline
from tfeval.engine.cache import chunks
from tfeval.preprocess import protocol
from tfeval.utils import files
from tfeval.utils.errors import UserError

SIZE, KEY = 32, 'a' * 32


def _photo(name: str, **options: Any):
  def make(directory: pathlib.Path) -> pathlib.Path:
    y, x = np.mgrid[:48, :60]
    values = np.stack([x * 4, y * 5, (x * y) % 256], -1).astype(np.uint8)
    image = PIL.Image.fromarray(values)
    if options.pop('exif', False):
      block = image.getexif()
      block[0x112] = 6
      options['exif'] = block
    path = directory / name
    image.save(path, **options)
    return path

  return make


@functools.cache
def _protocol() -> protocol.Protocol:
  return protocol.resolve('opencv', SIZE)


def _read(path: pathlib.Path) -> bytes:
  encoded = tf.constant(path.read_bytes())
  fault = pipeline.fault(_protocol(), encoded)
  if fault is not None:
    assert '\n' not in fault
    raise UserError(fault)
  pixels = pipeline.preprocess_image(
    _protocol(), encoded, tf.constant(''), False
  ).numpy()
  assert pixels.shape == (SIZE, SIZE, 3) and pixels.dtype == np.uint8
  return pixels.tobytes()


def _chunk(directory: pathlib.Path) -> pathlib.Path:
  path = directory / 'chunk'
  with tf.io.TFRecordWriter(str(path)) as writer:
    writer.write(chunks.header(KEY, 0, 2))
    for number in range(2):
      pixels = np.full((SIZE, SIZE, 3), number, np.uint8)
      writer.write(chunks.record(bytes([number]) * 32, pixels))
  return path


def _read_chunk(path: pathlib.Path) -> str:
  sha256 = files.sha256_of(path)
  # Named by its content, as who changes it on purpose would.
  found = chunks.fault(chunks.Chunk(path, 0, 2, sha256), KEY, SIZE, 'uint8')
  if found:
    raise UserError(found)
  try:
    records = list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
  except tf.errors.OpError as error:
    # What the reader of the cache makes of it: the images are made again.
    raise UserError(str(error).split('\n')[0]) from error
  assert len(records) == 3
  return sha256


def _cmyk(directory: pathlib.Path) -> pathlib.Path:
  content = io.BytesIO()
  PIL.Image.new('CMYK', (50, 40), (10, 60, 100, 20)).save(content, 'JPEG')
  path = directory / 'photo.cmyk.jpg'
  path.write_bytes(content.getvalue())
  return path


FORMATS = (
  Format('photo.jpg', _photo('photo.jpg', quality=90), _read),
  Format(
    'photo.progressive.jpg',
    _photo('photo.progressive.jpg', quality=80, progressive=True, exif=True),
    _read,
  ),
  Format('photo.png', _photo('photo.png', exif=True), _read),
  Format('photo.cmyk.jpg', _cmyk, _read),
  Format('chunk', _chunk, _read_chunk),
)
