"""EXIF orientation out of encoded bytes, in TensorFlow ops alone.

`cv2.imread` rotates a photo as its EXIF block asks; TensorFlow's decoders do
not. The rules here are those of OpenCV 5.0 (`modules/imgcodecs/src/exif.cpp`),
broken blocks included, and were compared with it on mutated blocks.
"""

import tensorflow as tf

# Where the cheap test looks for a block before the segments are walked. A
# photo without a block has its whole header (about 600 bytes) well inside.
_HEAD_BYTES = 4096
# Segments and chunks are walked one by one, some 30 us each; photos have a few dozen,
# PNG of 100 MB in chunks of 8 KB 12,000.
_MOST_PIECES = 20_000

_ORIENTATION = 0x112
# Fields that OpenCV reads besides the orientation. An entry of these that
# points outside the block ends the reading, so they decide whether an
# orientation behind them counts.
_STRINGS = (0x10E, 0x10F, 0x110, 0x131, 0x132, 0x8298)
_SHORTS = (_ORIENTATION, 0x128, 0x213)
# Tag -> bytes behind the pointer (8 per rational).
_RATIONALS = {0x11A: 8, 0x11B: 8, 0x13E: 16, 0x13F: 48, 0x211: 24, 0x214: 48}


def may_have_exif(jpeg: tf.Tensor) -> tf.Tensor:
  """Cheap test: False only if the JPEG certainly has no EXIF block.

  Args:
    jpeg: scalar string, an encoded JPEG.

  Returns:
    Scalar bool. True asks for `jpeg_orientation`: the first 4 KB hold the
    letters of an EXIF block, or no start of scan, so that the header goes on.
  """
  head = tf.strings.substr(jpeg, 0, _HEAD_BYTES)
  # \C is any byte: '.' would stop at what is not UTF-8.
  named = tf.strings.regex_full_match(head, r'\C*Exif\x00\x00\C*')
  raw = tf.io.decode_raw(head, tf.uint8)
  scan = tf.reduce_any((raw[:-1] == 0xFF) & (raw[1:] == 0xDA))
  return named | ~scan


@tf.function(
  autograph=False,
  input_signature=[tf.TensorSpec([], tf.string)],
  experimental_attributes={'_noinline': True},
)
def jpeg_orientation(jpeg: tf.Tensor) -> tf.Tensor:
  """Returns the orientation a JPEG asks for, scalar int32 in 1..8.

  All APP1 segments before the first scan are read; the first orientation
  found counts. Without one, or with a value outside 1..8, it is 1.
  """
  size = tf.strings.length(jpeg)

  def unread(position, found, pieces):
    return (position + 4 <= size) & (found < 0) & (pieces < _MOST_PIECES)

  def read(position, found, pieces):
    head = _bytes(tf.strings.substr(jpeg, position, 4))
    marker, length = head[1], head[2] * 256 + head[3]
    fill = marker == 0xFF
    ends = (head[0] != 0xFF) | (~fill & ((marker == 0xDA) | (length < 2)))
    after = tf.where(ends, size, position + tf.where(fill, 1, 2 + length))
    is_exif = ~ends & (marker == 0xE1) & (length >= 8) & (after <= size)
    is_exif &= tf.strings.substr(jpeg, tf.minimum(position + 4, size - 1), 6) == (
      b'Exif\x00\x00'
    )
    found = tf.cond(
      is_exif,
      lambda: tiff_orientation(tf.strings.substr(jpeg, position + 10, length - 8)),
      lambda: found,
    )
    return after, found, pieces + 1

  return _walked(unread, read, start=2)


def png_orientation(png: tf.Tensor) -> tf.Tensor:
  """Returns the orientation of a PNG's eXIf chunk, scalar int32 in 1..8."""
  size = tf.strings.length(png)

  def unread(position, found, pieces):
    return (position + 12 <= size) & (found < 0) & (pieces < _MOST_PIECES)

  def read(position, found, pieces):
    length = _number(tf.ensure_shape(_bytes(tf.strings.substr(png, position, 4)), [4]))
    fits = (length >= 0) & (length <= size - position - 12)
    is_exif = fits & (tf.strings.substr(png, position + 4, 4) == b'eXIf')
    found = tf.cond(
      is_exif,
      lambda: tiff_orientation(tf.strings.substr(png, position + 8, length)),
      lambda: found,
    )
    return tf.where(fits, position + 12 + length, size), found, pieces + 1

  return _walked(unread, read, start=8)


