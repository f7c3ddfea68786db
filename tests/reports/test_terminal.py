"""What is printed has the lines and columns that it was given, whatever is in them."""

import csv
import io
import json
import re

import nasty
import pytest

from tfeval.reports import terminal
from tfeval.utils import printable, progress

NAMES = [*nasty.NAMES, nasty.ALL, nasty.SURROGATE]


@pytest.fixture
def out(monkeypatch) -> io.StringIO:
  monkeypatch.setenv('COLUMNS', '200')
  return io.StringIO()


def test_a_line_is_a_line(out):
  terminal.print_lines(NAMES, out)
  lines = out.getvalue().split('\n')
  assert lines == [*map(printable.printable, NAMES), '']


def test_a_table_has_a_line_for_each_row(out):
  terminal.print_rows(
    (nasty.ALL, ('two', 'lines')), [(name, '7') for name in NAMES], (1,), out
  )
  assert not nasty.unsafe(out.getvalue())
  first, titles, rule, *rows = out.getvalue().splitlines()
  assert first.split() == ['two']
  assert titles.split() == [*printable.printable(nasty.ALL).split(), 'lines']
  assert set(rule) <= {'─', ' '}
  assert len(rows) == len(NAMES)
  for row, name in zip(rows, NAMES, strict=True):
    shown = printable.printable(name)
    assert row.startswith(shown) or name.startswith(' ')
    assert row.split()[-1] == '7'


def test_lines_of_a_cell_and_titles_are_ours(out):
  table = terminal.new_table()
  table.title = f'{nasty.ALL}:'
  table.add_column(nasty.ALL)
  table.add_row(('one\n', 'two'))
  terminal.print_table(table, out)
  lines = [line.strip() for line in out.getvalue().splitlines()]
  assert ''.join(lines).startswith(printable.printable(nasty.ALL).replace(' ', '')[:40])
  assert not nasty.unsafe(out.getvalue())
  assert lines[-2:] == ['one\\n', 'two']


def test_paragraphs_and_json_send_no_control_characters(out):
  terminal.print_remarks(NAMES, out)
  assert out.getvalue().count('\n') == len(NAMES)
  terminal.print_json({name: NAMES for name in NAMES}, out)
  terminal.print_json_line(NAMES, out)
  assert not nasty.unsafe(out.getvalue())
  assert json.loads(out.getvalue().splitlines()[-1]) == NAMES


def test_csv_has_the_cells_that_it_was_given(out):
  rows = [[name, 0.5, None, name] for name in NAMES]
  terminal.print_csv([NAMES[:4], *rows], out)
  found = list(csv.reader(io.StringIO(out.getvalue())))
  assert {len(row) for row in found} == {4}
  assert len(found) == 1 + len(NAMES) == out.getvalue().count('\n')
  assert all(row[1:3] == ['0.5', ''] for row in found[1:])
  assert not nasty.unsafe(terminal.csv_bytes(rows).decode())


def test_markdown_has_the_cells_and_items_that_it_was_given(out):
  rows = [['a', 'b'], ['---', '---:'], *([name, name] for name in NAMES)]
  terminal.print_markdown_table(rows, out)
  for line in out.getvalue().splitlines():
    assert len(re.findall(r'(?<!\\)(?:\\\\)*\|', line)) == 3
  out.truncate(0)
  terminal.print_markdown_list([*NAMES, '1. one', '+ two', '> three'], out)
  lines = out.getvalue().strip('\0').splitlines()
  assert len(lines) == len(NAMES) + 3
  assert lines[-3:] == ['- 1\\. one', '- \\+ two', '- \\> three']
  assert f'- {chr(92)}# heading' in lines
  assert not nasty.unsafe('\n'.join(lines))


def test_progress_shows_what_is_worked_on_as_it_is(capsys):
  with progress.on_stderr(nasty.ALL, 2) as advance:
    advance(2)
  err = capsys.readouterr().err
  assert err.startswith(f'{printable.printable(nasty.ALL)}: 2/2 images')
  assert not nasty.unsafe(err)


class Screen(io.StringIO):
  def isatty(self):
    return True


def test_a_terminal_gets_our_styles_and_nobody_elses(monkeypatch):
  monkeypatch.setenv('TERM', 'xterm-256color')
  screen = Screen()
  terminal.print_rows((nasty.ALL,), [(name,) for name in NAMES], file=screen)
  terminal.print_markdown(f'# {nasty.ALL}', screen)
  styles = re.sub(r'\x1b\[[\d;]*m', '', screen.getvalue())
  assert '\x1b[' in screen.getvalue()
  assert not nasty.unsafe(styles)
  assert ':smile: [bold]b[/bold] {0}' in styles


class Terminal(io.StringIO):
  def isatty(self):
    return True


LONG = (
  "folder '/a/path/that/is/longer/than/any/line/of/a/terminal/of/eighty/columns/and/"
  "goes/on' does not exist: give --manual_dir=DIR_WITH_THE_TAR or another folder"
)


@pytest.mark.parametrize('columns', [20, 40, 80])
def test_lines_are_broken_between_words_on_terminals_alone(columns, monkeypatch):
  monkeypatch.setenv('COLUMNS', str(columns))
  shown, piped = Terminal(), io.StringIO()
  for file in (shown, piped):
    terminal.print_line(f'tfeval: {LONG}', file)
    terminal.print_line('  two  gaps', file)
  assert piped.getvalue() == f'tfeval: {LONG}\n  two  gaps\n'
  *lines, last = shown.getvalue().splitlines()
  assert last == '  two  gaps'
  assert ' '.join(lines).split() == f'tfeval: {LONG}'.split()
  # What is wider stands alone.
  assert all(len(line) <= columns or len(line.split()) == 1 for line in lines)
  assert all(line.startswith('  ') for line in lines[1:])


def test_wide_characters_count_twice(monkeypatch):
  assert terminal.wrapped('名前 名前 ab', 7) == ['名前', '名前 ab']
  assert terminal.wrapped('', 7, '- ') == []


@pytest.mark.parametrize('columns', [40, 80])
def test_paragraphs_keep_paths_whole(columns, monkeypatch):
  monkeypatch.setenv('COLUMNS', str(columns))
  out = Terminal()
  terminal.print_paragraph(LONG, out)
  assert out.getvalue().split() == LONG.split()
  assert all(
    len(line) <= columns or len(line.split()) == 1
    for line in out.getvalue().splitlines()
  )
