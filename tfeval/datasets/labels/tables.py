"""Labels in text files: CSV, TSV, MXNet's lists, the development kit's lines."""

import csv
import io
import itertools
import pathlib
import re
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from tfeval.datasets.labels import columns
from tfeval.datasets.labels.columns import Columns, IsMeant
from tfeval.datasets.labels.entries import LabelEntries
from tfeval.datasets.labels.listing import check_rows
from tfeval.datasets.labels.meanings import index_of
from tfeval.utils import arrow, budgets, errors, untrusted
from tfeval.utils.errors import UserError

# What else separates columns: blanks.
_DELIMITERS = ('\t', ',', ';')
_MOST_COLUMNS = 8
BLANKS = ' '


def read_csv_header(
  path: pathlib.Path, delimiter: str = ',', skip: int = 0
) -> list[str]:
  """Returns the names of a CSV file's columns, none of an empty file.

  Args:
    path: of the file.
    delimiter: what separates columns.
    skip: how many lines stand before the header.

  Raises:
    UserError: the file is missing, not UTF-8, or its first line is too long.
  """
  text, cut = _start(path)
  try:
    lines = csv.reader(itertools.islice(text, skip, None), delimiter=delimiter)
    header = next(lines, [])
  except UnicodeDecodeError as error:
    raise _not_utf8(path) from error
  except csv.Error as error:
    raise UserError(f'cannot read {path}: {errors.one_line(error, 120)}') from error
  if cut and not text.read(1):
    raise _long_header(path)
  return header


def _start(path: pathlib.Path) -> tuple[io.TextIOWrapper, bool]:
  """Returns the start of a file, and whether there is more of it."""
  try:
    with untrusted.open_file(path) as file:
      content = file.read(budgets.CSV_HEADER)
  except OSError as error:
    raise UserError(f'cannot read {path}: {errors.one_line(error, 120)}') from error
  start = io.BytesIO(content)
  whole = len(content) < budgets.CSV_HEADER
  return io.TextIOWrapper(start, encoding='utf-8-sig', newline=''), not whole


def _not_utf8(path: pathlib.Path) -> UserError:
  return UserError(
    f'cannot read {path}: it is no UTF-8: save it as such (in Excel as CSV UTF-8)'
  )


def _long_header(path: pathlib.Path) -> UserError:
  return UserError(
    f'{path} has a header of {budgets.CSV_HEADER:,} bytes and more, expected less'
  )


def read_table(path: pathlib.Path, are_labels: IsMeant) -> LabelEntries:
  """Reads lines of an image and its label, or of a label for each validation image.

  What separates the columns, whether the first line names them and which is which is
  found by looking.

  Args:
    path: of the file.
    are_labels: whether all of some texts mean a class; tells columns apart that have
      no names.

  Raises:
    UserError: the file is empty, no table, or its columns cannot be told.
  """
  first, skip = first_line(path)
  delimiter = delimiter_of(path, first)
  if delimiter == BLANKS:
    return _read_lines(path, are_labels)
  names = read_csv_header(path, delimiter, skip)
  found = columns.by_header(path, names)
  if found is None and len(names) > _MOST_COLUMNS:
    raise columns.unknown_columns(path, names)
  wanted = [*range(len(names))]
  if found is not None:
    wanted = [i for i in (found.id, found.label) if i is not None]
  skip += found is not None
  read = read_columns(path, delimiter, len(names), wanted, skip)
  if found is None:
    found = columns.by_content(path, read, are_labels)
    return _entries(found, read, sets=False)
  at = Columns(None if found.id is None else 0, len(wanted) - 1)
  if not columns.is_prediction_string(names[found.label]):
    return _entries(at, read, sets=True)
  ids = None if found.id is None else read[0]
  return LabelEntries(ids, *columns.in_prediction_strings(path, read[-1]))


def _entries(found: Columns, read: Sequence[pa.Array], sets: bool) -> LabelEntries:
  ids = None if found.id is None else read[found.id]
  return LabelEntries.one_each(ids, read[found.label], sets)


def first_line(path: pathlib.Path) -> tuple[str, int]:
  """Returns the first line of a table, and how many stand before it.

  That is `sep=;`, by which Excel knows what separates columns.
  """
  text, cut = _start(path)
  try:
    line, skip = text.readline().rstrip('\r\n'), 0
    if re.fullmatch(r'"?sep=.?"?', line):
      line, skip = text.readline().rstrip('\r\n'), 1
  except UnicodeDecodeError as error:
    raise _not_utf8(path) from error
  if cut and len(line) > budgets.CSV_HEADER // 2:
    raise _long_header(path)
  return line, skip


