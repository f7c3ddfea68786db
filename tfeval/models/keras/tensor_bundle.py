"""Values that TensorFlow stores: what they declare, looked up before any is read.

Of `PREFIX.index` and `PREFIX.data-*`, as `tf.train.Checkpoint` and SavedModels have
them: tensorflow/core/util/tensor_bundle.
"""

import math
import os
import pathlib
import re
from typing import Any

import tensorflow as tf

from tfeval.models.keras import checkpoints

# The index is a table as LevelDB's, which ends with the places of two blocks, padded,
# and a number: https://github.com/google/leveldb/blob/main/doc/table_format.md
_FOOTER, _NUMBER = 48, 8


def reader(prefix: pathlib.Path) -> Any:
  """Opens a prefix whose arrays, which are not packed, are all in its files.

  Returns:
    What `tf.train.load_checkpoint` does.

  Raises:
    OSError, ValueError, RuntimeError: they are not, or it is damaged.
    tensorflow.errors.OpError: it is damaged.
  """
  _check_blocks(prefix.with_name(prefix.name + '.index'))
  found = tf.train.load_checkpoint(str(prefix))
  dtypes = found.get_variable_to_dtype_map()
  declared = sum(
    math.prod(shape) * (dtypes[name].size or 1)
    for name, shape in found.get_variable_to_shape_map().items()
  )
  stored = sum(path.stat().st_size for path in checkpoints.files_of(prefix))
  if declared > stored:
    raise ValueError(f'its arrays take {declared:,} bytes, its files {stored:,}')
  return found


def _check_blocks(index: pathlib.Path) -> None:
  """Checks that an index has the blocks that it names, for which room is made."""
  size = os.path.getsize(index)
  with open(index, 'rb') as file:
    file.seek(max(0, size - _FOOTER))
    footer = file.read(_FOOTER - _NUMBER)
  # Of each block where it begins and how long it is: seven bits in a byte, the lowest
  # first, the last byte below 128.
  numbers = [
    sum((byte & 127) << 7 * n for n, byte in enumerate(number))
    for number in re.findall(rb'[\x80-\xff]*[\x00-\x7f]', footer)
  ]
  if sum(numbers[:2]) > size or sum(numbers[2:4]) > size:
    raise ValueError(f'{index} names blocks beyond its {size:,} bytes')
