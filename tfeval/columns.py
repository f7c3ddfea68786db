"""Arrow columns as NumPy arrays.

`pyarrow.Array.to_numpy` imports pandas where that is installed, and so does making
an Arrow scalar (`fill_null`), which takes longer than to score 50,000 images. The
DLPack protocol does not.
"""

import numpy as np
import pyarrow as pa


def to_numpy(column: pa.Array | pa.ChunkedArray, null: int | None = None
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
  if isinstance(column, pa.ChunkedArray):
    column = column.combine_chunks()
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
