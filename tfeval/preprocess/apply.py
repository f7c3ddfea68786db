"""Applies a protocol to an encoded image, in TensorFlow ops."""

from collections.abc import Sequence

import tensorflow as tf

from tfeval.preprocess import (
  corruption_table,
  corruptions,
  decode,
  opencv,
  opencv_kernels,
  pillow,
)
from tfeval.preprocess.protocol import LIBRARIES, Protocol

# TensorFlow computes the whole resized image in float32, not just the crop: 0.8 GB.
# That is an aspect of 1 : 1024 for 224 pixels; a line of pixels would fill memory.
_MOST_RESIZED_PIXELS = 2**26


def apply(
  protocol: Protocol,
  image_bytes: tf.Tensor,
  jit_compile: bool = True,
  image_id: tf.Tensor | None = None,
) -> tf.Tensor:
  """Decodes, resizes and crops one image, and corrupts it where a protocol says so.

  Args:
    protocol: says how.
    image_bytes: scalar string, the encoded image.
    jit_compile: whether XLA compiles the resizing of `opencv` and `pillow`;
      changes the time, no value.
    image_id: scalar string, which image it is; a protocol that corrupts needs it.

  Returns:
    [size, size, channels] of the protocol's dtype, RGB, 0..255 (cubic kernels that are
    not rounded overshoot a little), of several crops [crops, size, size, channels]:
    upper left, upper right, lower left, lower right, centre; the bytes, [], of
    `encoded`.

  Raises:
    tf.errors.InvalidArgumentError: the image cannot be decoded, is smaller than
      what is to be cut out of it, or so long that resized it fills the memory.
    UserError: what a corruption needs is not there.
  """
  if protocol.is_corrupted:
    clean = apply(protocol.before_corruption, image_bytes, jit_compile)
    return corrupted(protocol, clean, image_id)
  if protocol.crops == 1:
    pixels = LIBRARIES[protocol.library](protocol, image_bytes, jit_compile)
  else:
    pixels = _five_crops(protocol, image_bytes)
  return tf.ensure_shape(pixels, protocol.shape)


def corrupted(
  protocol: Protocol, pixels: tf.Tensor, image_id: tf.Tensor | None
) -> tf.Tensor:
  """Does what a protocol says behind the crop: corrupts, and resizes if need be.

  Args:
    protocol: one that corrupts.
    pixels: uint8 [224, 224, 3], what its `before_corruption` makes.
    image_id: scalar string.

  Returns:
    [size, size, 3] of the protocol's dtype.

  Raises:
    UserError: what the corruption needs is not there.
  """
  if image_id is None:
    raise ValueError(f'{protocol.spec} draws by the id of an image: none is given')
  corruption = corruption_table.parse(protocol.corruption)
  found = corruptions.corrupt(pixels, image_id, corruption, protocol.corruption_seed)
  if protocol.size != pixels.shape[0]:
    found = _squashed(protocol, found)
  return tf.ensure_shape(found, protocol.shape)


def _squashed(protocol, image):
  resized = tf.constant([protocol.size, protocol.size], tf.int64)
  if protocol.library == 'pillow':
    return pillow.resize(image, resized, protocol.kernel)
  return _WHOLE[protocol.library](protocol, None, image, resized)[0]


def apply_all(
  protocols: Sequence[Protocol], image_bytes: tf.Tensor, jit_compile: bool = True
) -> list[tf.Tensor]:
  """Does what `apply` does, for several protocols, and decodes once for each decoder.

  Args:
    protocols: of libraries of `tfeval.preprocess`, all of which decode, and none of
      which corrupts.
    image_bytes, jit_compile: as for `apply`.

  Returns:
    What `apply` returns for each of them, the same bits.

  Raises:
    tf.errors.InvalidArgumentError: as `apply`, for any of them.
  """
  ways = [(one.decode != 'accurate', one.exif) for one in protocols]
  with decode.shared(image_bytes, ways):
    return [apply(one, image_bytes, jit_compile) for one in protocols]


def _decode(protocol, image_bytes):
  return decode.decode(
    image_bytes, fast=protocol.decode != 'accurate', exif_orientation=protocol.exif
  )


def _resized_shape(protocol, shape):
  """-> int64 [2]: side times resize_side may pass 2**31."""
  if protocol.resize == 'squash':
    # A zero that only exists at run time: TensorFlow turns the division by a
    # constant into a multiplication, and other pixels become the nearest ones.
    return protocol.resize_side + tf.cast(shape < 0, tf.int64)
  return shape * protocol.resize_side // tf.reduce_min(shape)


