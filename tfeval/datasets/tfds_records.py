"""The records of a TFDS split by position, from any position on."""

import dataclasses
import os
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from tfeval.datasets import tfds_metadata
from tfeval.utils.errors import UserError


@dataclasses.dataclass(frozen=True)
class SetsOfLabels:
  """Which features are the sets of right classes of an example.

  Attributes:
    name: what the sets are called.
    keys: of sequences of classes, which are put together.
    without: of the feature that says that an example has none; None: all have one.
  """

  name: str
  keys: tuple[str, ...]
  without: str | None = None


class Records:
  """A split's examples in the order of its files and of the records in them.

  TFDS itself reads sixteen files in turns, where a position is found only by reading
  all before it. Here only the file that a range begins in is read from its start.
  """

  def __init__(
    self,
    builder: tfds.core.DatasetBuilder,
    split: str,
    image_key: str,
    label_key: str,
    sets: SetsOfLabels | None,
    num_classes: int,
    indices: Sequence[int] | None = None,
    id_key: str = '',
  ):
    """Finds the files of a split.

    Args:
      builder: of a prepared dataset.
      split: any TFDS split or slice that holds examples.
      image_key, label_key: features of that name.
      sets: the features of sets of labels, or None.
      num_classes: of the label space.
      indices: the class that each label is, None for its number.
      id_key: the feature, an integer, that is the id of an example; '': `file_name`, or
        the id that TFDS gives.

    Raises:
      UserError: the files have a format that TensorFlow does not read, are no files,
        or lie elsewhere.
    """
    file_format = builder.info.file_format
    if file_format not in tfds.core.FileFormat.with_tf_data():
      raise UserError(
        f'{builder.name} in {builder.data_dir} is of format {file_format.value}: '
        'prepare it as tfrecord in another `data_dir`'
      )
    self._adapter = tfds.core.file_adapters.ADAPTER_FOR_FORMAT[file_format]
    self._features = builder.info.features
    self._image_key, self._label_key, self._id_key = image_key, label_key, id_key
    self._sets, self._num_classes = sets, num_classes
    self._indices = None if indices is None else np.array(indices, np.int64)
    files = builder.info.splits[split].file_instructions
    self._paths = [os.fspath(file.filename) for file in files]
    tfds_metadata.check_files(self._paths, os.fspath(builder.data_dir))
    self._names = [os.path.basename(path) for path in self._paths]
    self._skips = np.array([file.skip for file in files], np.int64)
    self._takes = np.array([file.take for file in files], np.int64)
    self._ends = np.cumsum(self._takes)
    self._to_end = np.array([file.takes_all for file in files])

  def examples(self, start: int | tf.Tensor, stop: int | tf.Tensor) -> tf.data.Dataset:
    """Returns examples as `base.ImageDataset.examples` does.

    Args:
      start, stop: positions, from the first to before the last; integers, or int64 []
        inside a graph.
    """
    before = tf.maximum(tf.cast(start, tf.int64) - (self._ends - self._takes), 0)
    after = tf.maximum(self._ends - tf.cast(stop, tf.int64), 0)
    takes = self._takes - before - after
    # A record behind the last one has to be seen: the file is then another one.
    at_most = tf.where(tf.logical_and(self._to_end, after == 0), np.int64(-1), takes)
    columns = self._paths, self._names, self._skips + before, takes, at_most
    files = tf.data.Dataset.from_tensor_slices(
      tuple(tf.boolean_mask(column, takes > 0) for column in columns)
    )
    return files.flat_map(self._read).map(
      self._convert, num_parallel_calls=tf.data.AUTOTUNE
    )

  def _read(self, path, name, skip, take, at_most) -> tf.data.Dataset:
    """Returns pairs of the id that TFDS gives with `add_tfds_id` and a record."""
    records = self._adapter.make_tf_data(path).skip(skip).take(at_most)
    records = records.apply(tf.data.experimental.assert_cardinality(take))
    return records.enumerate(skip).map(
      lambda index, record: (
        tf.strings.join([name, tf.strings.as_string(index)], '__'),
        record,
      )
    )

  def _convert(self, tfds_id: tf.Tensor, record: tf.Tensor) -> dict[str, tf.Tensor]:
    example = self._features.deserialize_example(
      record, decoders={self._image_key: tfds.decode.SkipDecoding()}
    )
    label = tf.cast(example[self._label_key], tf.int64)
    if self._indices is not None:
      label = tf.where(label < 0, label, tf.gather(self._indices, tf.maximum(label, 0)))
    identity = example.get('file_name', tfds_id)
    if self._id_key:
      identity = tf.strings.as_string(example[self._id_key])
    converted = {
      'id': identity,
      'image': example[self._image_key],
      'label': label,
    }
    if self._sets is not None:
      converted['real_labels'] = self._set(example, self._sets)
    return converted

  def _set(self, example: dict[str, tf.Tensor], sets: SetsOfLabels) -> tf.Tensor:
    """Returns bool [classes]: a set of fixed size, since lists would not batch."""
    classes = tf.concat([example[key] for key in sets.keys], 0)
    hot = tf.one_hot(
      classes, self._num_classes, on_value=True, off_value=False, dtype=tf.bool
    )
    found = tf.reduce_any(hot, axis=0)
    if sets.without is None:
      return found
    return tf.logical_and(found, tf.logical_not(example[sets.without]))
