"""Arrow columns as NumPy arrays, and the other way round.

`pyarrow.Array.to_numpy` imports pandas where that is installed, and so does making
Arrow values of Python's (`fill_null`, `pa.array`), which takes longer than to score
50,000 images. The DLPack protocol and buffers do not.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfeval.utils import budgets
from tfeval.utils.errors import UserError

_TEXTS = (
  pa.types.is_string,
  pa.types.is_large_string,
  pa.types.is_binary,
  pa.types.is_large_binary,
)

# Of types whose names differ.
_NUMPY_NAMES = {'halffloat': 'float16', 'float': 'float32', 'double': 'float64'}


def to_numpy(
  column: pa.Array | pa.ChunkedArray, null: float | None = None
) -> np.ndarray:
  """Returns a column of numbers or booleans as an array; do not write to it.

  Args:
    column: its values.
    null: what stands for null; None: there are no nulls.

  Raises:
    TypeError: the column is of another type.

  >>> to_numpy(pa.array([3, 4, 5])[1:])
  array([4, 5])
  >>> to_numpy(pa.array([3, None]), null=-1)
  array([ 3, -1])
  >>> to_numpy(pa.array([True, False]))
  array([ True, False])
  """
  column = joined(column)
  if column.null_count and null is not None:
    there = to_numpy(column.drop_null())
    found = np.full(len(column), null, there.dtype)
    found[to_numpy(column.is_valid())] = there
    return found
  boolean = pa.types.is_boolean(column.type)
  if not len(column):
    # Arrow would ask pandas, which is slow, or is not there.
    return np.empty(0, _NUMPY_NAMES.get(str(column.type), str(column.type)))
  found = np.from_dlpack(column.cast(pa.uint8()) if boolean else column)
  return found.astype(bool) if boolean else found


def joined(column: pa.Array | pa.ChunkedArray) -> pa.Array:
  """Returns a column in one piece, not copied where it is in one already."""
  if not isinstance(column, pa.ChunkedArray):
    return column
  return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def strings(texts: Sequence[str]) -> pa.StringArray:
  """Makes a column of texts.

  Raises:
    UnicodeEncodeError: a text is not UTF-8.

  >>> strings(['a', '', 'é']).to_pylist()
  ['a', '', 'é']
  """
  encoded = [text.encode() for text in texts]
  offsets = np.zeros(len(texts) + 1, np.int32)
  np.cumsum([len(text) for text in encoded], out=offsets[1:])
  return pa.StringArray.from_buffers(
    len(texts), pa.py_buffer(offsets), pa.py_buffer(b''.join(encoded))
  )


def numbers(values: np.ndarray, null: np.ndarray | None = None) -> pa.Array:
  """Makes a column of numbers.

  Args:
    values: [n], integers or floats.
    null: bool [n], which of them are null; None: none is.

  >>> numbers(np.array([3, 4]), np.array([False, True])).to_pylist()
  [3, None]
  """
  valid = None if null is None else pa.py_buffer(np.packbits(~null, bitorder='little'))
  return pa.Array.from_buffers(
    pa.from_numpy_dtype(values.dtype),
    len(values),
    [valid, pa.py_buffer(np.ascontiguousarray(values))],
  )


def check_texts(where: object, column: pa.Array | pa.ChunkedArray) -> None:
  """Checks that texts are short enough to be ids, before each row holds its own.

  Args:
    where: what has them, for messages.
    column: texts or bytes, or a dictionary of such; other types are passed over.

  Raises:
    UserError: one of them or all are too long.
  """
  total = 0
  for chunk in column.chunks if isinstance(column, pa.ChunkedArray) else [column]:
    coded = pa.types.is_dictionary(chunk.type)
    texts = chunk.dictionary if coded else chunk
    if not any(is_text(texts.type) for is_text in _TEXTS):
      return
    lengths = pc.binary_length(texts)
    longest = pc.max(lengths).as_py() or 0
    if longest > budgets.ID:
      raise UserError(
        f'{where} has an id of {longest:,} bytes, expected at most {budgets.ID:,}'
      )
    total += pc.sum(lengths.take(chunk.indices) if coded else lengths).as_py() or 0
    if total > budgets.IDS:
      raise UserError(
        f'{where} has ids of {total:,} bytes, expected at most {budgets.IDS:,}'
      )


def without(values: pa.Array, others: pa.Array) -> pa.Array:
  """Returns the values that are not among others, in their order."""
  return values.filter(pc.invert(pc.is_in(values, others)))


def matrix(column: pa.Array | pa.ChunkedArray) -> np.ndarray:
  """Returns a column of fixed-size lists as a matrix [rows, size]; null is NaN."""
  column = joined(column)
  size, there = column.type.list_size, len(column) - column.null_count
  # `flatten` leaves the lists out that are null.
  found = to_numpy(column.flatten()).reshape(there, size)
  if there == len(column):
    return found
  values = np.full((len(column), size), np.nan, np.float32)
  values[to_numpy(column.is_valid())] = found
  return values
