"""Arrow columns as NumPy arrays, and the other way round.

`pyarrow.Array.to_numpy` imports pandas where that is installed, and so does making
Arrow values of Python's (`fill_null`, `pa.array`), which takes longer than to score
50,000 images. The DLPack protocol and buffers do not.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


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
    return np.empty(0, bool if boolean else column.type.to_pandas_dtype())
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
