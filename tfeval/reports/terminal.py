"""Tables of texts, CSV and JSON: what needs nothing but rich, and so costs no time."""

import codecs
import csv
import io
import json
import sys
import textwrap
from collections.abc import Collection, Iterable, Sequence
from typing import Any, TextIO

from rich import box
from rich import console as rich_console
from rich import table as rich_table

# Characters between the columns of `new_table`.
GAP = 2


def print_json(content: Any, file: TextIO | None = None) -> None:
  """Prints JSON and nothing else; NaN is a defect, not a value."""
  encoding = getattr(file or sys.stdout, 'encoding', None) or 'utf-8'
  escaped = codecs.lookup(encoding).name != 'utf-8'
  print(json.dumps(content, indent=2, allow_nan=False, ensure_ascii=escaped), file=file)


def print_table(table: rich_table.Table, file: TextIO | None = None) -> None:
  """Prints a table; as wide as the terminal, 80 columns where there is none.

  It is wider than that where figures would else be cut.
  """
  console = _console(file)
  # What rich would measure counts texts too, which may be folded.
  least = sum((column.min_width or 1) + GAP for column in table.columns) - GAP
  console.width = max(console.width, least)
  console.print(table)


def print_rows(
  titles: Sequence[str],
  rows: Iterable[Sequence[str]],
  numbers: Collection[int] = (),
  file: TextIO | None = None,
) -> None:
  """Prints `plain_table`."""
  print_table(plain_table(titles, rows, numbers), file)


def print_markdown(text: str, file: TextIO) -> None:
  """Prints a text in Markdown: set for a terminal, as it stands elsewhere."""
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
  return rich_console.Console(file=file, highlight=False, markup=False)


def csv_bytes(rows: Iterable[Iterable[Any]]) -> bytes:
  """Returns CSV in UTF-8, a line for each row."""
  text = io.StringIO()
  csv.writer(text, lineterminator='\n').writerows(rows)
  return text.getvalue().encode(errors='backslashreplace')


def new_table() -> rich_table.Table:
  """Returns an empty table that looks as all of them do."""
  return rich_table.Table(
    box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0)
  )


def plain_table(
  titles: Sequence[str], rows: Iterable[Sequence[str]], numbers: Collection[int] = ()
) -> rich_table.Table:
  """Returns a table of texts.

  Args:
    titles: of the columns.
    rows: a text for each column.
    numbers: indices of the columns that are numbers: to the right, never cut.
  """
  table, rows = new_table(), list(rows)
  for i, title in enumerate(titles):
    number = i in numbers
    width = max(map(len, [*title.split('\n'), *(row[i] for row in rows)]))
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
  text: str, file: TextIO, first: str = '', others: str = '  '
) -> None:
  """Prints a text in lines of 80 columns, behind these starts of lines."""
  # No word is broken: paths and ids can be copied.
  lines = textwrap.wrap(
    text,
    80,
    initial_indent=first,
    subsequent_indent=others,
    break_long_words=False,
    break_on_hyphens=False,
  )
  print('\n'.join(lines), file=file)
