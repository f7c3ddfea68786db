"""Lists of a fixed size that may be missing, which Arrow before 26 cannot read.

Its reader takes a missing list for one of no values ("Expected all lists to be of
size"). Apache Beam asks for such versions. As lists of any size the same columns can
be read: that their size is fixed stands under a key of Arrow's own, left out here.
"""

from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

_KEY, _OTHER_KEY = b'ARROW:schema', b'-----:schema'
_REFUSED = 'Expected all lists to be of size'


def is_refused(error: pa.ArrowException) -> bool:
  """Returns whether an error is that of lists that this version cannot read."""
  return _REFUSED in str(error)


def read(file: BinaryIO, columns: list[str], schema: pa.Schema) -> pa.Table:
  """Returns columns of a file whose pages were checked.

  Args:
    file: the file, read whole.
    columns: their names.
    schema: of the file, as Arrow says it.

  Raises:
    pa.ArrowException: it is damaged.
  """
  file.seek(0)
  head, key, tail = file.read().rpartition(_KEY)
  plain = pq.ParquetFile(pa.BufferReader(head + (_OTHER_KEY if key else b'') + tail))
  table = plain.read(columns)
  arrays = [_as_declared(table[name], schema.field(name).type) for name in columns]
  fields = [schema.field(name) for name in columns]
  return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def _as_declared(found: pa.ChunkedArray, declared: pa.DataType) -> pa.ChunkedArray:
  if not pa.types.is_fixed_size_list(declared):
    return found.cast(declared)
  chunks = [_fixed(chunk, declared) for chunk in found.chunks]
  return pa.chunked_array(chunks, declared)


def _fixed(lists: pa.ListArray, declared: pa.DataType) -> pa.Array:
  """Returns lists as lists of a fixed size, the missing ones missing.

  Raises:
    pa.ArrowInvalid: one has another size.
  """
  size, there = declared.list_size, lists.is_valid().to_numpy(zero_copy_only=False)
  values = lists.drop_null().flatten().cast(declared.value_type)
  sizes = np.diff(lists.drop_null().offsets.to_numpy())
  if (sizes != size).any():
    raise pa.ArrowInvalid(f'a list of {sizes[sizes != size][0]} values, not of {size}')
  # Of a missing list the values are anything: here the first one's.
  number = np.where(there, np.cumsum(there) - 1, 0)
  taken = (number[:, None] * size + np.arange(size)).ravel()
  if not len(values):
    return pa.nulls(len(lists), declared)
  return pa.FixedSizeListArray.from_arrays(
    values.take(pa.array(taken)), type=declared, mask=pa.array(~there)
  )
