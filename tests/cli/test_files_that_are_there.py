"""Files that a command writes beside run directories: none is replaced unasked."""

import os

import pytest

from tfeval import cli
from tfeval.cli import command_flags

# All flags that name a file to be written, with what stands beside each.
WRITTEN = {
  ('convert', 'output_file'): ('a.tflite', 'ResNet50', '--to=litert:float'),
  ('compare', 'report'): ('a.html', 'run'),
  ('explain', 'figure'): ('a.png', 'run', 'other'),
  ('explain', 'report'): ('a.html', 'run', 'other'),
  ('export', 'output'): ('a.csv', 'run', '--to=csv'),
  ('figure', 'output'): ('a.png', 'run', '--kind=pr'),
  ('leaderboard', 'report'): ('a.html', 'run'),
  ('mistakes', 'figure'): ('a.png', 'run'),
  ('mistakes', 'output'): ('a.csv', 'run'),
  ('predict', 'figure'): ('a.png', 'a.jpg', '--model=ResNet50'),
  ('predict', 'output_file'): ('a.csv', 'a.jpg', '--model=ResNet50'),
  ('relabel', 'curve'): ('a.csv', '--scores=scores', '--golden=golden'),
  ('relabel', 'figure'): ('a.png', '--scores=scores', '--golden=golden'),
  ('relabel', 'output'): ('a.json', '--scores=scores'),
  ('report', 'output'): ('a.html', 'run'),
  ('score', 'per_class'): ('a.csv', 'run'),
  ('score', 'write_groups'): ('a.csv', 'run', '--by=images'),
  ('shift', 'report'): ('a.html', 'run', 'other'),
  ('sweep', 'figure'): ('a.png', '--model=ResNet50'),
  ('sweep', 'report'): ('a.html', '--model=ResNet50'),
}
PATHS = ('report', 'figure', 'curve', 'output_file', 'per_class', 'write_groups')


@pytest.fixture
def folder(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'a.jpg').write_bytes(b'')
  return tmp_path


def test_every_flag_that_names_a_file_to_write_is_held():
  defined = set()
  for name in cli.COMMANDS:
    flags, _ = command_flags.parse(cli.command_module(name), name, [])
    defined |= {(name, one) for one in PATHS if one in flags}
    for option in ('report', 'figure', 'output_file'):
      assert option not in flags or 'overwrite' in flags, name
  assert defined == {one for one in WRITTEN if one[1] in PATHS}


@pytest.mark.parametrize(('command', 'option'), WRITTEN)
@pytest.mark.parametrize('kind', ['there', 'a folder', 'no folder', 'a lost link'])
def test_a_file_that_is_there_or_cannot_be_written_is_refused_before_anything_is_read(
  tfeval, folder, command, option, kind
):
  name, *given = WRITTEN[command, option]
  words = 'is there already: give another name, or --overwrite'
  if kind == 'there':
    (folder / name).write_text('mine')
  elif kind == 'a folder':
    (folder / name).mkdir()
    words = 'is a folder: give the name of a file'
  elif kind == 'no folder':
    name, words = f'new/{name}', 'the folder new does not exist'
  else:
    (folder / name).symlink_to('nowhere')
  before = sorted(os.listdir(folder))
  code, out, err = tfeval(command, *given, f'--{option}={name}')
  assert (code, out) == (2, '')
  assert err.startswith(f'tfeval: --{option}={name}') and words in err, err
  assert sorted(os.listdir(folder)) == before
  if kind == 'there':
    assert (folder / name).read_text() == 'mine'


def test_a_file_is_replaced_where_that_is_asked_for(tfeval, folder, store_run):
  run = store_run('net', [[1, 2, 3, 4, 5]], [1], where='runs/net').path
  for command, option in (('export', 'output'), ('score', 'per_class')):
    name, _, *given = WRITTEN[command, option]
    (folder / name).write_text('mine')
    code, _, err = tfeval(command, run, *given, f'--{option}={name}', '--overwrite')
    assert code == 0, err
    assert (folder / name).read_text().partition('\n')[0].count(',') > 5
