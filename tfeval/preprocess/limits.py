"""What one image may cost: its pixels, its scans, and how many large ones at once.

An encoded image of a few kilobytes can ask for any number of pixels, and a JPEG for any
number of passes over them. Images that may take much go through here one after the
other, whatever the number of threads; all others pass by two comparisons.
"""

from collections.abc import Callable

import tensorflow as tf

from tfeval.preprocess import decode
from tfeval.preprocess.window import not_inlined

# Decoded it takes 50 MB; so much is decoded by each thread at once.
_LARGE_PIXELS = 2**24
# A scan of a JPEG: a header of 10 bytes at least and one of data (ITU-T T.81, B.2.3).
_SHORTEST_SCAN = 11
# Pixels times scans: about 20 s of libjpeg-turbo. Cameras and encoders write up to a
# dozen scans, so that no photo comes near it.
_MOST_PASSED_PIXELS = 2**32
# Of the header, which is read piece by piece.
_MOST_SCANS = 10_000
_LOCK = 'tfeval-large-image'


def with_limits(
  image_bytes: tf.Tensor, make: Callable[[tf.Tensor], tf.Tensor]
) -> tf.Tensor:
  """Returns what is made of an image, if it costs no more than it may.

  Args:
    image_bytes: scalar string, the encoded image.
    make: makes tensors of it.

  Raises:
    tf.errors.InvalidArgumentError: when run: the image has too many scans. That it has
      too many pixels `decode` says.
  """
  is_cheap = _is_cheap(image_bytes)
  # Conditions around `make` itself would double its graph.
  lock = tf.cond(is_cheap, _no_lock, lambda: not_inlined(_admitted)(image_bytes))
  with tf.control_dependencies([lock]):
    made = make(tf.identity(image_bytes))
  with tf.control_dependencies(tf.nest.flatten(made)):
    # A lock is let go of with the last operation that uses it, or on an error.
    used = tf.cond(is_cheap, lambda: 0, lambda: not_inlined(_used)(image_bytes, lock))
  with tf.control_dependencies([used]):
    return tf.nest.map_structure(tf.identity, made)


def _is_cheap(image_bytes):
  """Whether an image is a JPEG that can cost little, however it is made."""

  def jpeg():
    pixels = _jpeg_pixels(image_bytes)
    scans = tf.cast(tf.strings.length(image_bytes), tf.int64) // _SHORTEST_SCAN
    return (pixels <= _LARGE_PIXELS) & (scans * pixels <= _MOST_PASSED_PIXELS)

  return tf.cond(decode.is_jpeg(image_bytes), jpeg, lambda: tf.constant(False))


def _jpeg_pixels(jpeg):
  shape = tf.cast(tf.io.extract_jpeg_shape(jpeg), tf.int64)
  return shape[0] * shape[1]


def _pixels(image_bytes):
  """-> int64, 0 of what is neither JPEG nor PNG."""
  return tf.case(
    [
      (decode.is_jpeg(image_bytes), lambda: _jpeg_pixels(image_bytes)),
      (
        decode.is_png(image_bytes),
        lambda: tf.reduce_prod(decode.png_shape(image_bytes)),
      ),
    ],
    default=lambda: tf.constant(0, tf.int64),
  )


def _scans_bounded(image_bytes):
  """Refuses a JPEG of too many scans.

  Their marker can stand in other segments too, a few times: those of thumbnails.
  """

  def check():
    raw = tf.io.decode_raw(image_bytes, tf.uint8)
    scans = tf.cast(
      tf.math.count_nonzero((raw[:-1] == 0xFF) & (raw[1:] == 0xDA), dtype=tf.int32),
      tf.int64,
    )
    most = tf.minimum(
      _MOST_PASSED_PIXELS // tf.maximum(_jpeg_pixels(image_bytes), 1), _MOST_SCANS
    )
    reason = tf.strings.format(
      'it has {} scans, at most {} are decoded of so many pixels', [scans, most]
    )
    with tf.control_dependencies([tf.debugging.Assert(scans <= most, [reason])]):
      return tf.constant(True)

  return tf.cond(decode.is_jpeg(image_bytes), check, lambda: tf.constant(True))


def _admitted(image_bytes):
  """-> a lock, if it is a large image; waits until no other thread has it.

  It is of the process that runs this, be it a worker of tf.data service.
  """
  with tf.control_dependencies([_scans_bounded(image_bytes)]):
    pixels = _pixels(image_bytes)

  def lock():
    return tf.raw_ops.MutexLock(mutex=tf.raw_ops.MutexV2(shared_name=_LOCK))

  return tf.cond(pixels > _LARGE_PIXELS, lock, _no_lock)


def _no_lock():
  # A value of the same dtype; others have types that TensorFlow finds incompatible.
  return tf.raw_ops.EmptyTensorMap()


def _used(image_bytes, lock):
  def release():
    with tf.control_dependencies([tf.raw_ops.ConsumeMutexLock(mutex_lock=lock)]):
      return tf.constant(0)

  return tf.cond(_pixels(image_bytes) > _LARGE_PIXELS, release, lambda: 0)
