"""Images of containers as `tf.data.Dataset`s, from any position on."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from tfeval.datasets.containers.stamps import Stamp


def with_columns(
  ids: Sequence[str],
  labels: np.ndarray,
  images: tf.data.Dataset,
  start: int | tf.Tensor,
  stop: int | tf.Tensor,
  step: int,
) -> tf.data.Dataset:
  """Returns examples as `base.ImageDataset.examples` does.

  Args:
    ids, labels: of all positions.
    images: scalar strings, of the positions from `start` to before `stop`.
    start, stop: positions; integers, or int64 [] inside a graph.
    step: how far they are apart.
  """
  # Tensors are cut, which may be done inside a graph, not lists.
  columns = tf.data.Dataset.from_tensor_slices(
    {
      'id': tf.constant(ids)[start:stop:step],
      'label': tf.constant(labels, tf.int64)[start:stop:step],
    }
  )
  return tf.data.Dataset.zip((columns, images)).map(
    lambda example, image: {**example, 'image': image}
  )


def pieces(
  stamps: Sequence[Stamp],
  which: np.ndarray,
  offsets: np.ndarray,
  sizes: np.ndarray,
  start: int | tf.Tensor,
  stop: int | tf.Tensor,
  step: int,
) -> tf.data.Dataset:
  """Returns pieces of files, scalar strings.

  Args:
    stamps: the files.
    which: int64 [positions], the file of each piece.
    offsets, sizes: int64 [positions], where it begins and how many bytes it has.
    start, stop, step: as `with_columns`.
  """
  rows = tf.data.Dataset.from_tensor_slices(
    tuple(tf.constant(a)[start:stop:step] for a in (which, offsets, sizes))
  )

  def read(file: np.ndarray, offset: np.ndarray, size: np.ndarray) -> bytes:
    return stamps[int(file)].read(int(offset), int(size))

  return rows.map(
    lambda *row: tf.ensure_shape(tf.numpy_function(read, row, tf.string), []),
    num_parallel_calls=tf.data.AUTOTUNE,
  )


def records(
  paths: Sequence[str],
  counts: np.ndarray,
  key: str,
  start: int | tf.Tensor,
  stop: int | tf.Tensor,
) -> tf.data.Dataset:
  """Returns a feature of TFRecords, scalar strings, read in the graph alone.

  Args:
    paths: of the files.
    counts: int64 [files], how many records each has.
    key: of the feature, one text in each example.
    start, stop: as `with_columns`.
  """
  files, skips, takes = _overlaps((np.array(paths),), counts, start, stop)

  def read(path: tf.Tensor, skip: tf.Tensor, take: tf.Tensor) -> tf.data.Dataset:
    found = tf.data.TFRecordDataset(path).skip(skip).take(take)
    # A file that has become shorter is told, not passed over.
    return found.apply(tf.data.experimental.assert_cardinality(take))

  feature = {key: tf.io.FixedLenFeature([], tf.string)}
  return (
    tf.data.Dataset.from_tensor_slices((files, skips, takes))
    .flat_map(read)
    .map(
      lambda record: tf.io.parse_single_example(record, feature)[key],
      num_parallel_calls=tf.data.AUTOTUNE,
    )
  )


def as_png(pixels: tf.data.Dataset, shape: Sequence[int]) -> tf.data.Dataset:
  """Returns images without loss in the form in which all others come.

  Args:
    pixels: scalar strings of `height * width * channels` bytes.
    shape: height, width and channels, of which there are 1 or 3.
  """

  def encode(raw: tf.Tensor) -> tf.Tensor:
    # What packs best takes ten times as long.
    return tf.io.encode_png(
      tf.reshape(tf.io.decode_raw(raw, tf.uint8), shape), compression=1
    )

  return pixels.map(encode, num_parallel_calls=tf.data.AUTOTUNE)


def in_chunks(
  read: Callable[..., Iterator[list[bytes]]],
  columns: Sequence[np.ndarray],
  counts: np.ndarray,
  start: int | tf.Tensor,
  stop: int | tf.Tensor,
  step: int,
) -> tf.data.Dataset:
  """Returns what has to be read from some places on, one after the other.

  Args:
    read: yields lists of images of a row of `columns`: which is the first, of how many
      from it on, and every how manieth of these.
    columns: int64 [places] each.
    counts: int64 [places], how many images there are behind each other.
    start, stop, step: as `with_columns`.
  """
  rows = _overlaps(columns, counts, start, stop)
  if step != 1:  # Never in a graph.
    *others, skips, takes = (row.numpy() for row in rows)
    # What is before each row, from the first position on.
    late = -(np.cumsum(takes) - takes) % step
    some = late < takes
    rows = tuple(row[some] for row in (*others, skips + late, takes - late))
  signature = tf.TensorSpec([None], tf.string)
  return (
    tf.data.Dataset.from_tensor_slices(rows)
    .flat_map(
      lambda *row: tf.data.Dataset.from_generator(
        read, args=(*row, step), output_signature=signature
      )
    )
    .unbatch()
  )


def _overlaps(
  columns: Sequence[np.ndarray],
  counts: np.ndarray,
  start: int | tf.Tensor,
  stop: int | tf.Tensor,
) -> tuple[tf.Tensor, ...]:
  """Returns the rows in which a range of positions lies.

  Args:
    columns: [rows] each.
    counts: int64 [rows], how many positions each has, one behind the other.
    start, stop: the range.

  Returns:
    The columns of these rows, how many positions of each are before the range, and
    how many in it.
  """
  ends = np.cumsum(counts)
  skips = tf.clip_by_value(tf.cast(start, tf.int64) - (ends - counts), 0, counts)
  after = tf.clip_by_value(ends - tf.cast(stop, tf.int64), 0, counts)
  takes = counts - skips - after
  return tuple(
    tf.boolean_mask(column, takes > 0) for column in (*columns, skips, takes)
  )
