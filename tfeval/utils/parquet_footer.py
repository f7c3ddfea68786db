"""What Parquet says of itself at its end, read so that nothing in it does harm."""

import contextlib
import io
import itertools
import os
from typing import BinaryIO

import pyarrow.parquet as pq

from tfeval.utils import budgets
from tfeval.utils.errors import UserError
from tfeval.utils.parquet_pages import Malformed
from tfeval.utils.paths import Path


class _Looked(OSError):
  """Somebody wants to read pages."""


class _WithoutPages(io.RawIOBase):
  """Stands for a file of which nothing but its footer may be read."""

  def __init__(self, size: int):
    self._size = size
    self._at = 0

  def readable(self) -> bool:
    return True

  def seekable(self) -> bool:
    return True

  def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
    start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}
    self._at = start[whence] + offset
    return self._at

  def read(self, size: int = -1) -> bytes:
    raise _Looked('the footer is whole')


def opened(
  file: BinaryIO,
  metadata: pq.FileMetaData | None = None,
  dictionaries: tuple = (),
  buffer_size: int = 0,
) -> pq.ParquetFile:
  """Opens Parquet.

  Args:
    file: its content.
    metadata: its footer, where that was read before.
    dictionaries: names of columns that are to stay dictionaries.
    buffer_size: how many bytes of a column are read at once; 0: all of a row group.

  Raises:
    pa.ArrowException: it is damaged, or no Parquet.
  """
  try:
    # Not read_table, which imports pandas where that is installed.
    return pq.ParquetFile(
      file,
      metadata=metadata,
      read_dictionary=list(dictionaries),
      pre_buffer=False,
      buffer_size=buffer_size,
      arrow_extensions_enabled=False,
    )
  except UnicodeDecodeError as error:
    raise Malformed('it has names that are not UTF-8') from error


def checked_size(path: Path, file: BinaryIO) -> int:
  """Returns the size of a file whose footer is no longer than it may be.

  Raises:
    UserError: it is longer.
  """
  size = file.seek(0, os.SEEK_END)
  file.seek(max(0, size - 8))
  footer, magic = int.from_bytes(file.read(4), 'little'), file.read(4)
  # Of a file that was cut off, what stands there is no length.
  if magic in (b'PAR1', b'PARE') and footer > budgets.PARQUET_FOOTER:
    raise UserError(
      f'{path} has a footer of {footer:,} bytes, expected at most '
      f'{budgets.PARQUET_FOOTER:,}'
    )
  file.seek(0)
  return size


def leaves(schema: pq.ParquetSchema) -> dict[str, list[int]]:
  """Returns the places of columns of values, by their names and what is around them."""
  found: dict[str, list[int]] = {}
  for place in range(len(schema)):
    path = schema.column(place).path
    for name in itertools.accumulate(path.split('.'), '{}.{}'.format):
      found.setdefault(name, []).append(place)
  return found


def check_chunks(metadata: pq.FileMetaData, size: int, columns: list[str]) -> None:
  """Checks that a footer is whole where it speaks of columns.

  Arrow does, before it reads their pages. `FileMetaData` does not: at an exception of
  its own it ends the process.

  Args:
    metadata: the footer.
    size: of the file.
    columns: names.

  Raises:
    pa.ArrowException: it is damaged.
  """
  file = pq.ParquetFile(
    _WithoutPages(size),
    metadata=metadata,
    pre_buffer=False,
    buffer_size=4096,
    arrow_extensions_enabled=False,
  )
  for group in range(metadata.num_row_groups):
    with contextlib.suppress(_Looked):
      # Threads would all look, and take longer to start than that takes.
      batches = file.iter_batches(
        1, row_groups=[group], columns=columns, use_threads=False
      )
      next(batches, None)
