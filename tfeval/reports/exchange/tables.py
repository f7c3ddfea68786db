"""Runs as CSV and as Parquet, a row for each metric."""

import io
from collections.abc import Sequence
from typing import Any

from tfeval.reports import terminal
from tfeval.reports.exchange import metric_rows
from tfeval.reports.exchange.export import Export, Request, left_out
from tfeval.runs.run import Run
from tfeval.utils.errors import UserError


def export_csv(runs: Sequence[Run], _: Request) -> Export:
  """Returns CSV in UTF-8; see `printable.csv_cell`."""
  names = [column.name for column in metric_rows.columns()]
  lines = [[row[name] for name in names] for row in metric_rows.rows_of(runs)]
  return Export(terminal.csv_bytes([names, *lines]), left_out(runs))


def export_parquet(runs: Sequence[Run], _: Request) -> Export:
  """Returns a Parquet file of typed columns, whose metadata says what each means.

  Raises:
    UserError: a number of a result is too large for its column.
  """
  import pyarrow as pa
  from pyarrow import parquet

  schema = pa.schema(
    [
      pa.field(one.name, pa.type_for_alias(one.type), metadata={'meaning': one.meaning})
      for one in metric_rows.columns()
    ]
  )
  found = [
    {name: _in_arrow(value) for name, value in row.items()}
    for row in metric_rows.rows_of(runs)
  ]
  try:
    table = pa.Table.from_pylist(found, schema)
  except (OverflowError, pa.ArrowInvalid, pa.ArrowTypeError) as error:
    raise UserError(f'a result holds what no run has written: {error}') from error
  file = io.BytesIO()
  parquet.write_table(table, file, compression='zstd')
  return Export(file.getvalue(), left_out(runs))


def _in_arrow(value: Any) -> Any:
  """Returns a value as Arrow holds it: names that are not UTF-8 have surrogates."""
  if isinstance(value, str):
    return value.encode(errors='backslashreplace').decode()
  return value
