"""Encoded photo -> uint8 RGB, as `cv2.imread` decodes it, in TensorFlow ops.

The reference is OpenCV 5.0: `cv2.imdecode(data, cv2.IMREAD_COLOR)` and BGR to
RGB. JPEG with one or three components and PNG agree with it bit for bit.
"""

import contextlib
import contextvars
import types
from collections.abc import Iterable, Iterator, Mapping

import tensorflow as tf

from tfeval.preprocess import exif

_JPEG = b'\xff\xd8\xff'
_PNG = b'\x89PNG\r\n\x1a\n'
# libjpeg's own default; TensorFlow's is another.
_ACCURATE = 'INTEGER_ACCURATE'
# A header of a few bytes can claim any size. Decoded, cut and resized a pixel takes up
# to 16 bytes, so that this is 1 GB; the largest of ImageNet has 61 million. OpenCV
# stops at 1.07 billion, Pillow at 179 million.
_MOST_PIXELS = 62_500_000
# An APP14 segment without colour transform, put before all other segments: a
# later one overrides it. TensorFlow takes CMYK for inverted, as OpenCV always
# does, only if there is one.
_ADOBE = b'\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00'
# Images that are decoded already, by whether fast and whether turned by EXIF.
_SHARED: contextvars.ContextVar[Mapping[tuple[bool, bool], tf.Tensor]] = (
  contextvars.ContextVar('decoded', default=types.MappingProxyType({}))
)


@contextlib.contextmanager
def shared(image_bytes: tf.Tensor, ways: Iterable[tuple[bool, bool]]) -> Iterator[None]:
  """Decodes a photo once for all that is traced in this context, wholly.

  Args:
    image_bytes: scalar string, the only photo of the context.
    ways: `fast` and `exif_orientation` of `decode` that are asked for.
  """
  token = _SHARED.set({way: decode(image_bytes, *way) for way in set(ways)})
  try:
    yield
  finally:
    _SHARED.reset(token)


def is_shared() -> bool:
  """Whether photos are decoded already."""
  return bool(_SHARED.get())


def decode(
  image_bytes: tf.Tensor, fast: bool = False, exif_orientation: bool = True
) -> tf.Tensor:
  """Decodes a JPEG or PNG as OpenCV 5.0 does.

  Args:
    image_bytes: scalar string, the encoded photo. JPEG: grey, three components
      or CMYK/YCCK, baseline or progressive. PNG: every colour type and depth;
      of 16 bits the upper 8 count, alpha is dropped, not blended.
    fast: whether JPEG is decoded as `tf.io.decode_jpeg` does by default instead,
      which differs by about 1 level, in places by 19.
    exif_orientation: whether the photo is turned as its EXIF block asks.

  Returns:
    uint8 [height, width, 3], RGB, 0..255. Equal to OpenCV; for CMYK and YCCK
    within 1 level of OpenCV's `icvCvt_CMYK2BGR_8u_C4C3R`.

  Raises:
    tf.errors.InvalidArgumentError: other formats (GIF, WebP, BMP, ...), an
      animated PNG, more than 62.5 million pixels, broken or truncated data. OpenCV
      fills what a truncated JPEG lacks with grey; an evaluation should rather
      stop.
  """
  if (fast, exif_orientation) in _SHARED.get():
    return _SHARED.get()[fast, exif_orientation]
  image = tf.cond(
    is_jpeg(image_bytes),
    lambda: _decode_jpeg(image_bytes, fast, exif_orientation),
    lambda: _decode_png(image_bytes, exif_orientation),
  )
  return tf.ensure_shape(image, [None, None, 3])


def is_jpeg(image_bytes: tf.Tensor) -> tf.Tensor:
  """Whether the bytes start as a JPEG does, scalar bool."""
  return tf.strings.substr(image_bytes, 0, 3) == _JPEG


def is_png(image_bytes: tf.Tensor) -> tf.Tensor:
  """Whether the bytes start as a PNG does, scalar bool."""
  return tf.strings.substr(image_bytes, 0, 8) == _PNG


def png_shape(png: tf.Tensor) -> tf.Tensor:
  """Returns the height and width that a PNG claims, in some order, int64 [2]."""
  # They are the third eight bytes.
  header = tf.io.decode_raw(
    tf.strings.substr(png, 0, 24), tf.int64, little_endian=False, fixed_length=24
  )
  return tf.stack([tf.bitwise.right_shift(header[2], 32), header[2] & 0xFFFFFFFF])


