"""Neighbouring values of an image, as XLA reads them quickly on the CPU."""

import tensorflow as tf


def along_rows(lines: tf.Tensor, columns: tf.Tensor, count: int) -> list[tf.Tensor]:
  """Reads neighbours of one channel; for code that XLA compiles.

  Args:
    lines: uint8 [height, width * 3], rows of pixels.
    columns: int32 [m], index into a row of the first neighbour, at most
      (width - count) * 3 + 2.
    count: how many neighbours, 3 values apart.

  Returns:
    `count` times int32 [height, m], 0..255.
  """
  # A shifted slice for each neighbour, and one table of indices for them all.
  width = tf.shape(lines)[1] - 3 * (count - 1)
  hidden = tf.cast(hidden_zero(columns), tf.uint32)

  def load(offset):
    part = lines[:, offset : offset + width]
    return tf.cast(tf.gather(part, columns, axis=1), tf.uint32)

  def pair(offset):
    # Values 0 and 3 of 4 neighbours. Two single loads would do, but of four bytes
    # put together the compiler makes one load: decode, resize and crop in all
    # take 5 % less time. The shift by zero keeps it from dropping the two unused
    # bytes again.
    word = load(offset)
    for k in range(1, 4):
      byte = tf.bitwise.left_shift(load(offset + k), tf.constant(8 * k, tf.uint32))
      word = tf.bitwise.bitwise_or(word, byte)
    word = tf.bitwise.right_shift(word, hidden)
    return [
      tf.bitwise.bitwise_and(word, tf.constant(255, tf.uint32)),
      tf.bitwise.right_shift(word, tf.constant(24, tf.uint32)),
    ]

  loaded = [tap for k in range(0, count - 1, 2) for tap in pair(3 * k)]
  if count % 2:
    loaded.append(load(3 * (count - 1)))
  # Signed: uint32 to float32 is slow without AVX-512; int32 is not.
  return [tf.bitcast(tap, tf.int32) for tap in loaded]


def hidden_zero(indices: tf.Tensor) -> tf.Tensor:
  """0, but only at run time: the sign of an index, scalar int32."""
  return tf.bitwise.right_shift(indices[0], 31)