def _walked(unread, read, start):
  """-> the orientation found in the pieces of a file, which are not too many."""
  _, found, pieces = tf.while_loop(
    unread, read, (tf.constant(start), tf.constant(-1), tf.constant(0))
  )
  reason = f'it has {_MOST_PIECES} segments or chunks, and none tells how to turn it'
  bounded = tf.debugging.Assert((pieces < _MOST_PIECES) | (found >= 0), [reason])
  with tf.control_dependencies([bounded]):
    return _valid(found)


# One function for JPEG and PNG: its operations are most of what is traced.
@tf.function(
  autograph=False,
  input_signature=[tf.TensorSpec([], tf.string)],
  experimental_attributes={'_noinline': True},
)
def tiff_orientation(block: tf.Tensor) -> tf.Tensor:
  """Reads tag 0x112 of the first directory of a TIFF block.

  Args:
    block: scalar string, from the byte order mark on.

  Returns:
    Scalar int32: the value as stored, or -1 if OpenCV would not find one.
  """
  # Eight zeros: a block too short for its header reads as one without magic.
  data = tf.concat([_bytes(block), tf.zeros([8], tf.int32)], 0)
  size = tf.strings.length(block)
  # OpenCV takes everything but 'II' for big endian.
  little = (data[0] == ord('I')) & (data[1] == ord('I'))

  def read(at, width):
    inside = (at >= 0) & (at <= size - width)
    index = tf.clip_by_value(at, 0, size)[..., None] + tf.range(width)
    digits = tf.gather(data, index)
    digits = tf.where(little, tf.reverse(digits, [-1]), digits)
    return _number(digits), inside

  magic, _ = read(tf.constant(2), 2)
  start, _ = read(tf.constant(4), 4)
  count, has_count = read(start, 2)
  count = tf.where((magic == 42) & (size >= 8) & has_count, count, 0)
  # One entry more than fits, so that the first unreadable one is seen.
  at = start + 2 + 12 * tf.range(tf.minimum(count, size // 12 + 1))
  tag, readable = read(at, 2)
  readable &= _is_entry_readable(tag, at, size, read)
  before = tf.math.cumprod(tf.cast(readable, tf.int32)) == 1
  # Orientation is read from the value field whatever the type says.
  values = tf.boolean_mask(read(at + 8, 2)[0], before & (tag == _ORIENTATION))
  return tf.concat([values, [-1]], 0)[0]


def _is_entry_readable(tag, at, size, read):
  """Whether OpenCV's reading of each entry stays inside the block."""
  length, has_length = read(at + 4, 4)
  pointer, has_pointer = read(at + 8, 4)
  # Up to four characters sit in the entry; OpenCV then only checks that
  # eight bytes and the characters would fit.
  long = length > 4
  where = tf.where(long, pointer, 8)
  text = has_length & (length >= 0) & (~long | has_pointer)
  text &= (where >= 0) & (where <= size) & (length <= size - where)
  # 0 for what is no rational, which is not read.
  is_rational = tag[..., None] == tf.constant(list(_RATIONALS))
  width = tf.reduce_sum(
    tf.where(is_rational, tf.constant(list(_RATIONALS.values())), 0), -1
  )
  rational = has_pointer & (pointer >= 0) & (pointer <= size - width)
  return (
    (text | ~_is_one_of(tag, _STRINGS))
    & ((at <= size - 10) | ~_is_one_of(tag, _SHORTS))
    & (rational | (width == 0))
  )


def _is_one_of(tag, tags):
  return tf.reduce_any(tag[..., None] == tf.constant(tags), -1)


def _bytes(text):
  return tf.cast(tf.io.decode_raw(text, tf.uint8), tf.int32)


def _number(digits):
  """Big endian digits [..., 2 or 4] -> int32; 2**31 and more is negative."""
  number = digits[..., 0]
  for i in range(1, digits.shape[-1]):
    number = number * 256 + digits[..., i]
  return number


def _valid(orientation):
  return tf.where((orientation >= 1) & (orientation <= 8), orientation, 1)
