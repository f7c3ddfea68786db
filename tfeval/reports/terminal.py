"""Where everything is printed: lines, tables, CSV, Markdown and JSON.

Nothing else in `cli` and `reports` writes to a terminal or a file of text, so that no
word of a stranger goes there but through `utils.printable`. It needs nothing but rich,
and so costs no time.
"""

import codecs
import csv
import io
import json
import os
import re
import sys
from collections.abc import Collection, Iterable, Sequence
from typing import Any, TextIO

from rich import box
from rich import console as rich_console
from rich import table as rich_table
from rich.cells import cell_len

from tfeval.utils import printable

# Characters between the columns of `new_table`.
GAP = 2
# A text, or the lines of one: a line feed inside of a text is none.
Cell = str | tuple[str, ...]
# What begins a list, a heading or the like where a line of Markdown begins.
_BLOCK = re.compile(r'[#+-]|\d+(?=[.)])')


class Table(rich_table.Table):
  """A table whose cells and titles are texts, and shown as they are."""

  @property
  def title(self) -> Any:
    """What stands above it."""
    return self._title

  @title.setter
  def title(self, text: Any) -> None:
    self._title = None if text is None else shown(text)

  def add_column(self, header: Any = '', *arguments: Any, **options: Any) -> None:
    super().add_column(shown(header), *arguments, **options)

  def add_row(self, *cells: Any, **options: Any) -> None:
    super().add_row(*map(shown, cells), **options)


def shown(cell: Cell) -> str:
  """Returns a cell as it is printed."""
  lines = (cell,) if isinstance(cell, str) else cell
  return '\n'.join(map(printable.printable, lines))


def width_of_cell(cell: Cell) -> int:
  """Returns how many columns a cell takes whose lines are not broken."""
  return max(map(cell_len, shown(cell).split('\n')))


def new_table() -> Table:
  """Returns an empty table that looks as all of them do; it takes a `Cell` each."""
  return Table(
    box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0)
  )


def print_json(content: Any, file: TextIO | None = None) -> None:
  """Prints JSON and nothing else; NaN is a defect, not a value."""
  print(_json(content, file, indent=2), file=file)


def print_json_line(content: Any, file: TextIO | None = None) -> None:
  """Prints JSON in a line, at once; NaN is a defect, not a value."""
  print(_json(content, file), file=file, flush=True)


def _json(content: Any, file: TextIO | None, indent: int | None = None) -> str:
  encoding = getattr(file or sys.stdout, 'encoding', None) or 'utf-8'
  text = json.dumps(
    content,
    indent=indent,
    allow_nan=False,
    ensure_ascii=codecs.lookup(encoding).name != 'utf-8',
  )
  return printable.printable_json(text)


def print_line(text: str = '', file: TextIO | None = None) -> None:
  """Prints a text as one line, whatever is in it, at once.

  On a terminal that is narrower it is broken between words; elsewhere it stays one
  line, whatever its length: `grep` and logs want it so.
  """
  text, file = printable.printable(text), file or sys.stdout
  if file.isatty() and cell_len(text) > (columns := _columns(file)):
    start = text[: len(text) - len(text.lstrip(' '))]
    text = '\n'.join(wrapped(text, columns, start, f'{start}  '))
  print(text, file=file, flush=True)


def _columns(file: TextIO) -> int:
  """Returns how wide a terminal is; COLUMNS comes first."""
  if os.environ.get('COLUMNS', '').isdigit() and int(os.environ['COLUMNS']):
    return int(os.environ['COLUMNS'])
  try:
    return os.get_terminal_size(file.fileno()).columns or 80
  except (OSError, ValueError):
    return 80


def print_lines(texts: Iterable[str], file: TextIO | None = None) -> None:
  """Prints texts, a line each."""
  for text in texts:
    print_line(text, file)


def print_table(table: Table, file: TextIO | None = None) -> None:
  """Prints a table; as wide as the terminal, 80 columns where there is none.

  It is wider than that where figures would else be cut.
  """
  console = _console(file)
  # What rich would measure counts texts too, which may be folded.
  least = sum((column.min_width or 1) + GAP for column in table.columns) - GAP
  console.width = max(console.width, least)
  console.print(table)


def print_rows(
  titles: Sequence[Cell],
  rows: Iterable[Sequence[str]],
  numbers: Collection[int] = (),
  file: TextIO | None = None,
) -> None:
  """Prints `plain_table`."""
  print_table(plain_table(titles, rows, numbers), file)


def print_text(text: str, file: TextIO | None = None) -> None:
  """Prints a text of several lines as it stands; a terminal obeys none of it."""
  print(printable.printable(text, keep='\n\t'), end='', file=file, flush=True)


