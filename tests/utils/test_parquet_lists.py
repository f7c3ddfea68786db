"""Lists of a fixed size that may be missing, read as Arrow before 26 has to."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfeval.utils import parquet_lists


def written(table):
  content = io.BytesIO()
  pq.write_table(table, content, compression='zstd', use_dictionary=False)
  return content


@settings(max_examples=60, deadline=None)
@given(
  st.lists(st.none() | st.lists(st.floats(width=32), min_size=3, max_size=3)),
  st.integers(1, 5),
)
def test_lists_are_read_as_they_were_written(lists, rows):
  table = pa.table(
    {
      'lists': pa.array(lists, pa.list_(pa.float32(), 3)),
      'halves': pa.array(lists, pa.list_(pa.float32(), 3)).cast(
        pa.list_(pa.float16(), 3)
      ),
      'id': pa.array([f'{i}' for i in range(len(lists))]),
      'sha': pa.array([b'a' * 4] * len(lists), pa.binary(4)),
      'several': pa.array([[1] * (i % 3) for i in range(len(lists))]),
    }
  )
  content = io.BytesIO()
  pq.write_table(table, content, row_group_size=rows)
  found = parquet_lists.read(content, table.column_names, table.schema)
  assert found.schema == table.schema
  # As texts, of which nan is itself.
  assert str(found.to_pylist()) == str(table.to_pylist())
  assert written(found.combine_chunks()).getvalue() == (
    written(table.combine_chunks()).getvalue()
  )


def test_a_list_of_another_size_is_refused():
  content = written(pa.table({'a': pa.array([[1, 2], [3]])}))
  schema = pa.schema([pa.field('a', pa.list_(pa.int64(), 2))])
  with pytest.raises(pa.ArrowInvalid, match='a list of 1 values, not of 2'):
    parquet_lists.read(content, ['a'], schema)


def test_a_column_of_no_lists_at_all():
  table = pa.table({'a': pa.nulls(4, pa.list_(pa.int32(), 2))})
  assert parquet_lists.read(written(table), ['a'], table.schema) == table
