"""Parquet of strangers: what it declares is held against budgets before it is decoded.

Kilobytes can stand for gigabytes: pages are packed, a dictionary's value stands for as
many rows as there are, and runs of equal numbers for any number of these. Only the
headers of the pages tell, which are read first (`parquet_pages`): the footer can say
anything.
"""

import contextlib
import dataclasses
import io
import os
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from tfeval.utils import budgets, parquet_pages, untrusted
from tfeval.utils.errors import UserError
from tfeval.utils.parquet_pages import Malformed
from tfeval.utils.paths import Path
from tfeval.utils.remote_path import RemotePath

_MAGIC = b'PAR1'
# Of a decoded value, by physical type; texts have their bytes besides.
_WIDTHS = {'BOOLEAN': 1, 'INT32': 4, 'INT64': 8, 'INT96': 12, 'FLOAT': 4, 'DOUBLE': 8}
_TEXT, _TEXT_WIDTH = 'BYTE_ARRAY', 16
# Two levels of nesting, int16 each, beside each value.
_LEVELS = 4


@dataclasses.dataclass(frozen=True)
class Column:
  """What the pages of a column say.

  Attributes:
    values: of each row group how many, nulls and empty lists among them.
    dictionary: whether there is one.
    most_at_once: how many rows may be decoded at once, whatever is in them.
  """

  values: tuple[int, ...]
  dictionary: bool
  most_at_once: int


class File:
  """A file of Parquet whose footer was read.

  Attributes:
    path: of the file.
    schema: of its columns.
    rows: how many it says that each row group has.
  """

  def __init__(self, path: Path, file: BinaryIO):
    self.path = path
    self._file = file
    self._size = file.seek(0, os.SEEK_END)
    self._check_footer()
    self._parquet = self._open(None)
    self._metadata = self._parquet.metadata
    self.schema: pa.Schema = self._parquet.schema_arrow
    groups = range(self._metadata.num_row_groups)
    self.rows = tuple(self._metadata.row_group(g).num_rows for g in groups)
    if sum(self.rows) != self._metadata.num_rows or min(self.rows, default=0) < 0:
      raise Malformed('its row groups have another number of rows than it has')
    if sum(self.rows) > budgets.ROWS:
      raise UserError(
        f'{path} declares {sum(self.rows):,} rows, expected at most {budgets.ROWS:,}'
      )

  def check(self, columns: Sequence[str], whole: bool) -> dict[str, Column]:
    """Checks what columns take once they are decoded; they can be read then.

    Args:
      columns: names, each of a column of values, or of lists of values.
      whole: whether all rows are to be in memory at once, or a row group.

    Raises:
      pa.ArrowException: it is damaged.
      UserError: they take too much.
    """
    places = self._leaves(columns)
    if len(places) * len(self.rows) > budgets.PAGES:
      raise self._too_much('column chunks', len(places) * len(self.rows), budgets.PAGES)
    found = {name: _Count() for name in places}
    limit, taken = budgets.decoded(self._size), 0
    pages = packed = 0
    for group, rows in enumerate(self.rows):
      taken = taken if whole else 0
      for name, place in places.items():
        count = found[name]
        before = count.size
        values, packed_here = self._count(group, place, count)
        width = self._width(place)
        # Of lists of a fixed size, null takes as much as any other.
        values = max(values, rows * getattr(self.schema.field(name).type, 'list_size', 0))
        taken += count.size - before + values * (width + _LEVELS)
        packed += packed_here
        pages += count.pages
        if taken > limit:
          raise self._too_much('bytes once decoded', taken, limit, whole)
      if packed > self._size:
        raise Malformed('its columns are longer than the file')
    for name, place in places.items():
      if self._leaf(place).physical_type == _TEXT and found[name].size > budgets.IDS:
        raise self._too_much(f'bytes in {name}', found[name].size, budgets.IDS)
    texts = [n for n, p in places.items() if self._leaf(p).physical_type == _TEXT]
    with_dictionary = [name for name in texts if found[name].dictionary]
    if with_dictionary:
      # Else each row would hold its text before anybody sees how long that is.
      self._parquet = self._open(with_dictionary)
    return {name: count.column() for name, count in found.items()}

  def batches(self, rows: int, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Yields rows of columns that were checked; texts perhaps as dictionaries."""
    return self._parquet.iter_batches(rows, columns=columns)

  def read(self, columns: list[str]) -> pa.Table:
    """Returns columns that were checked; texts perhaps as dictionaries."""
    return self._parquet.read(columns)
