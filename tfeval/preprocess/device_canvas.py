"""What the host does where the device resizes: decode, and pad to a canvas.

Of a photo only the window is decoded that its centre crop is computed from. It is
about as wide as high, whichever way the photo is held, so one square canvas serves
all photos of a run, and every batch has one static shape. A photo whose window is
larger is resized on the host, by the code that does so for all photos otherwise,
and passes through the device unchanged.

`tfeval.preprocess.device_resize` is the other half.
"""

import dataclasses
import os

import numpy as np
import tensorflow as tf

from tfeval.preprocess import opencv, opencv_cubic, window
from tfeval.preprocess.protocol import Protocol
from tfeval.utils.errors import UserError

# Sides, in pixels. Of 294 photos of ImageNet 88 % need at most 384, 96 % at most
# 512, 99 % at most 640.
CANVASES = (256, 384, 512, 640, 768, 1024)
DEFAULT_CANVAS = 512
# What the device is given of each image; the last only if the protocol needs it.
_INPUTS = ('canvas', 'taps', 'weights', 'in_tail')
# Fields of a protocol that may have any value; others are refused on the device.
_ANY = ('name', 'size', 'decode', 'exif', 'antialias', 'dtype', 'crop')
_ANY += ('crop_fraction', 'crop_padding')
# Batches that exist at once: one that is filled, two read ahead, one in use.
_BATCHES = 4


def check_protocol(
  protocol: Protocol, canvas: int, batch_size: int, computed_on_cpu: bool
) -> None:
  """Checks that the device can resize as a protocol says, and that memory is enough.

  Args:
    protocol: any.
    canvas: side of the canvas, in pixels.
    batch_size: images in a batch over all replicas.
    computed_on_cpu: whether the devices have no memory but the host's.

  Raises:
    UserError: the protocol is not implemented, the canvas is none of `CANVASES` or
      smaller than the result, or the batches that exist at once are more than all
      memory.
  """
  wanted = {
    'library': 'opencv',
    'kernel': 'cubic',
    'rounding': 'fixed_point',
    'resize': 'short_side',
  }
  others = {
    field.name: field.default
    for field in dataclasses.fields(protocol)
    if field.name not in (*wanted, *_ANY)
  }
  for field, value in (wanted | others).items():
    if getattr(protocol.of_pixels, field) != value:
      raise UserError(
        f'protocol {protocol.spec} cannot be resized on the device, '
        f'{field}={getattr(protocol, field)}: implemented is opencv '
        f'({", ".join(f"{k}={v}" for k, v in wanted.items())}); give '
        '`resize_on=host`'
      )
  if canvas not in CANVASES:
    raise UserError(f'`canvas={canvas}`: give one of {", ".join(map(str, CANVASES))}')
  if canvas < protocol.size:
    raise UserError(
      f'`canvas={canvas}` does not hold what is resized to '
      f'{protocol.size}: give a larger one, or `resize_on=host`'
    )
  needed = batch_size * _bytes_of_image(protocol, canvas, computed_on_cpu)
  there = os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
  if needed > there:
    raise UserError(
      f'batches of {batch_size} canvases of {canvas} x {canvas} pixels '
      f'need {needed / 2**30:.1f} GB, this host has {there / 2**30:.1f}: give a '
      'smaller `batch_size` or a smaller canvas'
    )


def _bytes_of_image(protocol, canvas, computed_on_cpu):
  """-> what an image takes at least of the host's memory."""
  pixels = 3 * canvas**2
  if not computed_on_cpu:
    return _BATCHES * pixels
  # Pixels as float32, and two sums for each value of a row of the result.
  return (_BATCHES + 4) * pixels + 4 * 2 * canvas * 3 * protocol.size


def crop_of(protocol: Protocol) -> opencv.Crop:
  """Returns where a protocol's crop is in a photo, and how the host resizes it."""
  return opencv.Crop(protocol.resize_side, protocol.size, protocol.rounding)