def _five_crops(protocol, image_bytes):
  """Decodes and resizes an image once; the last crop is that of the plain protocol."""
  size = protocol.size
  image = _decode(protocol, image_bytes)
  resized = tf.cast(_whole_resized_shape(protocol, image), tf.int64)
  whole, centre = _WHOLE[protocol.library](protocol, image_bytes, image, resized)
  last, zero = resized - size, tf.zeros([], tf.int64)
  places = [
    tf.stack([zero, zero]),
    tf.stack([zero, last[1]]),
    tf.stack([last[0], zero]),
    last,
    centre,
  ]
  crops = [
    whole[row : row + size, at : at + size] for row, at in map(tf.unstack, places)
  ]
  return tf.stack(crops)


def _opencv_whole(protocol, _, image, resized):
  centre = resized // 2 - protocol.size // 2
  if protocol.kernel == 'cubic':
    return opencv.resize(image, resized, protocol.rounding), centre
  zeros = tf.zeros([2], tf.int64)
  return opencv_kernels.resize_crop(
    image, resized, zeros, resized, protocol.kernel
  ), centre


def _pillow_whole(protocol, image_bytes, image, resized):
  decode.refuse_deep_grey(image_bytes)
  centre = _pillow_first(protocol, resized)
  return pillow.resize(image, resized, protocol.kernel), centre


def _tensorflow_whole(protocol, _, image, resized):
  resize = _RESIZED[protocol.library]
  whole = resize(protocol, image, tf.cast(resized, tf.int32))
  return _rounded(protocol, whole), (resized - protocol.size) // 2


_WHOLE = {
  'opencv': _opencv_whole,
  'pillow': _pillow_whole,
  'tensorflow': _tensorflow_whole,
  'tensorflow1': _tensorflow_whole,
}


def opencv_pixels(protocol, image_bytes, jit_compile):
  if (
    protocol.kernel == 'cubic'
    and protocol.resize == 'short_side'
    and protocol.exif
    and protocol.decode == 'accurate'
  ):
    # Float sums come out in another order if they are not compiled, and a choice by
    # the number of images may not change a value.
    return opencv.decode_resize_crop(
      image_bytes,
      protocol.resize_side,
      protocol.size,
      jit_compile or protocol.rounding != 'fixed_point',
      protocol.rounding,
    )
  image = _decode(protocol, image_bytes)
  resized = _resized_shape(protocol, tf.shape(image, tf.int64)[:2])
  # Without a crop, `resized` is `size` and this is 0.
  first = resized // 2 - protocol.size // 2
  if protocol.kernel != 'cubic':
    return opencv_kernels.resize_crop(
      image, resized, first, protocol.size, protocol.kernel
    )
  return opencv.resize_crop(image, resized, first, protocol.size, protocol.rounding)


def pillow_pixels(protocol, image_bytes, jit_compile):
  resized_shape = _long_side_shape if protocol.resize == 'long_side' else _resized_shape

  def place(shape):
    resized = resized_shape(protocol, shape)
    return resized, _pillow_first(protocol, resized)

  decode.refuse_deep_grey(image_bytes)
  fill = [int(protocol.fill[i : i + 2], 16) for i in (1, 3, 5)]
  return pillow.decode_resize_crop(
    image_bytes,
    place,
    protocol.size,
    protocol.kernel,
    protocol.exif,
    protocol.decode != 'accurate',
    jit_compile,
    fill if protocol.is_filled else None,
  )


