"""What is printed of the words of strangers."""

import csv
import io
import json

import nasty
import pytest

from tfeval.utils import printable


@pytest.mark.parametrize('name', [*nasty.NAMES, nasty.ALL, nasty.SURROGATE])
def test_a_text_is_one_line_and_stays_what_it_is_when_shown_again(name):
  shown = printable.printable(name)
  assert not nasty.unsafe(shown) and '\n' not in shown
  assert printable.printable(shown) == shown
  assert shown.isprintable()


def test_what_is_printable_stays_as_it_is():
  for text in ('ResNet50', 'Größe 名前 ✓', 'a b\\n', '\U0001f600'):
    assert printable.printable(text) == text
  assert printable.printable('a\nb\x1b', keep='\n') == 'a\nb\\x1b'
  assert printable.printable('\u202e\x9b\t') == '\\u202e\\x9b\\t'


@pytest.mark.parametrize('name', [*nasty.NAMES, nasty.ALL, nasty.SURROGATE])
def test_json_says_the_same_with_escapes(name):
  text = json.dumps({name: [name]}, ensure_ascii=False, indent=2)
  shown = printable.printable_json(text)
  assert not nasty.unsafe(shown)
  assert shown.count('\n') == text.count('\n')
  assert json.loads(shown) == {name: [name]}


@pytest.mark.parametrize('name', [*nasty.NAMES, nasty.ALL])
def test_a_cell_of_csv_is_no_formula(name):
  out = io.StringIO()
  csv.writer(out, lineterminator='\n').writerow([printable.csv_cell(name), 'next'])
  assert out.getvalue().count('\n') == 1
  ((cell, following),) = csv.reader(io.StringIO(out.getvalue()))
  assert following == 'next'
  assert cell == '-1.5' or not cell.startswith(('=', '+', '-', '@'))
  assert cell.removeprefix("'") == printable.printable(name)


@pytest.mark.parametrize('number', [-1.5, 1e-9, 3, None, True, '-1', '+2.5e-3', '.5'])
def test_numbers_of_csv_stay_numbers(number):
  assert printable.csv_cell(number) is number


def test_a_cell_of_markdown_shows_its_signs():
  assert printable.markdown_cell('a|b$c$`d`\n') == '\\|'.join('ab') + (
    '\\$c\\$\\`d\\`\\\\n'
  )
