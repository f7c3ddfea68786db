"""Options are declared once, in parts of a config."""

import dataclasses
import pathlib

import numpy as np
import pytest

from tfeval.utils import options
from tfeval.utils.errors import UserError
from tfeval.utils.options import option


@dataclasses.dataclass(frozen=True)
class Part:
  GROUP = 'Part'
  name: str = option('a', 'A text.', name='thing', choices=('a', 'b'))
  path: str | None = option(None, 'A path.', is_path=True)
  private: bool = option(False, 'A switch.', repeated=False, in_python=False)


@dataclasses.dataclass(frozen=True)
class Config:
  GROUP = 'Whole'
  part: Part = Part()
  size: int = option(3, 'A number.', least=1, most=9, identifies=True)
  index: int = option(0, 'A number from 0.', least=0)
  note: str = 'no option'


def test_fields_stand_in_their_order_with_names_and_groups():
  found = [(f.name, f.path, f.kind, f.option.group) for f in options.fields(Config)]
  assert found == [
    ('thing', ('part', 'name'), str, 'Part'),
    ('path', ('part', 'path'), str, 'Part'),
    ('private', ('part', 'private'), bool, 'Part'),
    ('size', ('size',), int, 'Whole'),
    ('index', ('index',), int, 'Whole'),
  ]
  assert options.python_names(Config) == ['thing', 'path', 'size', 'index']


def test_values_by_name_go_to_their_part():
  built = options.replace(Config(), **{'thing': 'b', 'size': 5})
  assert built == Config(Part('b'), 5)
  assert options.flat(built) == {
    'thing': 'b',
    'path': None,
    'private': False,
    'size': 5,
    'index': 0,
  }
  with pytest.raises(UserError, match="unknown option 'sise': did you mean size"):
    options.replace(built, sise=1)


def test_values_of_python_become_plain_ones():
  given = options.replace(Config(), **{'size': np.int64(4), 'path': pathlib.Path('x')})
  assert options.checked(given) == Config(Part(path='x'), 4)


@pytest.mark.parametrize(
  'values, words',
  [
    ({'size': 0}, 'size is 0, expected a positive integer'),
    ({'size': True}, 'size is True, expected a positive integer'),
    ({'size': 10}, 'size is 10, expected 9 at most'),
    ({'index': -1}, 'index is -1, expected an integer of 0 at least'),
    ({'thing': 3}, 'thing is 3, expected a text'),
    ({'thing': 'c'}, "unknown thing 'c': known: a, b"),
    ({'path': 3}, 'path is 3, expected a path'),
    ({'private': 'no'}, "private is 'no', expected True or False"),
  ],
)
def test_what_no_flag_could_have(values, words):
  with pytest.raises(UserError, match=words):
    options.checked(options.replace(Config(), **values))


def test_flagfile_lines_leave_out_what_is_not_repeated():
  given = options.replace(Config(), **{'path': 'x', 'private': True})
  lines = options.flagfile_lines(given, lambda path: f'/abs/{path}')
  assert lines == ['--thing=a', '--path=/abs/x', '--size=3', '--index=0']
