"""The headers of Parquet's pages, which no library shows, read before any page is.

Format: parquet.thrift of apache/parquet-format (`PageHeader`), in Thrift's compact
protocol. What is not as writers make it is refused: a reader that is more tolerant
could see other sizes than are checked here.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa

from tfeval.utils import budgets

DATA, INDEX, DICTIONARY, DATA_V2 = range(4)
DELTA_BYTE_ARRAY = 7
# Thrift's types of fields.
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY = range(1, 9)
_STRUCT = 12
# The field of each kind, and in it those of the number of values and their encoding.
_OF_KIND = {
  DATA: (5, 1, 2),
  INDEX: (6, 0, 0),
  DICTIONARY: (7, 1, 2),
  DATA_V2: (8, 1, 4),
}
# Few have statistics longer than this; these may hold two long texts.
_SHORT, _LONG = 512, 1 << 20


class Malformed(pa.ArrowInvalid):
  """A page header is not as the format says; Arrow's own damage is told alike."""


@dataclasses.dataclass(frozen=True)
class Page:
  """What a page says of itself.

  Attributes:
    kind: `DATA`, `INDEX`, `DICTIONARY` or `DATA_V2`.
    size: how many bytes it has unpacked.
    values: how many, nulls and empty lists among them.
    encoding: of the values, as parquet.thrift numbers them.
  """

  kind: int
  size: int
  values: int
  encoding: int


@dataclasses.dataclass(frozen=True)
class Column:
  """What the pages of a column say.

  Attributes:
    values: how many each row group has, nulls and empty lists among them.
    rows_at_once: how many may be decoded at once, whatever is in them.
  """

  values: tuple[int, ...]
  rows_at_once: int


def summed(groups: list[list[Page]]) -> Column:
  """Returns what the pages of each row group say together."""
  values = tuple(
    sum(page.values for page in pages if page.kind != DICTIONARY) for pages in groups
  )
  # A text may repeat the one before it, of any length, in no bytes of its own.
  repeating = [
    max(page.size for page in pages)
    for pages in groups
    if any(page.encoding == DELTA_BYTE_ARRAY for page in pages)
  ]
  most = max([1, *repeating])
  return Column(values, max(1, budgets.DECODED // most))


def rows_at_once(groups: list[list[Page]], rows: int) -> int:
  """Returns how many rows may be decoded at once, at least one and at most `rows`.

  Args:
    groups: the pages of a column, by row group.
    rows: how many there may be if none is long.
  """
  # A value may be one of a dictionary, or the one before it: any number of times.
  repeated = [
    page.size
    for group in groups
    for page in group
    if page.kind == DICTIONARY or page.encoding == DELTA_BYTE_ARRAY
  ]
  most = max(1, min(rows, budgets.DECODED // max([1, *repeated])))
  while most > 1 and any(_spanned(group, most) > budgets.DECODED for group in groups):
    most //= 2
  return most


def _spanned(group: list[Page], rows: int) -> int:
  """Returns the bytes of the pages that so many rows can lie in, at most."""
  data = [page for page in group if page.kind in (DATA, DATA_V2) and page.values]
  most = inside = stop = values = 0
  for start, page in enumerate(data):
    # The first row is the last one of this page.
    while stop < len(data) and (stop <= start or values < rows - 1):
      inside += data[stop].size
      values += data[stop].values if stop > start else 0
      stop += 1
    most = max(most, inside)
    inside -= page.size
    values -= data[start + 1].values if start + 1 < stop else 0
  return most


def pages(file: BinaryIO, start: int, size: int) -> Iterator[Page]:
  """Yields the pages of a column in a row group.

  Args:
    file: of Parquet.
    start: where the first of them begins.
    size: of all, with their headers.

  Raises:
    Malformed: a header is none, or a page ends elsewhere.
  """
  at, stop = start, start + size
  while at < stop:
    header, length = _read_header(file, at, stop)
    kind, unpacked, packed = (_integer(header, field) for field in (1, 2, 3))
    if kind not in _OF_KIND:
      raise Malformed(f'a page of the unknown kind {kind}')
    place, values, encoding = _OF_KIND[kind]
    of_kind = header.get(place, {})
    if not isinstance(of_kind, dict):
      raise Malformed('a page header of another type')
    at += length + packed
    if at > stop:
      raise Malformed('a page that is longer than its column')
    yield Page(
      kind,
      unpacked,
      _integer(of_kind, values) if values else 0,
      _integer(of_kind, encoding) if encoding else 0,
    )


def _read_header(file: BinaryIO, at: int, stop: int) -> tuple[dict[int, Any], int]:
  """Returns the header that begins at a place, and its length."""
  for most in (_SHORT, _LONG):
    file.seek(at)
    content = file.read(min(most, stop - at))
    try:
      return _struct(content, 0)
    except IndexError:
      if len(content) < most:
        break
  raise Malformed('a page header that does not end')


def _integer(struct: dict[int, Any], field: int) -> int:
  value = struct.get(field)
  if type(value) is not int or not 0 <= value < 1 << 31:
    raise Malformed(f'a page header whose field {field} is {str(value)[:20]}')
  return value


def _struct(content: bytes, at: int, depth: int = 0) -> tuple[dict[int, Any], int]:
  """Returns the fields of a struct by their numbers, and where it ends.

  Raises:
    IndexError: it goes on behind the content.
    Malformed: it is none.
  """
  found: dict[int, Any] = {}
  field = 0
  while head := content[at]:
    at += 1
    kind = head & 15
    if head >> 4:
      field += head >> 4
    else:
      field, at = _zigzag(content, at)
    if field in found:
      raise Malformed(f'a page header with two fields {field}')
    value: Any
    if kind in (_TRUE, _FALSE):
      value = kind == _TRUE
    elif kind in (_I16, _I32, _I64):
      value, at = _zigzag(content, at)
    elif kind in (_BYTE, _DOUBLE):
      value, at = None, at + (1 if kind == _BYTE else 8)
    elif kind == _BINARY:
      length, at = _varint(content, at)
      value, at = None, at + length
    elif kind == _STRUCT and depth < 3:
      value, at = _struct(content, at, depth + 1)
    else:
      raise Malformed(f'a page header with a field of the type {kind}')
    found[field] = value
  return found, at + 1


def _varint(content: bytes, at: int) -> tuple[int, int]:
  value = shift = 0
  while True:
    one = content[at]
    at += 1
    value |= (one & 127) << shift
    if one < 128:
      return value, at
    shift += 7
    if shift > 63:
      raise Malformed('a page header with a number of more than 64 bits')


def _zigzag(content: bytes, at: int) -> tuple[int, int]:
  value, at = _varint(content, at)
  return (value >> 1) ^ -(value & 1), at