def decode(
  protocol: Protocol, image_bytes: tf.Tensor, canvas: int, jit_compile: bool = True
) -> dict[str, tf.Tensor]:
  """Decodes what one image's crop needs, or resizes it if that is too much.

  Args:
    protocol: one that `check` lets through.
    image_bytes: scalar string, the encoded image.
    canvas: side of the canvas, in pixels.
    jit_compile: whether XLA compiles the resizing on the host; changes the time,
      no value.

  Returns:
    For `batch`: `canvas`: uint8 [height, width, 3], at most the canvas; `shape`:
    int64 [2], of the photo, and `low`: int32 [2], the window's first row and column
    there; `resized_on_host`: bool.

  Raises:
    tf.errors.InvalidArgumentError: the image cannot be decoded.
  """
  crop = crop_of(protocol)
  shape, low, pixels = window.decode_window(
    image_bytes, crop.crop_window, protocol.exif, protocol.decode != 'accurate'
  )
  resize = (
    crop.resize_compiled if jit_compile and not crop.reaches_tail else crop.resize_plain
  )

  def resized():
    return window.not_inlined(resize)(pixels, shape, low)

  too_large = tf.reduce_max(tf.shape(pixels)) > canvas
  pixels = tf.cond(too_large, resized, lambda: pixels)
  return {
    'canvas': tf.ensure_shape(pixels, [None, None, 3]),
    'shape': shape,
    'low': low,
    'resized_on_host': too_large,
  }


def batch(
  examples: tf.data.Dataset, protocol: Protocol, canvas: int, batch_size: int
) -> tf.data.Dataset:
  """Batches examples that have what `decode` returns.

  Args:
    examples: of dicts; other entries have static shapes and stay as they are.
    protocol: as for `decode`.
    canvas: as for `decode`.
    batch_size: examples in a batch; the last one may be smaller.

  Returns:
    The other entries, batched, `canvas`: uint8 [n, canvas, canvas, 3], zeros below
    and to the right; `resized_on_host`: bool [n]; and what `with_taps` adds.
  """
  shapes = {key: spec.shape for key, spec in examples.element_spec.items()}
  shapes['canvas'] = [canvas, canvas, 3]
  # Each image's few numbers at once: an operation takes longer to start than to do.
  return examples.padded_batch(batch_size, shapes).map(
    tf.autograph.experimental.do_not_convert(
      lambda examples: with_taps(protocol, examples)
    )
  )


def device_inputs(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
  """Returns what the device is given of a batch, for `device_resize.resize`."""
  return {key: batch[key] for key in _INPUTS if key in batch}


def with_taps(
  protocol: Protocol, examples: dict[str, tf.Tensor]
) -> dict[str, tf.Tensor]:
  """Replaces where n images come from by the taps and weights of their crops.

  Args:
    protocol: as for `decode`.
    examples: `shape`: int64 [n, 2], `low`: int32 [n, 2], `resized_on_host`: bool
      [n], as of `decode`; other entries stay as they are.

  Returns:
    `taps`: int32 [n, 2, 4, size], four rows of the canvas under each row and four
    columns under each column of the result; `weights`: float32 [n, 2, 4, size], of
    them, integers in -228..2048; if the protocol's crop can reach them, `in_tail`:
    bool [n, size, 3], the values of a row that OpenCV rounds in integers.
  """
  examples = dict(examples)
  shape, low = examples.pop('shape'), examples.pop('low')
  crop, size = crop_of(protocol), protocol.size
  resized, first = crop.place(shape)
  # What the host has resized is a photo of `size` that is resized to itself.
  done = examples['resized_on_host'][:, None]
  same = tf.constant(size, tf.int64)
  shape, resized = tf.where(done, same, shape), tf.where(done, same, resized)
  first = tf.where(done, tf.zeros_like(first), first)
  low = tf.where(done, tf.zeros_like(low), low)
  floor, weights = opencv_cubic.weights_of_batch(shape, resized, first, size)
  taps = floor[:, :, None] + np.arange(-1, 3, dtype=np.int32)[:, None]
  limit = tf.cast(shape, tf.int32)[..., None, None] - 1
  taps = tf.clip_by_value(taps, 0, limit) - low[..., None, None]
  examples |= {'taps': taps, 'weights': tf.transpose(weights, [1, 2, 0, 3])}
  if crop.reaches_tail:
    examples['in_tail'] = opencv.tail(
      resized[:, 1, None, None], first[:, 1, None, None], size
    )
  return examples