def orient(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
  """Turns an image as an EXIF orientation asks.

  Args:
    image: [height, width, channels].
    orientation: scalar int32, 1..8 (Exif 2.3, tag 0x112).

  Returns:
    [height, width, channels], for 5..8 [width, height, channels].
  """

  def turn(transposed, axes):
    turned = tf.transpose(image, [1, 0, 2]) if transposed else image
    return tf.reverse(turned, axes) if axes else turned

  ways = [
    (False, []),
    (False, [1]),
    (False, [0, 1]),
    (False, [0]),
    (True, []),
    (True, [1]),
    (True, [0, 1]),
    (True, [0]),
  ]
  return tf.switch_case(orientation - 1, [lambda way=way: turn(*way) for way in ways])


def refuse_deep_grey(image_bytes: tf.Tensor) -> None:
  """Refuses grey PNG of 16 bits, which Pillow turns white instead of scaling it.

  Args:
    image_bytes: scalar string, the encoded photo.

  Raises:
    tf.errors.InvalidArgumentError: it is one.
  """
  # Bit depth and colour type (0: grey) in the header chunk. Grey with alpha is
  # scaled.
  deep_grey = is_png(image_bytes) & (
    tf.strings.regex_full_match(
      tf.strings.substr(image_bytes, 0, 26), r'\C{24}\x10\x00'
    )
  )
  tf.debugging.Assert(~deep_grey, ['Pillow turns grey of 16 bits white'])


def pixels_bounded(
  shape: tf.Tensor,
  most: int = _MOST_PIXELS,
  what: str = 'it has {} pixels, at most {} are decoded',
):
  """Returns a context whose operations wait until a size is known to be sane.

  Args:
    shape: whole numbers; the first two are height and width in pixels.
    most: pixels that are let through.
    what: says what is refused, of the pixels and of `most`.

  Raises:
    tf.errors.InvalidArgumentError: when run: there are more than `most` pixels.
  """
  pixels = tf.reduce_prod(tf.cast(shape[:2], tf.int64))
  reason = tf.strings.format(what, [pixels, tf.constant(most)])
  return tf.control_dependencies([tf.debugging.Assert(pixels <= most, [reason])])


def decode_jpeg_window(
  jpeg: tf.Tensor, window: tf.Tensor, fast: bool = False
) -> tf.Tensor:
  """Decodes a part of a JPEG with one or three components.

  The part itself equals the same part of the whole photo. At its left and
  right ends up to 16 columns may differ, where the photo goes on (chroma
  upsampling).

  Args:
    jpeg: scalar string.
    window: int32 [4]: top, left, height, width in pixels, inside the photo.
    fast: as for `decode`.

  Returns:
    uint8 [height, width, 3], RGB.
  """
  with pixels_bounded(tf.io.extract_jpeg_shape(jpeg)):
    return tf.image.decode_and_crop_jpeg(
      jpeg, window, channels=3, dct_method='' if fast else _ACCURATE
    )


def _decode_jpeg(jpeg, fast, exif_orientation):
  shape = tf.io.extract_jpeg_shape(jpeg)
  with pixels_bounded(shape):
    if fast:
      image = tf.io.decode_jpeg(jpeg, channels=3)
    else:
      image = tf.cond(
        shape[2] == 4, lambda: _decode_cmyk(jpeg), lambda: _decode_rgb(jpeg)
      )
  if not exif_orientation:
    return image
  return tf.cond(
    exif.may_have_exif(jpeg),
    lambda: orient(image, exif.jpeg_orientation(jpeg)),
    lambda: image,
  )


def _decode_rgb(jpeg):
  return tf.io.decode_jpeg(
    jpeg,
    channels=3,
    dct_method=_ACCURATE,
    fancy_upscaling=True,
    try_recover_truncated=False,
  )


def _decode_cmyk(jpeg):
  rest = tf.strings.substr(jpeg, 2, tf.strings.length(jpeg))
  image = _decode_rgb(tf.strings.join([_JPEG[:2], _ADOBE, rest]))
  # TensorFlow: floor(k*c / 255). OpenCV: k - ((255-c)*k >> 8), which is 0 to 2
  # levels above it, and equal at 255.
  return image + tf.cast(image < 255, tf.uint8)


def _decode_png(png, exif_orientation):
  # Python raises UnicodeDecodeError instead of a message that is not UTF-8.
  start = tf.strings.unicode_transcode(
    tf.strings.substr(png, 0, 12), 'UTF-8', 'UTF-8', replacement_char=ord('?')
  )
  known = tf.debugging.Assert(
    is_png(png),
    ['not a JPEG or PNG file; it starts with', start],
  )
  # The chunk name may also stand in the pixels of a photo, but not so early.
  is_animated = tf.strings.regex_full_match(
    tf.strings.substr(png, 0, 1024), r'\C*\x00\x00\x00\x08acTL\C*'
  )
  is_still = tf.debugging.Assert(~is_animated, ['it is animated'])
  shape = png_shape(png)
  # The operation decodes other formats as well, and may be done before what it
  # does not wait for.
  with tf.control_dependencies([known, is_still]), pixels_bounded(shape):
    image = tf.io.decode_png(png, channels=3, dtype=tf.uint8)
  if not exif_orientation:
    return image
  return tf.cond(
    tf.strings.regex_full_match(png, r'\C*eXIf\C*'),
    lambda: orient(image, exif.png_orientation(png)),
    lambda: image,
  )
