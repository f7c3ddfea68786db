"""What a callback keeps: of one fit at a time, whatever kills have left."""

import json
import os

import pytest

from tfeval.keras import history
from tfeval.keras.history import History
from tfeval.runs import run
from tfeval.utils import files, locks
from tfeval.utils.errors import BeingWritten, UserError

VALUES = {1: 0.5, 2: 0.9, 3: 0.7, 4: 0.95}


class Killed(BaseException):
  """As SIGKILL, no Exception."""


@pytest.fixture
def stored(store_run):
  return store_run('m', [1, 2], [1, 0])


def write(stored, directory):
  """Writes a run in the order in which an evaluation does."""
  with locks.locked(directory):
    for name in ('manifest.json', 'result.json'):
      files.write_atomically(directory / name, (stored.path / name).read_bytes())
  return run.load_run(directory)


def train(stored, output_dir):
  kept = History(output_dir, {}, 'val_top1')
  for step, value in VALUES.items():
    made = write(stored, kept.step_directory(step) / 'm')
    entry = {'step': step, 'epoch': 0, 'metrics': {'val_top1': value}, 'counts': {}}
    kept.add(entry, made)
  kept.close()


@pytest.mark.filterwarnings('ignore::pytest.PytestUnraisableExceptionWarning')
@pytest.mark.parametrize('every', [17, pytest.param(1, marks=pytest.mark.slow)])
def test_a_fit_that_was_killed_at_any_step(stored, tmp_path, monkeypatch, every):
  """The next one finds the best run so far, and removes what is left."""
  for number in range(0, 300, every):
    directory, left = tmp_path / f'{number}', [number]

    def dying(call, left=left):
      def step(*arguments, **named):
        left[0] -= 1
        if left[0] < 0:
          raise Killed
        return call(*arguments, **named)

      return step

    with monkeypatch.context() as patched:
      for name in ('mkdir', 'rename', 'replace', 'rmdir', 'unlink'):
        patched.setattr(os, name, dying(getattr(os, name)))
      try:
        train(stored, directory)
      except Killed:
        pass
      else:
        break
    train(stored, directory)
    assert {one.name.removesuffix('.2') for one in directory.iterdir()} == {
      'history.json',
      'step-00000004',
    }, number
    entries = json.loads((directory / 'history.json').read_text())['evaluations']
    assert [bool(one['run']) for one in entries].count(True) == 1
    assert not [*directory.rglob('.*')], number
  assert number > 50


def test_another_process_has_a_fit_there(tmp_path):
  with locks.locked(tmp_path / 'out'):
    with pytest.raises(BeingWritten, match='out is being written by another tfeval'):
      History(tmp_path / 'out', {}, 'val_top1')


def test_of_this_process_the_last_fit_has_it(stored, tmp_path):
  """As in a notebook, where a cell was stopped and is run again."""
  first = History(tmp_path / 'out', {}, 'val_top1')
  second = History(tmp_path / 'out', {}, 'val_top1')
  with pytest.raises(UserError, match='another fit of this process has taken'):
    first.step_directory(1)
  first.close()
  with pytest.raises(BeingWritten):
    locks.locked(tmp_path / 'out').__enter__()
  second.close()
  assert not history._of_this_process


def test_a_run_that_is_being_written_is_not_removed(stored, tmp_path):
  kept = History(tmp_path / 'out', {}, 'val_top1')
  with locks.locked(tmp_path / 'out/step-00000001/m'):
    with pytest.raises(BeingWritten, match='step-00000001/m is being written'):
      kept.step_directory(1)