def _pillow_first(protocol, resized):
  """-> int64 [2], where the crop in the centre of a resized image begins."""
  spare = resized - protocol.size
  if protocol.crop_at == 'floor':  # `center_crop` of transformers, its padding too.
    return spare // 2
  # torchvision's CenterCrop: Python's round, half to even.
  first = tf.cast(tf.round(tf.cast(spare, tf.float64) / 2), tf.int64)
  # Its padding, and timm's CenterCropOrPad: of an odd number the last side has more.
  return tf.where(spare < 0, -(-spare // 2), first)


def _long_side_shape(protocol, shape):
  """-> int64 [2], as `get_params` of timm's ResizeKeepRatio: in float64, half to even.

  Raises:
    tf.errors.InvalidArgumentError: nothing would be left of the short side.
  """
  # Not a constant, as in `_resized_shape`.
  side = tf.cast(protocol.resize_side + tf.cast(shape < 0, tf.int64), tf.float64)
  sides = tf.cast(shape, tf.float64)
  resized = tf.cast(tf.round(sides / tf.reduce_max(sides / side)), tf.int64)
  reason = tf.strings.format('it is {} pixels, and resized a side has none', [shape])
  with tf.control_dependencies(
    [tf.debugging.Assert(tf.reduce_all(resized > 0), [reason])]
  ):
    return tf.identity(resized)


def given_pixels(protocol, image_bytes, _):
  # A TensorProto of float32, as `tf.io.serialize_tensor` writes it.
  is_tensor = tf.strings.substr(image_bytes, 0, 2) == b'\x08\x01'
  pixels = tf.cond(
    is_tensor,
    lambda: tf.io.parse_tensor(image_bytes, tf.float32),
    lambda: tf.cast(_decode(protocol, image_bytes), tf.float32),
  )
  shape, expected = tf.shape(pixels), [protocol.size, protocol.size, protocol.channels]
  right = tf.reduce_all(shape == expected)
  reason = tf.strings.format(
    'it has the shape {}, and nothing is resized to {}', [shape, protocol.size]
  )
  with tf.control_dependencies([tf.debugging.Assert(right, [reason])]):
    return tf.reshape(pixels, expected)


def encoded_image(_protocol, image_bytes, _):
  # What is inside, whole or broken, the model finds.
  known = decode.is_jpeg(image_bytes) | decode.is_png(image_bytes)
  reason = 'it is neither JPEG nor PNG'
  with tf.control_dependencies([tf.debugging.Assert(known, [reason])]):
    return tf.identity(image_bytes)


_METHODS = {'cubic': 'bicubic', 'bilinear': 'bilinear', 'nearest': 'nearest'}


def tensorflow_pixels(protocol, image_bytes, _):
  image = _cropped_before(protocol, image_bytes)
  shape = _whole_resized_shape(protocol, image)
  return _cropped_after(protocol, _tensorflow_resized(protocol, image, shape))


def _tensorflow_resized(protocol, image, shape):
  resized = tf.image.resize(
    image, shape, method=_METHODS[protocol.kernel], antialias=protocol.antialias
  )
  return tf.cast(resized, tf.float32)


def tensorflow1_pixels(protocol, image_bytes, _):
  image = _cropped_before(protocol, image_bytes)
  shape = _whole_resized_shape(protocol, image)
  return _cropped_after(protocol, _tensorflow1_resized(protocol, image, shape))


def _tensorflow1_resized(protocol, image, shape):
  # What tf.image.resize_bicubic and resize_bilinear were in TensorFlow 1: no
  # half-pixel centres; the cubic has A = -0.75 out of a table of 1024 steps.
  resize = {
    'cubic': tf.raw_ops.ResizeBicubic,
    'bilinear': tf.raw_ops.ResizeBilinear,
    'nearest': tf.raw_ops.ResizeNearestNeighbor,
  }[protocol.kernel]
  resized = resize(
    images=image[None], size=shape, align_corners=False, half_pixel_centers=False
  )[0]
  return tf.cast(resized, tf.float32)


_RESIZED = {'tensorflow': _tensorflow_resized, 'tensorflow1': _tensorflow1_resized}


def _whole_resized_shape(protocol, image):
  """-> int32 [2], of an image that is computed before it is cropped."""
  shape = _resized_shape(protocol, tf.shape(image, tf.int64)[:2])
  if protocol.resize == 'squash':
    return tf.cast(shape, tf.int32)
  with decode.pixels_bounded(
    shape, _MOST_RESIZED_PIXELS, 'resized it has {} pixels, at most {} are computed'
  ):
    return tf.cast(shape, tf.int32)


def _cropped_before(protocol, image_bytes):
  """Decodes an image and cuts out what is to be resized."""
  if protocol.decode == 'fast_crop':
    return tf.cond(
      decode.is_jpeg(image_bytes),
      lambda: _decoded_square(protocol, image_bytes),
      lambda: _square(protocol, _decode(protocol, image_bytes)),
    )
  image = _decode(protocol, image_bytes)
  if protocol.crop == 'before':
    return tf.image.central_crop(image, protocol.crop_fraction)
  if protocol.crop == 'before_square':
    return _square(protocol, image)
  return image


def _place_of_square(protocol, shape):
  """-> int32 [2], first row and column, and its side, as the authors' code has it.

  `_decode_and_center_crop` of tensorflow/tpu's EfficientNet: in float32.
  """
  side = tf.cast(
    protocol.crop_fraction * tf.cast(tf.reduce_min(shape), tf.float32), tf.int32
  )
  return (shape - side + 1) // 2, side


def _square(protocol, image):
  first, side = _place_of_square(protocol, tf.shape(image)[:2])
  return image[first[0] : first[0] + side, first[1] : first[1] + side]


def _decoded_square(protocol, jpeg):
  first, side = _place_of_square(protocol, tf.io.extract_jpeg_shape(jpeg)[:2])
  return decode.decode_jpeg_window(jpeg, tf.concat([first, [side, side]], 0), fast=True)


def _cropped_after(protocol, resized):
  if protocol.crop == 'after':
    first = (tf.shape(resized)[:2] - protocol.size) // 2
    resized = resized[
      first[0] : first[0] + protocol.size, first[1] : first[1] + protocol.size
    ]
  return _rounded(protocol, resized)


def _rounded(protocol, pixels):
  if protocol.rounding == 'nearest':
    return tf.cast(tf.clip_by_value(tf.round(pixels), 0, 255), tf.uint8)
  return pixels
