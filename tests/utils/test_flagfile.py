"""Flagfiles say what they were written of, whatever that holds."""

import nasty
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfeval.utils import flagfile
from tfeval.utils.errors import UserError

ANY = st.text(
  st.characters(exclude_categories=(), exclude_characters='\0'), max_size=30
)


def read(text: str) -> list[tuple[str | None, str]]:
  return [(one.name, one.text) for one in flagfile.flags(text.encode())]


@settings(max_examples=300, deadline=None)
@given(ANY, st.sampled_from(['model', 'labels']))
def test_any_value_survives(value, name):
  line = flagfile.line(name, value)
  assert '\n' not in line and line == line.strip() and not nasty.unsafe(line)
  before, after = '--limit=3', '--json'
  found = read(f'{before}\n{line}\n{after}\n')
  assert found == [('limit', before), (name, f'--{name}={value}'), ('json', after)]


@pytest.mark.parametrize('value', [*nasty.NAMES, nasty.ALL, nasty.SURROGATE])
def test_nasty_values_survive(value):
  (one,) = flagfile.flags(flagfile.line('model', value).encode())
  assert (one.name, one.value) == ('model', value)


@pytest.mark.parametrize(
  'value', ['/data/a b/#1', '"a"', "'a'", 'a=b', 'json', 'Größe', '--x', '', 'a\\nb']
)
def test_ordinary_values_are_written_as_they_always_were(value):
  assert flagfile.line('model', value) == f'--model={value}'


def test_lines_that_people_write():
  text = '# comment\r\n\r\n// too\n  --a=1  \r-b="2"\nRUN\n--c\n--d:json=" x"\n'
  assert read(text) == [
    ('a', '--a=1'),
    ('b', '-b="2"'),
    (None, 'RUN'),
    ('c', '--c'),
    ('d', '--d= x'),
  ]
  # As absl reads a line: other separators of lines are part of it.
  assert read('--a=1\x0b2\u20283\n') == [('a', '--a=1\x0b2\u20283')]


@pytest.mark.parametrize(
  ('content', 'said'),
  [
    (b'--a=1\n\n--b=\xff', 'line 3 is not text'),
    (b'\n--a:json=x', "line 2 has 'x', expected a JSON text"),
    (b'--a:json=[1]', 'expected a JSON text'),
    (b'--a:json=' + b'[' * 10**5, 'expected a JSON text'),
    (b'--a:json', 'expected a JSON text'),
  ],
)
def test_what_is_none_is_named_by_its_line(content, said):
  with pytest.raises(UserError, match=said):
    list(flagfile.flags(content))


@pytest.mark.parametrize(
  ('line', 'asks'),
  [
    ('--model=os:system:command=x', True),
    ('--model=my.module:build', True),
    ('--model:json="os:system"', True),
    ('-model=os:system', True),
    ('--preprocess=a:b', True),
    ('--tpu=1.2.3.4', True),
    ('--tpu=local', False),
    ('--tf_data_service=h:1', True),
    ('--trust_model', True),
    ('--flagfile=other', True),
    ('--notrust_model', False),
    ('--model=MobileNet:alpha=0.25,x=[1,2]', False),
    ('--model=/a/b:c/mine.keras', False),
    ('--model=gs://bucket/a', True),
    ('--dataset=folder:/a', False),
    ('--dataset=webdataset:/a-{000..012}.tar', False),
  ],
)
def test_what_can_run_code_is_suspicious(line, asks):
  assert bool(flagfile.suspicious(flagfile.flags(line.encode()))) == asks
