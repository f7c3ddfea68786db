"""Parquet of strangers: what it declares is held against budgets before it is decoded.

Kilobytes can stand for gigabytes: pages are packed, a dictionary's value stands for as
many rows as there are, and runs of equal numbers for any number of these. Only the
headers of the pages tell, which are read first (`parquet_pages`): the footer can say
anything.
"""

import contextlib
import io
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import pyarrow as pa

from tfeval.utils import (
  budgets,
  parquet_footer,
  parquet_lists,
  parquet_pages,
  untrusted,
)
from tfeval.utils.errors import UserError
from tfeval.utils.parquet_pages import DICTIONARY, Column, Malformed, Page
from tfeval.utils.paths import Path
from tfeval.utils.remote_path import RemotePath

# Bytes of a decoded value, by physical type; texts have what they say besides.
_WIDTHS = {'BOOLEAN': 1, 'INT32': 4, 'INT64': 8, 'INT96': 12, 'FLOAT': 4, 'DOUBLE': 8}
_TEXT, _TEXT_WIDTH = 'BYTE_ARRAY', 16
# Two levels of nesting, int16 each, beside each value.
_LEVELS = 4
# Bytes that are read at once of columns that are not read whole.
_STREAM_BUFFER = 1 << 20


class File:
  """A file of Parquet whose footer was read.

  Attributes:
    path: of the file.
    schema: of its columns.
    rows: how many each row group is said to have.
  """

  def __init__(self, path: Path, file: BinaryIO):
    """Reads what the file says of itself.

    Args:
      path: what messages call it.
      file: its content.

    Raises:
      pa.ArrowException: it is damaged, or no Parquet.
      UserError: it declares too many rows.
    """
    self.path = path
    self._file = file
    self._size = parquet_footer.checked_size(path, file)
    self._parquet = parquet_footer.opened(file)
    self._metadata = self._parquet.metadata
    self.schema: pa.Schema = self._parquet.schema_arrow
    self._leaves = parquet_footer.leaves(self._metadata.schema)
    groups = range(self._metadata.num_row_groups)
    self.rows = tuple(self._metadata.row_group(g).num_rows for g in groups)
    rows = self._metadata.num_rows
    if sum(self.rows) != rows or min(self.rows, default=0) < 0:
      raise Malformed('its row groups have another number of rows than it has')
    if rows > budgets.ROWS:
      raise self._too_much('rows', rows, budgets.ROWS)

  def check(self, columns: Sequence[str], whole: bool) -> dict[str, Column]:
    """Checks what columns take once they are decoded; they can be read then.

    Args:
      columns: names, each of a column of values or of lists of values.
      whole: whether all rows are to be in memory at once, or a row group.

    Returns:
      What the pages of each say.

    Raises:
      pa.ArrowException: it is damaged.
      UserError: they take too much.
    """
    leaves = {name: self._leaf(name) for name in columns}
    if len(leaves) * len(self.rows) > budgets.PAGES:
      raise self._too_much('columns', len(leaves) * len(self.rows), budgets.PAGES)
    parquet_footer.check_chunks(self._metadata, self._size, list(columns))
    found = {
      name: [self._pages(group, leaf) for group in range(len(self.rows))]
      for name, leaf in leaves.items()
    }
    self._check_sizes(found, whole)
    texts = [name for name in leaves if self._is_text(leaves[name])]
    for name in texts:
      size = sum(page.size for pages in found[name] for page in pages)
      if size > budgets.IDS:
        raise self._too_much(f'bytes in column {name}', size, budgets.IDS)
    with_dictionary = [
      name
      for name in texts
      if any(page.kind == DICTIONARY for pages in found[name] for page in pages)
    ]
    if with_dictionary:
      # Else each row would hold its text before anybody sees how long that is.
      self._parquet = parquet_footer.opened(
        self._file, self._metadata, tuple(with_dictionary)
      )
    return {name: parquet_pages.summed(groups) for name, groups in found.items()}

  def check_streamed(self, column: str, rows: int, long: bool) -> int:
    """Checks a column that `stream` is to read.

    Args:
      column: its name; with a dot for what is in a struct.
      rows: how many may be decoded at once if none is long.
      long: whether values are, such as images: a page is as large as a thousand.

    Returns:
      How many rows may be decoded at once.

    Raises:
      pa.ArrowException: it is damaged.
      UserError: a page takes too much.
    """
    leaf = self._leaf(column)
    parquet_footer.check_chunks(self._metadata, self._size, [column])
    most = budgets.decoded(self._size) if long else budgets.PAGE
    groups = [self._pages(group, leaf, most) for group in range(len(self.rows))]
    return parquet_pages.rows_at_once(groups, rows)

  def stream(
    self, file: BinaryIO, group: int, column: str, rows: int
  ) -> Iterator[pa.RecordBatch]:
    """Yields the rows of a row group, a few at a time, without reading it whole.

    Args:
      file: the file, opened again.
      group: the row group.
      column: that `check_streamed` has checked.
      rows: how many at once.

    Raises:
      pa.ArrowException: it is damaged.
    """
    parquet = parquet_footer.opened(file, self._metadata, buffer_size=_STREAM_BUFFER)
    # Threads are the caller's, which reads several images at once.
    return parquet.iter_batches(
      rows, row_groups=[group], columns=[column], use_threads=False
    )

  def type_of(self, name: str) -> pa.DataType:
    """Returns the type of a column, or of what is in it: `image.path`."""
    if name in self.schema.names:
      return self.schema.field(name).type
    first, *others = name.split('.')
    found = self.schema.field(first).type
    for inside in others:
      found = found.field(inside).type
    return found

  def batches(self, rows: int, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Yields rows of columns that were checked; texts perhaps as dictionaries."""
    done = 0
    try:
      for batch in self._parquet.iter_batches(rows, columns=columns):
        yield batch
        done += len(batch)
    except pa.ArrowInvalid as error:
      if not parquet_lists.is_refused(error):
        raise
      yield from self._with_lists(columns).slice(done).to_batches(rows)

  def read(self, columns: list[str]) -> pa.Table:
    """Returns columns that were checked; texts perhaps as dictionaries."""
    try:
      return self._parquet.read(columns)
    except pa.ArrowInvalid as error:
      if not parquet_lists.is_refused(error):
        raise
      return self._with_lists(columns)

  def _with_lists(self, columns: list[str]) -> pa.Table:
    return parquet_lists.read(self._file, columns, self.schema)

  def _leaf(self, name: str) -> int:
    """Returns the place of a column's values among those of all columns."""
    found = self._leaves.get(name, [])
    if len(found) != 1:
      raise UserError(
        f'{self.path}: column {name} is {str(self.type_of(name))[:80]}, '
        'expected values or lists of values'
      )
    return found[0]

  def _is_text(self, leaf: int) -> bool:
    return self._metadata.schema.column(leaf).physical_type == _TEXT

  def _pages(self, group: int, leaf: int, most: int = budgets.PAGE) -> list[Page]:
    """Returns the pages of a column in a row group, of so many bytes each at most."""
    chunk = self._metadata.row_group(group).column(leaf)
    if chunk.num_values < 1:
      return []  # Arrow looks at none, wherever these may be.
    start = chunk.data_page_offset
    if chunk.has_dictionary_page and 0 < chunk.dictionary_page_offset < start:
      start = chunk.dictionary_page_offset
    size = chunk.total_compressed_size
    if not 0 <= start <= start + size <= self._size:
      raise Malformed('a column that is outside of the file')
    found = []
    for page in parquet_pages.pages(self._file, start, size):
      found.append(page)
      if page.size > most:
        raise self._too_much('bytes in a page', page.size, most)
      if len(found) > budgets.PAGES:
        raise self._too_much('pages', len(found), budgets.PAGES)
    return found

  def _check_sizes(self, found: dict[str, list[list[Page]]], whole: bool) -> None:
    """Checks what is in memory at once."""
    limit, taken, packed = budgets.decoded(self._size), 0, 0
    for group, rows in enumerate(self.rows):
      if not whole:
        taken = 0
      for name, groups in found.items():
        taken += self._decoded_size(name, rows, groups[group])
        leaf = self._leaf(name)
        packed += self._metadata.row_group(group).column(leaf).total_compressed_size
      if taken > limit:
        what = 'bytes once decoded' if whole else 'bytes in a row group once decoded'
        raise self._too_much(what, taken, limit)
    if packed > self._size:
      raise Malformed('its columns are longer than the file')

  def _decoded_size(self, name: str, rows: int, pages: list[Page]) -> int:
    column = self._metadata.schema.column(self._leaf(name))
    kind = column.physical_type
    width = _WIDTHS.get(kind, _TEXT_WIDTH if kind == _TEXT else column.length)
    # Of lists of a fixed size null takes as much as any other.
    size = getattr(self.type_of(name), 'list_size', 1)
    values = max(sum(page.values for page in pages), rows * size)
    return sum(page.size for page in pages) + values * (width + _LEVELS)

  def _too_much(self, what: str, seen: int, limit: int) -> UserError:
    return UserError(
      f'{self.path} declares {seen:,} {what}, expected at most {limit:,}'
    )


@contextlib.contextmanager
def content(
  path: Path, within: Path | None = None
) -> Iterator[io.BufferedReader | io.BytesIO]:
  """Opens what `File` reads.

  Args:
    path: of the file.
    within: see `untrusted.open_file`.

  Raises:
    OSError: it is missing or may not be read.
    UserError: it is no regular file.
  """
  with untrusted.open_file(path, within=within) as file:
    # Of a URL each look at a header would be a request.
    yield io.BytesIO(file.read()) if isinstance(path, RemotePath) else file
