"""Disks that are full, Ctrl-C, and other processes, in the middle of a fit."""

import errno
import math
import os
import signal
import subprocess
import sys

import colours
import keras
import numpy as np
import pytest
from colours import callback, fit, layers, loss

from tfeval.keras import ema
from tfeval.utils import files
from tfeval.utils.errors import UserError


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  return colours.write_folder(tmp_path_factory.mktemp('colours'), per_class=2)


def model(**optimizer):
  keras.utils.set_random_seed(0)
  found = keras.Sequential([keras.Input((32, 32, 3)), *layers()], name='small')
  found.compile(keras.optimizers.SGD(0.1, **optimizer), loss())
  return found


class Full(keras.callbacks.Callback):
  """Fills a disk from one epoch on, and makes room again later."""

  def __init__(self, monkeypatch, directories, epochs):
    super().__init__()
    self.patch, self.directories, self.epochs = monkeypatch, directories, epochs

  def on_epoch_begin(self, epoch, logs=None):
    write = files._write_local

    def fails(path, content):
      if any(str(path).startswith(str(one)) for one in self.directories):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
      write(path, content)

    if epoch == self.epochs[0]:
      self.patch.setattr(files, '_write_local', fails)
    elif epoch == self.epochs[1]:
      self.patch.undo()


def test_a_full_disk_in_the_middle(folder, tmp_path, monkeypatch, caplog):
  expected = model()
  values = fit(expected, callback(folder), epochs=4)['val_top1']
  trained = model()
  found = callback(folder, output_dir=tmp_path)
  full = Full(monkeypatch, [tmp_path], (1, 3))
  history = fit(trained, full, found, epochs=4)
  assert history['val_top1'] == values
  assert all(map(np.array_equal, trained.get_weights(), expected.get_weights()))
  lines = [line for line in caplog.messages if 'No space left' in line]
  assert [line.split(':')[0] for line in lines] == [
    'the predictions of step 8 are not kept',
    'step 8 is not in history.json',
    'the predictions of step 12 are not kept',
    'step 12 is not in history.json',
  ]
  # With room again, all are written.
  again = callback(folder, output_dir=tmp_path)
  fit(trained, again, epochs=1)
  assert [entry['step'] for entry in again.history] == [4, 8, 12, 16, 20]
  assert [entry['metrics']['val_top1'] for entry in again.history][:4] == values


def test_no_room_anywhere(folder, tmp_path, monkeypatch, caplog):
  monkeypatch.setattr('tempfile.tempdir', str(tmp_path))
  found = callback(folder, output_dir=tmp_path / 'out')
  full = Full(monkeypatch, [tmp_path], (1, 9))
  saved = tmp_path / 'saved-{val_top1:.2f}.weights.h5'
  save = keras.callbacks.ModelCheckpoint(str(saved), save_weights_only=True)
  history = fit(model(), full, found, save, epochs=2)
  assert math.isnan(history['val_top1'][1]) and not math.isnan(history['val_top1'][0])
  assert 'val_top1 of step 8 are lost, the training goes on: ' in caplog.text
  assert [entry['step'] for entry in found.history] == [4]


def test_another_error_ends_the_fit(folder, monkeypatch):
  trained = model()
  trained.layers[-1].bias.assign([np.nan] * colours.CLASSES)
  with pytest.raises(UserError, match='returns NaN'):
    fit(trained, callback(folder))


@pytest.fixture
def interruptible():
  """Of a shell that starts it in the background a process ignores SIGINT."""
  before = signal.signal(signal.SIGINT, signal.default_int_handler)
  yield
  signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures('interruptible')
@pytest.mark.parametrize('phase', ['averages', 'evaluation', 'weights'])
def test_weights_are_put_back_after_an_interrupt(folder, tmp_path, monkeypatch, phase):
  trained = model(use_ema=True, ema_momentum=0.5)
  found, kept = callback(folder, ema=True, output_dir=tmp_path), []
  left = [math.inf]

  def interrupting(call):
    def step(*arguments):
      left[0] -= 1
      if left[0] == 0:
        signal.raise_signal(signal.SIGINT)
      return call(*arguments)

    return step

  class Kept(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
      kept.append(self.model.get_weights())
      variables = len(self.model.trainable_variables)
      kind = type(self.model.trainable_variables[0])
      if phase == 'evaluation':
        left[0] = 1
        interrupted = interrupting(found._evaluator._forward.submit)
        monkeypatch.setattr(found._evaluator._forward, 'submit', interrupted)
      else:
        left[0] = 2 if phase == 'averages' else variables + 2
        monkeypatch.setattr(kind, 'assign', interrupting(kind.assign))

  with pytest.raises(KeyboardInterrupt) as caught:
    fit(trained, Kept(), found)
  monkeypatch.undo()
  assert left[0] <= 0 and 'goes on from there' not in str(caught.value)
  assert phase != 'evaluation' or not list(tmp_path.glob('step-*'))
  assert all(map(np.array_equal, kept[0], trained.get_weights()))
  assert not all(
    np.array_equal(weight, average)
    for weight, average in zip(
      kept[0], trained.optimizer._model_variables_moving_average, strict=True
    )
  )
  # And the next fit goes on in the same place.
  again = fit(trained, found, epochs=1)
  assert len(again['val_top1']) == 1


def test_ctrl_c_twice_while_weights_are_put_back(monkeypatch):
  trained = model(use_ema=True)
  trained.train_on_batch(*(one[:8] for one in colours.pixels(2, 0)))
  before = trained.get_weights()
  kind, assign = type(trained.trainable_variables[0]), []
  original = kind.assign

  def interrupted(*arguments):
    assign.append(1)
    if len(assign) > 4:
      signal.raise_signal(signal.SIGINT)
    return original(*arguments)

  monkeypatch.setattr(kind, 'assign', interrupted)
  with pytest.raises(KeyboardInterrupt):
    with ema.in_place_of_weights(trained):
      pass
  monkeypatch.undo()
  assert all(map(np.array_equal, before, trained.get_weights()))


HOLDS = """
import pathlib, sys, time
from tfeval.utils import locks
with locks.locked(pathlib.Path(sys.argv[1])):
  print('there', flush=True)
  sys.stdin.read()
"""


def test_two_processes_in_one_directory(folder, tmp_path):
  other = subprocess.Popen(
    [sys.executable, '-c', HOLDS, tmp_path],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
  )
  try:
    assert other.stdout.readline() == b'there\n'
    trained = model()
    with pytest.raises(UserError, match='is being written by another') as caught:
      fit(trained, callback(folder, output_dir=tmp_path))
    assert '\n' not in str(caught.value) and int(trained.optimizer.iterations) == 0
  finally:
    other.communicate()
  assert 'val_top1' in fit(trained, callback(folder, output_dir=tmp_path), epochs=1)
