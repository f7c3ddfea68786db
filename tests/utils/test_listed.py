"""Lists of names in messages: ten, and how many more there are."""

import pathlib
import re

import pytest

import tfeval
from tfeval.utils.errors import listed, unknown

PACKAGE = pathlib.Path(tfeval.__file__).parent


@pytest.mark.parametrize(
  ('names', 'told'),
  [
    ([], 'none'),
    (['a'], 'a'),
    ([f'{i}' for i in range(10)], '0, 1, 2, 3, 4, 5, 6, 7, 8, 9'),
    (range(11), '0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ... and 1 more'),
    ((str(i) for i in range(4133)), '0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ... and 4,123 more'),
  ],
)
def test_ten_and_a_count(names, told):
  assert listed(names) == told


def test_of_those_that_were_looked_up_the_count_is_of_all():
  assert listed('ab', count=1000) == 'a, b, ... and 998 more'
  assert listed('ab', count=2) == 'a, b'
  assert listed('abc', most=2, count=5) == 'a, b, ... and 3 more'


def test_a_name_that_is_long_is_not_the_whole_message():
  assert len(listed(['x' * 100_000] * 100)) < 2100


def test_what_is_known_is_told_so():
  known = [f'name{i}' for i in range(20)]
  assert str(unknown('model', 'zzz', known)).endswith('name9, ... and 10 more')


def test_no_other_way_to_shorten_a_list_is_left():
  """Neither a cut in the middle of a name nor dots without a count."""
  cut = re.compile(r"', '.join\([^\n]*\)\[:\d+\]|', \.\.\.' \* ")
  for path in PACKAGE.rglob('*.py'):
    found = [m[0] for m in cut.finditer(path.read_text('utf-8'))]
    assert not found or path.name in FORMS, (path, found)


# What has the first few of a fixed order or of shapes, not of what went wrong.
FORMS = ('own_forms.py', 'cluster.py', 'model.py', 'saved_model.py', 'recipes.py')
