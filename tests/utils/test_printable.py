"""What is printed of the words of strangers."""

import csv
import io
import json
import math

import nasty
import numpy as np
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


@pytest.mark.parametrize('number', [3, '-1', '+2.5e-3', '.5'])
def test_numbers_of_csv_stay_numbers(number):
  assert printable.csv_cell(number) is number


@pytest.mark.parametrize(
  ('number', 'text'),
  [
    (0.1 + 0.2, '0.3'),
    (1e-05, '0.00001'),
    (-1.5, '-1.5'),
    (2 / 3, '0.6666666667'),
    (123456789.125, '123456789.1'),
    (1e22, '10000000000000000000000.0'),
    (5e-324, f'0.{"0" * 323}4940656458'),
    (1.0, '1.0'),
    (-0.0, '0.0'),
    (math.inf, 'inf'),
    (np.float64(0.30000000000000004), '0.3'),
    (np.float32(0.25), '0.25'),
    (math.nan, ''),
    (np.float32('nan'), ''),
  ],
)
def test_floats_of_csv_are_decimals_without_an_exponent(number, text):
  assert printable.csv_cell(number) == text


def test_a_rate_of_csv_gives_its_count_again():
  for count in (7, 50_000, 1_281_167):
    for hits in range(0, count, max(1, count // 997)):
      assert round(float(printable.csv_cell(hits / count)) * count) == hits


def test_a_cell_of_markdown_shows_its_signs():
  assert printable.markdown_cell('a|b$c$`d`\n') == '\\|'.join('ab') + (
    '\\$c\\$\\`d\\`\\\\n'
  )
