"""No small file takes more than 1 GiB, and none that never ends is waited for."""

import json
import pathlib
import re
import subprocess
import sys

import hostile_tables
import pytest


@pytest.fixture(scope='module')
def said(tmp_path_factory) -> dict[str, dict]:
  """What the readers say, in a process that gets no more memory, by case."""
  directory = tmp_path_factory.mktemp('hostile')
  hostile_tables.make(directory)
  files = [path for path in directory.rglob('*') if path.is_file()]
  assert max(path.stat().st_size for path in files) <= 21_000_000
  script = pathlib.Path(hostile_tables.__file__)
  output = subprocess.run(
    [sys.executable, script, directory], stdout=subprocess.PIPE, check=True, timeout=120
  ).stdout
  return {word['name']: word for word in map(json.loads, output.splitlines())}


@pytest.mark.parametrize('name', hostile_tables.CASES)
def test_what_declares_too_much_is_refused_in_one_line(said, name):
  found = said[name]
  assert re.match(f'refused: .*(?:{hostile_tables.CASES[name].said})', found['said'])
  assert len(found['said'].splitlines()) == 1
  assert found['mib'] < 600 and found['seconds'] < 5
