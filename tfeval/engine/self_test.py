"""Whether the devices resize as the host does: measured before a run, not trusted."""

import dataclasses

import numpy as np
import tensorflow as tf

from tfeval.engine import placement
from tfeval.preprocess import device_canvas, device_resize
from tfeval.preprocess.protocol import Protocol
from tfeval.utils.errors import UserError

# Fused multiply-adds, which round once where two roundings are due, move 2 values in
# a million; a product in reduced precision moves more than one in a hundred.
MOST_OFF = 1e-5
# Short sides in units of the side that they are resized to. Positions between the
# pixels are 1/2, 1/4 or 3/4 in the first three: sums are multiples of large powers of
# two, and many lie halfway between two levels. The last is 375 to 256.
_SCALES = (2, 3 / 2, 1 / 2, 375 / 256)


@dataclasses.dataclass(frozen=True)
class SelfTest:
  """How far the devices' pixels are from the host's.

  Attributes:
    values: how many were compared.
    off: how many differed.
    largest: by how many levels of 255 at most.
  """

  values: int
  off: int
  largest: int

  @property
  def share(self) -> float:
    """Of the values compared, those that differed, 0 to 1."""
    return self.off / self.values


def self_test(
  strategy: tf.distribute.Strategy, protocol: Protocol, canvas: int, batch_size: int
) -> SelfTest:
  """Resizes fixed pictures on every device, and on the host, and compares them.

  Args:
    strategy: its devices are tested, with the shapes that they will be given.
    protocol: one that `device_canvas.check_protocol` lets through.
    canvas: side of the canvas, in pixels.
    batch_size: images in a batch, a multiple of the strategy's replicas.

  Raises:
    UserError: more than 1e-5 of the values differ, one of them by more than 1 level,
      or a device's memory is too small.
  """
  pictures = _pictures(protocol, canvas)
  with tf.device('/CPU:0'):
    expected = np.stack([_resized(protocol, picture) for picture in pictures])
    inputs = _inputs(protocol, canvas, pictures)
  try:
    found = _compare(strategy, batch_size, inputs, expected)
  except tf.errors.ResourceExhaustedError as error:
    raise UserError(
      f'batches of {batch_size} canvases of {canvas} x {canvas} pixels do not fit '
      "into the device's memory: give a smaller `batch_size` or canvas, or "
      '`resize_on=host`'
    ) from error
  if found.share > MOST_OFF or found.largest > 1:
    raise UserError(
      f'resized on the device, {found.share:.2g} of the values differ from the host, '
      f'by up to {found.largest} (at most {MOST_OFF:g} may, by 1): it computes in '
      'reduced precision; give `resize_on=host`'
    )
  return found


def _compare(strategy, batch_size, inputs, expected):
  resize = device_resize.compiled()
  replicas = strategy.num_replicas_in_sync
  size = batch_size // replicas
  values = off = largest = 0
  # Each replica gets each picture, in batches as large as those of the run.
  for start in range(0, len(expected), size):
    local = np.arange(start, start + size) % len(expected)
    with tf.device('/CPU:0'):
      batch = {
        key: tf.gather(value, np.tile(local, replicas)) for key, value in inputs.items()
      }
    # A program for each replica; given as it is, `resize` would be one for all of them,
    # on the first device.
    placed = placement.place(strategy, size * replicas, batch)
    outputs = strategy.run(lambda part: resize(part), (placed.inputs,))
    for output in strategy.experimental_local_results(outputs):
      gap = np.abs(output.numpy().astype(np.int16) - expected[local].astype(np.int16))
      values += gap.size
      off += int(np.count_nonzero(gap))
      largest = max(largest, int(gap.max()))
  return SelfTest(values, off, largest)


def _resized(protocol, picture):
  """-> uint8 [size, size, 3], as the host does it."""
  crop = device_canvas.crop_of(protocol)
  shape = tf.constant(picture.shape[:2], tf.int64)
  return crop.resize_plain(picture, shape, tf.zeros([2], tf.int32))


def _inputs(protocol, canvas, pictures):
  """-> what the devices are given, of a batch of all pictures."""
  n = len(pictures)
  padded = np.zeros([n, canvas, canvas, 3], np.uint8)
  for place, picture in zip(padded, pictures, strict=True):
    place[: picture.shape[0], : picture.shape[1]] = picture
  return device_canvas.device_inputs(
    device_canvas.with_taps(
      protocol,
      {
        'canvas': tf.constant(padded),
        'shape': tf.constant([picture.shape[:2] for picture in pictures], tf.int64),
        'low': tf.zeros([n, 2], tf.int32),
        'resized_on_host': tf.zeros([n], tf.bool),
      },
    )
  )


def _pictures(protocol, canvas):
  """-> list of uint8 [height, width, 3], none too large for the canvas."""
  # Of NumPy's generators the only one whose numbers never change.
  random = np.random.RandomState(0)
  pictures = []
  for scale in _SCALES:
    height = min(int(protocol.resize_side * scale), canvas)
    width = min(height * 4 // 3, canvas)
    shape = (height, width, 3)
    smooth = np.add.outer(np.arange(height), np.arange(width))[..., None] // 3 % 200
    pictures += [
      random.randint(0, 256, shape),
      255 * random.randint(0, 2, shape),
      random.randint(0, 4, shape),
      smooth + random.randint(0, 56, shape),
    ]
  return [picture.astype(np.uint8) for picture in pictures]
