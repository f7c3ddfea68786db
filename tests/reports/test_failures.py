"""Many models that fail are a table, not a line each."""

import pytest

from tfeval.cli import output
from tfeval.reports import failures
from tfeval.runs.run import Failure
from tfeval.utils.errors import UserError


def offline(name):
  url = f'https://example.com/{name.lower()}.h5'
  return Failure(
    name, f'{name.lower()}.h5 of {name}: get {url}, `weights=none` is none'
  )


MANY = [*map(offline, (f'Net{i}' for i in range(100))), Failure('X', 'is no model')]


def test_reasons_of_a_kind_are_one(capsys):
  assert [len(names) for _, names in failures.grouped(MANY)] == [100, 1]
  output.print_runs(MANY, False, 0)
  out = capsys.readouterr().out
  assert len(out.splitlines()) < 30
  assert '100' in out and 'and 94 more' in out
  assert '--weights=none' in ' '.join(out.split())
  # Of the first one all is told.
  assert 'https://example.com/net0.h5' in ''.join(
    line[-60:].strip() for line in out.splitlines()
  ).replace(' ', '')
  assert 'is no model' in ' '.join(out.split())


def test_the_last_line_names_some():
  with pytest.raises(UserError) as caught:
    output.exit_code(MANY, [])
  assert str(caught.value) == (
    '101 of 101 models failed: '
    + ', '.join(f'Net{i}' for i in range(10))
    + ', ... and 91 more'
  )


def test_a_host_that_does_not_join_tells_the_same(capsys):
  output.print_failures(MANY)
  assert len(capsys.readouterr().err.splitlines()) < 30
  output.print_failures(MANY[:3])
  assert len(capsys.readouterr().err.splitlines()) == 3


def test_json_has_each(capsys):
  output.print_runs(MANY, True, 0)
  assert capsys.readouterr().out.count('"error"') == 101
