"""Images that may take much are decoded one after the other, and not without end."""

import io
import threading
import time
import zlib

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from tfeval.engine import pipeline
from tfeval.preprocess import limits, protocol


def jpeg(height, width, **options):
  file = io.BytesIO()
  values = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
  PIL.Image.fromarray(values).save(file, 'JPEG', quality=30, **options)
  return file.getvalue()


def flat(height, width, kind, **options):
  file = io.BytesIO()
  PIL.Image.new('RGB', (width, height)).save(file, kind, **options)
  return file.getvalue()


def with_scans(data, more):
  """Repeats the last scan of a progressive JPEG, which changes no pixel."""
  start = data.rindex(b'\xff\xda')
  # The tables of a scan stand before it.
  tables = data.rindex(b'\xff\xc4')
  start = min(start, tables) if start - tables < 300 else start
  return data[:-2] + data[start:-2] * more + data[-2:]


def scans_of(data):
  return data.count(b'\xff\xda')


def test_an_image_of_many_scans_is_refused():
  """A few megabytes would hold a thread for minutes."""
  plain = flat(1024, 1024, 'JPEG', progressive=True)
  assert scans_of(plain) == 10
  many = with_scans(plain, 5000)
  found = pipeline.fault(protocol.resolve('opencv', 224), tf.constant(many))
  assert found == (
    f'a JPEG, but it has {scans_of(many)} scans, at most 4096 are decoded of so many '
    'pixels'
  )
  assert scans_of(many) > 4096
  small = with_scans(flat(500, 500, 'JPEG', progressive=True), 17_200)
  found = pipeline.fault(protocol.resolve('opencv', 224), tf.constant(small))
  assert f'it has {scans_of(small)} scans, at most 10000 are decoded' in found


@pytest.mark.parametrize('options', [{}, {'progressive': True}])
def test_images_as_cameras_write_them_pass(options):
  for side in (20, 500, 3000):
    data = jpeg(side, side, **options)
    assert pipeline.fault(protocol.resolve('opencv', 224), tf.constant(data)) is None
  if options:
    more = tf.constant(with_scans(data, 30))
    assert pipeline.fault(protocol.resolve('opencv', 224), more) is None


def test_an_image_of_many_segments_or_chunks_is_refused():
  """Each is looked at for a few dozen microseconds."""
  opencv = protocol.resolve('opencv', 224)
  photo = flat(300, 300, 'JPEG')
  segments = photo[:2] + b'\xff\xe5\x00\x02' * 20_001 + photo[2:]
  png = flat(300, 300, 'PNG')
  chunk = b'\x00\x00\x00\x00tEXtt' + zlib.crc32(b'tEXt').to_bytes(4, 'big')
  chunk = chunk.replace(b'tEXtt', b'tEXt')
  # Only where an eXIf is named chunks are walked at all.
  chunks = png[:33] + chunk * 20_001 + png[33:-12] + b'\x00\x00\x00\x04noNEeXIf'
  chunks += zlib.crc32(b'noNEeXIf').to_bytes(4, 'big') + png[-12:]
  for data, kind in [(segments, 'JPEG'), (chunks, 'PNG')]:
    found = pipeline.fault(opencv, tf.constant(data))
    assert found == (
      f'a {kind}, but it has 20000 segments or chunks, and none tells how to turn it'
    )


@pytest.mark.parametrize('kind', ['JPEG', 'PNG'])
def test_large_images_are_made_one_after_the_other(kind):
  large, small = flat(4097, 4096, kind), flat(64, 64, kind)
  active, most, guard = [], {'large': 0, 'small': 0}, threading.Lock()

  def enter(size):
    name = 'large' if size > 1000 else 'small'
    with guard:
      active.append(name)
      most[name] = max(most[name], active.count(name))
    time.sleep(0.05)
    with guard:
      active.remove(name)
    return np.int64(size)

  lengths = {large: 4097, small: 64}

  def make(image):
    size = tf.where(image == tf.constant(large), lengths[large], lengths[small])
    return tf.ensure_shape(tf.numpy_function(enter, [size], tf.int64), [])

  images = [large, small] * 8
  dataset = tf.data.Dataset.from_tensor_slices(images).map(
    lambda image: limits.with_limits(image, make), num_parallel_calls=8
  )
  assert [int(size) for size in dataset] == [lengths[image] for image in images]
  assert most['large'] == 1
  assert most['small'] > 1


def test_an_image_that_breaks_lets_the_next_one_in():
  broken = flat(4097, 4096, 'JPEG')
  broken = broken[: len(broken) // 2]
  opencv = protocol.resolve('opencv', 224)
  for _ in range(3):
    assert 'truncated or damaged' in pipeline.fault(opencv, tf.constant(broken))
  whole = tf.constant(flat(4097, 4096, 'JPEG'))
  assert pipeline.fault(opencv, whole) is None