def delimiter_of(path: pathlib.Path, line: str) -> str:
  """Returns what separates the columns of a file with this first line."""
  if not line.strip():
    raise UserError(f'{path} is not a CSV file: it is empty, or its first line is')
  if '\t' in line:
    return '\t'
  by_count = max(_DELIMITERS, key=line.count)
  # Of `a.jpg n01440764 tench, Tinca tinca` the comma separates nothing.
  in_text = path.suffix.lower() not in ('.csv', '.tsv')
  if line.count(by_count) and not (in_text and ' ' in line.partition(by_count)[0]):
    return by_count
  return BLANKS if len(line.split()) > 1 or in_text else ','


def read_columns(
  path: pathlib.Path,
  delimiter: str,
  count: int,
  wanted: Sequence[int],
  skip: int,
) -> list[pa.Array]:
  """Returns some of `count` columns as texts, without the first lines."""
  from pyarrow import csv as pa_csv  # Rarely needed.

  names = [str(i) for i in range(count)]
  chosen = [names[i] for i in wanted]
  options = pa_csv.ConvertOptions(
    column_types=dict.fromkeys(chosen, pa.string()),
    include_columns=chosen,
    strings_can_be_null=False,
  )
  reading = pa_csv.ReadOptions(block_size=1 << 23, column_names=names, skip_rows=skip)
  parsing = pa_csv.ParseOptions(delimiter=delimiter)
  batches, rows = [], 0
  try:
    with pa_csv.open_csv(path, reading, parsing, options) as file:
      for batch in file:
        batches.append(batch)
        check_rows(path, rows := rows + len(batch))
        for name in chosen:
          arrow.check_texts(path, batch[name])
      table = pa.Table.from_batches(batches, file.schema)
  except (pa.ArrowException, OSError) as error:
    raise UserError(
      f'{path} is not a CSV file: {errors.one_line(error, 120)}'
    ) from error
  return [pc.ascii_trim_whitespace(table[name].combine_chunks()) for name in chosen]


def _read_lines(path: pathlib.Path, are_labels: IsMeant) -> LabelEntries:
  """Reads lines whose columns are separated by blanks."""
  lines = _lines(path)
  rows = [line.split(None, 3) for line in lines]
  header = columns.by_header(path, rows[0])
  if header is not None:
    del lines[0], rows[0]
  if not rows:
    raise UserError(f'{path} labels no image: it has a header only')
  width = len(rows[0]) if header is None else max(2 - (header.id is None), 1)
  # Of three columns the first is a number; else a label has blanks inside.
  is_table = width < 3 or (width == 3 and index_of(rows[0][0]) is not None)
  if is_table and all(len(row) == width for row in rows):
    read = [_texts(path, [row[i] for row in rows]) for i in range(width)]
    found = header or columns.by_content(path, read, are_labels)
    return _entries(found, read, sets=header is not None)
  return _with_blanks_inside(path, lines, are_labels)


def _with_blanks_inside(
  path: pathlib.Path, lines: list[str], are_labels: IsMeant
) -> LabelEntries:
  """Reads lines of a name and a label, one of which may have blanks."""
  first = [line.split(None, 1) for line in lines]
  if alone := [line for line, row in zip(lines, first, strict=True) if len(row) != 2]:
    raise UserError(
      f'{path}: a line is {alone[0][:80]!r}, expected a name and a label in each'
    )
  last = [line.rsplit(None, 1) for line in lines]
  for rows in (first, last):
    ids, labels = (_texts(path, [row[i] for row in rows]) for i in (0, 1))
    if are_labels(labels) and not are_labels(ids):
      return LabelEntries.one_each(ids, labels, sets=False)
  raise UserError(
    f'{path}: a line is {lines[0][:80]!r}, and which of its blanks is between name and '
    'label cannot be told: expected a tab there'
  )


def _lines(path: pathlib.Path) -> list[str]:
  try:
    content = untrusted.read_bytes(path, budgets.TEXT_FILE)
    check_rows(path, content.count(b'\n'))
    lines = content.decode('utf-8-sig').split('\n')
  except UnicodeDecodeError as error:
    raise _not_utf8(path) from error
  except OSError as error:
    raise UserError(f'cannot read {path}: {errors.one_line(error, 120)}') from error
  return [line.strip() for line in lines if line.strip()]


def _texts(path: pathlib.Path, texts: list[str]) -> pa.Array:
  found = arrow.strings(texts)
  arrow.check_texts(path, found)
  return found
