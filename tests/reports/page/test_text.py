"""Results as plain text: what a console shows of a value."""

from tfeval.reports.page import text
from tfeval.reports.page.content import Column, Document, Section, Table, counted

COLUMNS = (
  Column('name', 'name'),
  *(Column(f'c{i}', f'column {i}', counted) for i in range(20)),
)


def document(rows, columns=COLUMNS):
  return Document('Title', [Section('one', [Table('t', columns, rows)])], 'subtitle')


def test_numbers_stand_right_below_their_titles():
  found = text.text('Kind', document([('a', 1), ('bb', 12345)], COLUMNS[:2]))
  assert found.splitlines() == [
    'Kind: Title',
    'subtitle',
    '',
    'name  column 0',
    'a            1',
    'bb      12,345',
  ]


def test_many_rows_and_columns_fit_into_80_characters():
  rows = [(f'row {i}' * 20, *range(20)) for i in range(300)]
  lines = text.text('Kind', document(rows)).splitlines()
  assert max(map(len, lines)) <= 80 and len(lines) <= 50
  assert lines[-1] == 'to_pandas() has 280 more rows and further columns'


def test_what_a_terminal_would_obey_is_shown():
  found = text.text('Kind', document([('\x1b[2J\nnew line', 1)], COLUMNS[:2]))
  assert '\x1b' not in found and len(found.splitlines()) == 5
