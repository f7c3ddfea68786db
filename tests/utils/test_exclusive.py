"""Files that one of several processes makes, whatever the file system."""

import errno
import os
import pathlib
import subprocess
import sys

import pytest
import tensorflow as tf

from tfeval.utils import exclusive, paths
from tfeval.utils.errors import NotWritten

PROCESSES, FILES = 6, 100
# Without TensorFlow: many start at once.
CREATING = """
import errno, os, pathlib, sys
from tfeval.utils import exclusive
root, name, links = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3] == 'links'
if not links:
  def refuse(*_, **__):
    raise OSError(errno.EPERM, 'no links here')
  os.link = refuse
print('ready', flush=True)
sys.stdin.readline()
content = f'{name} '.encode() * 1000
for i in range(int(sys.argv[4])):
  print(int(exclusive.create(root / f'{i % 10}/{i}', content)), end='')
"""


@pytest.fixture
def remote(tmp_path):
  root = paths.path(f'ram://{tmp_path.name}')
  root.mkdir(parents=True, exist_ok=True)
  yield root
  tf.io.gfile.rmtree(str(root))


@pytest.mark.parametrize('kind', ['links', 'no links'])
def test_one_of_many_processes_makes_each_file(tmp_path, kind):
  processes = [
    subprocess.Popen(
      [sys.executable, '-c', CREATING, tmp_path, f'process-{i}', kind, str(FILES)],
      text=True,
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
    )
    for i in range(PROCESSES)
  ]
  for process in processes:
    assert process.stdout.readline() == 'ready\n'
  for process in processes:
    process.stdin.write('go\n')
    process.stdin.flush()
  made = [process.communicate(timeout=60)[0] for process in processes]
  assert [process.returncode for process in processes] == [0] * PROCESSES
  for i in range(FILES):
    (winner,) = [k for k, one in enumerate(made) if one[i] == '1']
    content = (tmp_path / f'{i % 10}/{i}').read_text()
    assert content == f'process-{winner} ' * 1000
  # Nothing is left of those that lost.
  assert len([path for path in tmp_path.rglob('*') if path.is_file()]) == FILES


@pytest.mark.parametrize('number', [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
def test_file_systems_without_hard_links(tmp_path, monkeypatch, number):
  def refuse(*_, **__):
    raise OSError(number, os.strerror(number))

  monkeypatch.setattr(os, 'link', refuse)
  path = tmp_path / 'claims/1'
  assert exclusive.create(path, b'first') and not exclusive.create(path, b'second')
  assert path.read_bytes() == b'first' and os.listdir(path.parent) == ['1']


def test_a_disk_that_is_full_is_told_and_makes_no_file(tmp_path, monkeypatch):
  def full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

  path = tmp_path / 'claim'
  with monkeypatch.context() as patched:
    patched.setattr(pathlib.Path, 'write_bytes', full)
    with pytest.raises(NotWritten, match='^cannot write .*claim: No space left'):
      exclusive.create(path, b'x')
  assert not os.listdir(tmp_path)
  assert exclusive.create(path, b'x')


def test_a_link_to_nothing_is_there(tmp_path):
  (tmp_path / 'claim').symlink_to('nowhere')
  assert not exclusive.create(tmp_path / 'claim', b'x')
  assert not (tmp_path / 'nowhere').exists()


def test_of_stores_without_a_condition_who_comes_later_makes_nothing(remote):
  path = remote / 'claims' / '1'
  assert exclusive.create(path, b'first') and not exclusive.create(path, b'second')
  assert path.read_bytes() == b'first'
