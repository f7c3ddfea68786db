"""Locks of directories and of files."""

import os
import subprocess
import sys
import threading

import pytest

from tfeval.utils import lock_file, locks
from tfeval.utils.errors import BeingWritten, UserError


def test_a_directory_has_one_writer(tmp_path):
  with locks.locked(tmp_path / 'made/run'):
    assert os.listdir(tmp_path / 'made/run') == ['.lock']
    with pytest.raises(BeingWritten, match='run is being written by another tfeval'):
      locks.locked(tmp_path / 'made/run').__enter__()
    (tmp_path / 'made/run/a').touch()
  assert os.listdir(tmp_path / 'made/run') == ['a']


def test_a_directory_that_stays_empty_is_gone(tmp_path):
  (tmp_path / 'there').mkdir()
  with pytest.raises(ZeroDivisionError), locks.locked(tmp_path / 'made/run'):
    raise ZeroDivisionError
  with locks.locked(tmp_path / 'there'):
    pass
  assert os.listdir(tmp_path) == ['there']


def test_a_process_that_dies_holds_nothing(tmp_path):
  code = """if True:
    import pathlib, os, signal, sys
    from tfeval.utils import locks
    with locks.locked(pathlib.Path(sys.argv[1])):
      os.kill(os.getpid(), signal.SIGKILL)
    """
  assert subprocess.run([sys.executable, '-c', code, tmp_path]).returncode == -9
  assert os.listdir(tmp_path) == ['.lock']
  with locks.locked(tmp_path):
    locks.remove_abandoned(tmp_path)
    assert os.listdir(tmp_path) == ['.lock']
  assert os.listdir(tmp_path) == []


def test_an_abandoned_lock_is_removed(tmp_path):
  (tmp_path / '.lock').touch()
  locks.remove_abandoned(tmp_path)
  locks.remove_abandoned(tmp_path)
  assert os.listdir(tmp_path) == []


def test_the_lock_file_of_another_program_stays(tmp_path):
  (tmp_path / '.lock').write_text('4711')
  with locks.locked(tmp_path):
    pass
  locks.remove_abandoned(tmp_path)
  assert (tmp_path / '.lock').read_text() == '4711'


def test_a_directory_that_was_removed_is_another_one(tmp_path):
  """Who had the one before does not remove the lock of the next."""
  with locks.locked(tmp_path / 'run'):
    (tmp_path / 'run').rename(tmp_path / 'old')
    held = lock_file.take((tmp_path / 'run').with_name('lock'))
    (tmp_path / 'run').mkdir()
    os.rename(tmp_path / 'lock', tmp_path / 'run/.lock')
  assert os.listdir(tmp_path / 'run') == ['.lock']
  os.close(held)


@pytest.mark.parametrize('kind', ['link', 'pipe', 'directory'])
def test_what_is_no_lock_file_is_refused(tmp_path, kind):
  path, victim = tmp_path / '.lock', tmp_path / 'victim'
  victim.write_text('mine')
  if kind == 'link':
    path.symlink_to(victim)
  elif kind == 'pipe':
    os.mkfifo(path)  # Nobody writes to it.
  else:
    path.mkdir()
  for lock in (locks.locked(tmp_path), locks.one_at_a_time(path, 'testing')):
    with pytest.raises(
      UserError, match='a link, a pipe or a directory, expected a loc'
    ):
      lock.__enter__()
  locks.remove_abandoned(tmp_path)
  assert victim.read_text() == 'mine' and {*os.listdir(tmp_path)} == {'.lock', 'victim'}


def test_directories_are_removed_together_or_not_at_all(tmp_path):
  for name in 'ab':
    (tmp_path / 'runs' / name).mkdir(parents=True)
  with locks.locked(tmp_path / 'runs/b'):
    with pytest.raises(BeingWritten, match='runs/b is being written'):
      locks.remove_unused(tmp_path / 'runs')
    assert {*os.listdir(tmp_path / 'runs')} == {'a', 'b'}
    assert os.listdir(tmp_path / 'runs/a') == []
  locks.remove_unused(tmp_path / 'runs')
  locks.remove_unused(tmp_path / 'runs')
  assert os.listdir(tmp_path) == []


def test_one_at_a_time(tmp_path, caplog):
  caplog.set_level('INFO', 'tfeval')
  path, done = tmp_path / 'made/a.lock', []

  def other():
    with locks.one_at_a_time(path, 'testing'):
      done.append('other')

  with locks.one_at_a_time(path, 'testing'):
    thread = threading.Thread(target=other)
    thread.start()
    thread.join(0.2)
    assert thread.is_alive()
    done.append('first')
  thread.join(10)
  assert done == ['first', 'other']
  assert caplog.messages == ['another process is testing: waiting for it']
