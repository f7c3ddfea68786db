"""Documents as plain text, for consoles: what a value shows as its `repr`."""

import unicodedata
from collections.abc import Iterator, Sequence

from tfeval.reports.page.content import Document, Table
from tfeval.utils.printable import printable

_WIDTH, _GAP = 80, 2
_ROWS = 20
_BLOCKS = 2
# Characters that a text is cut to, the room for a name where there are others.
_LONGEST = 36


def text(name: str, document: Document) -> str:
  """Returns the title, the main table and what must not be overlooked.

  Args:
    name: of the type of the value.
    document: what it shows.
  """
  table = document.main or next(iter(document.tables()), None)
  lines = [f'{name}: {document.title}']
  lines += [document.subtitle] if document.subtitle else []
  lines += document.caveats
  if table is not None:
    lines += ['', *_lines(table)]
  return '\n'.join(printable(line) for line in lines)


def _lines(table: Table) -> Iterator[str]:
  """Yields the first rows, columns that do not fit beside each other below."""
  rows = [[_cut(cell) for cell, _ in row] for row in table.texts()[:_ROWS]]
  titles = [column.title for column in table.seen]
  numbers = [column.is_number for column in table.seen]
  columns = [
    _padded([title, *(row[i] for row in rows)], numbers[i])
    for i, title in enumerate(titles)
  ]
  keys, others = columns[: table.labels], columns[table.labels :]
  blocks = list(_blocks(keys, others))
  for number, block in enumerate(blocks[:_BLOCKS]):
    yield from [''] * bool(number)
    for cells in zip(*block, strict=True):
      yield (' ' * _GAP).join(cells).rstrip()
  rest = [len(table.rows) + table.more - len(rows), len(blocks) > _BLOCKS]
  if any(rest):
    what = [f'{rest[0]:,} more rows'] * bool(rest[0]) + ['further columns'] * rest[1]
    yield f'to_pandas() has {" and ".join(what)}'


def _cut(cell: str) -> str:
  shown = printable(cell)
  return shown if len(shown) <= _LONGEST else f'{shown[: _LONGEST - 3]}...'


def _padded(cells: Sequence[str], right: bool) -> list[str]:
  width = max(map(_wide, cells))
  room = [' ' * (width - _wide(cell)) for cell in cells]
  both = zip(cells, room, strict=True)
  return [space + cell if right else cell + space for cell, space in both]


def _wide(cell: str) -> int:
  """Returns the columns of a terminal that a text takes.

  >>> _wide('cat'), _wide('猫')
  (3, 2)
  """
  return sum(
    0 if unicodedata.combining(one) else 1 + (unicodedata.east_asian_width(one) in 'WF')
    for one in cell
  )


def _blocks(
  keys: Sequence[list[str]], others: Sequence[list[str]]
) -> Iterator[list[list[str]]]:
  block = list(keys)
  for column in others:
    used = sum(_wide(one[0]) + _GAP for one in [*block, column]) - _GAP
    if used > _WIDTH and len(block) > len(keys):
      yield block
      block = list(keys)
    block.append(column)
  yield block
