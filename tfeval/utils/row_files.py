"""Rows as files that other programs read: CSV, Parquet, JSON and JSON Lines.

Rows are written as they come, so that any number of them takes the memory of a few.
CSV has cells as every CSV of ours (`printable.csv_cell`); Parquet has a type for each
column, and null.
"""

import contextlib
import csv
import io
import json
import math
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from tfeval.utils import files, printable
from tfeval.utils.errors import UserError

CSV, PARQUET, JSON, LINES = FORMATS = ('.csv', '.parquet', '.json', '.jsonl')
# Rows of a row group, and that are turned to columns at once.
_GROUP = 10_000

Row = Mapping[str, Any]
Write = Callable[[Iterable[Row]], None]


def check_path(
  path: pathlib.Path,
  overwrite: bool,
  option: str = 'output',
  formats: Iterable[str] = FORMATS,
) -> None:
  """Checks that a file can be written there, before its content is computed.

  Args:
    path: of the file.
    overwrite: whether one that is there may be replaced.
    option: what names it.
    formats: what its name may end with.

  Raises:
    UserError: it has another extension, is there already, or its folder cannot be
      written.
  """
  formats = list(formats)
  if path.suffix.lower() not in formats:
    ends = ', '.join(formats[:-1]) + f' or {formats[-1]}'
    raise UserError(f'`{option}={path}`: give a name that ends in {ends}')
  files.check_new(path, overwrite, option)


@contextlib.contextmanager
def writing(path: pathlib.Path, schema: pa.Schema, option: str) -> Iterator[Write]:
  """Where rows are written; the file is there when the context ends.

  Args:
    path: see `check_path`; its extension is the format.
    schema: names and types of the columns of CSV and Parquet.
    option: what names it.

  Yields:
    A function that writes further rows: of JSON as they are, of others by columns.
  """
  opened = {CSV: _csv, PARQUET: _parquet, JSON: _json, LINES: _lines}
  with files.writing(path, f'`{option}`') as file:
    with opened[path.suffix.lower()](file, schema) as write:
      yield write


@contextlib.contextmanager
def _csv(file: BinaryIO, schema: pa.Schema) -> Iterator[Write]:
  text = io.StringIO()
  writer = csv.writer(text, lineterminator='\n')

  def flush() -> None:
    file.write(text.getvalue().encode(errors='backslashreplace'))
    text.seek(0)
    text.truncate()

  def write(rows: Iterable[Row]) -> None:
    for row in rows:
      writer.writerow([printable.csv_cell(row.get(name)) for name in schema.names])
      if text.tell() > 1 << 16:
        flush()
    flush()

  writer.writerow(schema.names)
  flush()
  yield write


@contextlib.contextmanager
def _parquet(file: BinaryIO, schema: pa.Schema) -> Iterator[Write]:
  with pq.ParquetWriter(file, schema, compression='zstd') as writer:
    kept: list[Row] = []

    def flush() -> None:
      columns = [
        pa.array([_cleaned(row.get(field.name)) for row in kept], field.type)
        for field in schema
      ]
      writer.write_table(pa.table(columns, schema=schema))
      kept.clear()

    def write(rows: Iterable[Row]) -> None:
      for row in rows:
        kept.append(row)
        if len(kept) == _GROUP:
          flush()

    yield write
    if kept:
      flush()


def _cleaned(value: Any) -> Any:
  """Returns a value that UTF-8 can hold."""
  if isinstance(value, str):
    return value.encode(errors='backslashreplace').decode()
  if isinstance(value, list | tuple):
    return [_cleaned(one) for one in value]
  return value


@contextlib.contextmanager
def _json(file: BinaryIO, _: pa.Schema) -> Iterator[Write]:
  before = b'[\n'

  def write(rows: Iterable[Row]) -> None:
    nonlocal before
    for row in rows:
      file.write(before + json_text(row).encode())
      before = b',\n'

  yield write
  file.write(b'[]\n' if before == b'[\n' else b'\n]\n')


@contextlib.contextmanager
def _lines(file: BinaryIO, _: pa.Schema) -> Iterator[Write]:
  def write(rows: Iterable[Row]) -> None:
    for row in rows:
      file.write(json_text(row).encode() + b'\n')

  yield write


def json_text(value: Any) -> str:
  """Returns a value as JSON in a line, which any encoding holds."""
  return printable.printable_json(json.dumps(finite(value), allow_nan=False))


def finite(value: Any) -> Any:
  """Returns what JSON can hold of a value: it has no NaN and no infinity.

  >>> finite({'loss': float('inf'), 'p': [0.5, float('nan')]})
  {'loss': None, 'p': [0.5, None]}
  """
  if isinstance(value, float):
    return value if math.isfinite(value) else None
  if isinstance(value, Mapping):
    return {key: finite(one) for key, one in value.items()}
  if isinstance(value, list | tuple):
    return [finite(one) for one in value]
  return value
