"""Scalars in event files, as TensorBoard reads them; writing needs no TensorBoard."""

import os
from collections.abc import Mapping

import tensorflow as tf

from tfeval.utils import errors
from tfeval.utils.errors import UserError
from tfeval.utils.printable import printable

# What `tf.summary.scalar` gives a value, which TensorBoard implements:
# tensorboard/plugins/scalar/metadata.py, whose message of version 0 is empty.
_SCALAR = tf.compat.v1.SummaryMetadata(
  plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name='scalars'),
  data_class=1,
)  # DATA_CLASS_SCALAR, tensorflow/core/framework/summary.proto.
# Likewise of texts: tensorboard/plugins/text/metadata.py, DATA_CLASS_TENSOR.
_TEXT = tf.compat.v1.SummaryMetadata(
  plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name='text'),
  data_class=2,
)


class ScalarWriter:
  """Writes scalars into an event file of its own, which is made at once."""

  def __init__(self, directory: str | os.PathLike[str]):
    """Opens a file.

    Args:
      directory: TensorBoard's logdir, or one inside of it.

    Raises:
      UserError: it cannot be written.
    """
    try:
      self._writer = tf.summary.create_file_writer(os.fspath(directory))
    except tf.errors.OpError as error:
      raise UserError(
        f'{directory} cannot be written ({errors.one_line(error)}): '
        'choose another log_dir'
      ) from error

  def write(self, values: Mapping[str, float], step: int) -> None:
    """Writes values by their names, float32, and sees that they are on disk."""
    with self._writer.as_default():
      for name, value in values.items():
        tag, scalar = printable(name), tf.constant(value, tf.float32)
        tf.summary.write(tag, scalar, step, _SCALAR)
    self._writer.flush()

  def write_text(self, name: str, text: str) -> None:
    """Writes a text in Markdown by its name, at step 0."""
    with self._writer.as_default():
      tf.summary.write(printable(name), tf.constant(text), 0, _TEXT)
    self._writer.flush()

  def close(self) -> None:
    self._writer.close()