def print_markdown(text: str, file: TextIO) -> None:
  """Prints a text in Markdown: set for a terminal, as it stands elsewhere."""
  text = printable.printable(text, keep='\n')
  if not file.isatty():
    file.write(text)
    return
  from rich import markdown  # It costs as much time as the rest of rich.

  console = _console(file)
  console.width = min(console.width, 80)
  # A link within the guides leads nowhere in a terminal; its text and target do.
  console.print(markdown.Markdown(text, hyperlinks=False))


def width_of(file: TextIO) -> int:
  """Returns how many columns a table may have."""
  return _console(file).width


def _console(file: TextIO | None) -> rich_console.Console:
  return rich_console.Console(file=file, highlight=False, markup=False, emoji=False)


def csv_bytes(rows: Iterable[Iterable[Any]]) -> bytes:
  """Returns CSV in UTF-8, a line for each row."""
  text = io.StringIO()
  print_csv(rows, text)
  return text.getvalue().encode(errors='backslashreplace')


def print_csv(rows: Iterable[Iterable[Any]], file: TextIO | None = None) -> None:
  """Prints CSV, a line for each row, that no spreadsheet takes for formulas."""
  writer = csv.writer(file or sys.stdout, lineterminator='\n')
  writer.writerows(map(printable.csv_cell, row) for row in rows)


def print_cells(cells: Iterable[str], file: TextIO | None = None) -> None:
  """Prints texts with tabs between them, a line."""
  print('\t'.join(map(printable.printable, cells)), file=file)


def print_markdown_table(rows: Iterable[Iterable[str]], file: TextIO) -> None:
  """Prints rows of a table of GitHub's Markdown; the second is what aligns it."""
  for number, row in enumerate(rows):
    cells = row if number == 1 else map(printable.markdown_cell, row)
    print(f'| {" | ".join(cells)} |', file=file)


def print_markdown_list(lines: Iterable[str], file: TextIO) -> None:
  """Prints texts as a list of Markdown that shows them as they are."""
  for line in map(printable.markdown_cell, lines):
    print(
      f'- {_BLOCK.sub(_escaped, line, 1) if _BLOCK.match(line) else line}', file=file
    )


def _escaped(found: re.Match[str]) -> str:
  return f'{found[0]}\\' if found[0].isdigit() else f'\\{found[0]}'


def plain_table(
  titles: Sequence[Cell], rows: Iterable[Sequence[str]], numbers: Collection[int] = ()
) -> Table:
  """Returns a table of texts.

  Args:
    titles: of the columns.
    rows: a text for each column.
    numbers: indices of the columns that are numbers: to the right, never cut.
  """
  table, rows = new_table(), list(rows)
  for i, title in enumerate(titles):
    number = i in numbers
    width = max(map(width_of_cell, [title, *(row[i] for row in rows)]))
    table.add_column(
      title,
      justify='right' if number else 'left',
      no_wrap=number,
      overflow='fold',
      min_width=width if number else None,
    )
  for row in rows:
    table.add_row(*row)
  return table


def print_remarks(lines: Iterable[str], file: TextIO) -> None:
  """Prints what a reader must know beside figures, a paragraph each."""
  for line in lines:
    print_paragraph(line, file)


def print_paragraph(
  text: str,
  file: TextIO | None = None,
  first: str = '',
  others: str = '  ',
) -> None:
  """Prints a text in lines of 80 columns at most, behind these starts of lines.

  No word is broken, so that paths and ids can be copied.

  Args:
    text: the text.
    file: where to.
    first, others: what the first line and the others begin with.
  """
  out = file or sys.stdout
  columns = min(80, _columns(out)) if out.isatty() else 80
  lines = wrapped(printable.printable(text), columns, first, others)
  print('\n'.join(lines), file=file)


def wrapped(text: str, columns: int, first: str = '', others: str = '') -> list[str]:
  """Returns lines of a text, broken between words alone.

  A word that is longer than a line, such as a path, has a line of its own.

  Args:
    text: words between spaces; none is broken.
    columns: how wide a line may be, in cells of a terminal.
    first, others: what the first line and the others begin with.

  >>> wrapped('no file /home/me/photos here', 12, '', '  ')
  ['no file', '  /home/me/photos', '  here']
  """
  lines: list[str] = []
  line, empty = first, True
  for word in text.split():
    if not empty and cell_len(line) + 1 + cell_len(word) > columns:
      lines.append(line)
      line, empty = others, True
    line += word if empty else f' {word}'
    empty = False
  return lines if empty else [*lines, line]
