"""What other callbacks of a fit see of what EvaluateCallback logs."""

import glob

import keras
import numpy as np
import pytest
from fits import SIZE, Weights, callback, fit, small

import tfeval
from tfeval.utils.errors import UserError


def monitoring(name):
  return keras.callbacks.EarlyStopping(name, mode='max')


def test_those_behind_it_see_the_logs(noise, tmp_path):
  model, seen = small(), Weights()
  fit(
    model,
    callback(noise),
    seen,
    keras.callbacks.CSVLogger(str(tmp_path / 'log.csv')),
    keras.callbacks.EarlyStopping('val_top1', mode='max', patience=1),
    keras.callbacks.ModelCheckpoint(
      str(tmp_path / '{epoch}-{val_top1:.2f}.keras'), monitor='val_top1', mode='max'
    ),
    epochs=9,
  )
  assert 2 <= len(seen.logs) < 9  # Stopped: noise is not learned.
  assert all({'loss', 'val_top1', 'val_top5'} <= logs.keys() for logs in seen.logs)
  header, *lines = (tmp_path / 'log.csv').read_text().splitlines()
  assert header == 'epoch,loss,val_top1,val_top5' and len(lines) == len(seen.logs)
  assert len(glob.glob(str(tmp_path / '1-?.??.keras'))) == 1


@pytest.mark.parametrize(
  'make, words',
  [
    (
      lambda found: [monitoring('val_top1'), found],
      'EarlyStopping monitors val_top1 and stands before EvaluateCallback',
    ),
    (
      lambda found: [found, monitoring('val_real_top1')],
      'EarlyStopping monitors val_real_top1, which is never logged: EvaluateCallback '
      'logs val_top1, val_top5 with',
    ),
    (
      lambda found: [
        found,
        keras.callbacks.ModelCheckpoint('x.keras', monitor='val_ece'),
      ],
      'ModelCheckpoint monitors val_ece, which is',
    ),
  ],
)
def test_what_is_never_seen_stops_before_training(noise, make, words):
  model = small()
  before = model.get_weights()
  with pytest.raises(UserError, match=words) as caught:
    fit(model, *make(callback(noise)))
  assert '\n' not in str(caught.value)
  assert all(map(np.array_equal, before, model.get_weights()))


def test_what_others_log_may_be_monitored(noise):
  model = small()
  model.compile('sgd', 'mse', metrics=[tfeval.keras.RealTop1(name='real_top1')])
  x, y = np.zeros((4, SIZE, SIZE, 3)), np.zeros((4, 1000))
  history = model.fit(
    x,
    y,
    validation_data=(x, y),
    verbose=0,
    callbacks=[callback(noise), monitoring('val_real_top1'), monitoring('val_loss')],
  ).history
  assert {'val_top1', 'val_real_top1', 'val_loss'} <= history.keys()


def top3(labels, outputs):
  return 0.0


class Unsaved(keras.losses.SparseCategoricalCrossentropy):
  def get_config(self):
    raise TypeError('something that is not to be saved')


@pytest.mark.parametrize('loss', [keras.losses.SparseCategoricalCrossentropy, Unsaved])
def test_functions_may_be_monitored_whatever_else_is_compiled(noise, loss, caplog):
  model = small()
  model.compile('sgd', loss(from_logits=True), metrics=[lambda *_: 0.0, top3])
  history = fit(model, callback(noise), monitoring('val_top3'))
  assert {'top3', 'val_top1'} <= history.keys()
  assert 'never logged' not in caplog.text


def test_a_logger_before_it_is_named(noise, caplog, tmp_path):
  fit(small(), keras.callbacks.CSVLogger(str(tmp_path / 'log.csv')), callback(noise))
  assert (
    'CSVLogger stands before EvaluateCallback, so it does not see '
    'val_top1, val_top5: put EvaluateCallback first'
  ) in caplog.text


def test_two_in_one_fit_need_names_of_their_own(noise):
  model = small(use_ema=True)
  with pytest.raises(UserError, match='two callbacks log val_top1 and so on'):
    fit(model, callback(noise), callback(noise, ema=True))
  for monitor in ('val_top1', 'val_ema_top1'):
    history = fit(
      model,
      callback(noise),
      callback(noise, ema=True, prefix='val_ema_'),
      keras.callbacks.EarlyStopping(monitor, mode='max'),
    )
    assert {'val_top1', 'val_ema_top1'} <= set(history)
  with pytest.raises(UserError, match='monitors val_ema_top3, which is never logged'):
    fit(
      model,
      callback(noise),
      callback(noise, ema=True, prefix='val_ema_'),
      keras.callbacks.EarlyStopping('val_ema_top3', mode='max'),
    )


def test_a_csv_file_has_the_columns_of_the_first_epoch(noise, tmp_path, caplog):
  fit(
    small(),
    callback(noise, every_epochs=2),
    keras.callbacks.CSVLogger(str(tmp_path / 'log.csv')),
    epochs=2,
  )
  assert 'CSVLogger writes what the first epoch logs' in caplog.text
  assert 'val_top1' not in (tmp_path / 'log.csv').read_text()


def test_names_that_nothing_logs(noise, caplog):
  with pytest.raises(UserError, match='monitors val_top3, which is never logged'):
    fit(small(), callback(noise), keras.callbacks.EarlyStopping('val_top3', mode='max'))
  for monitor in ('val_topp1', 'top1'):
    fit(small(), callback(noise), keras.callbacks.EarlyStopping(monitor, mode='max'))
    assert (
      f'unless something else logs it, EarlyStopping monitors {monitor}, which '
      'is never logged'
    ) in caplog.text


def test_names_that_steps_of_ones_own_log(noise):
  class Own(keras.Model):
    def train_step(self, data):
      return super().train_step(data) | {'val_top3': 0.5}

  model = small()
  own = Own(model.inputs, model.outputs)
  own.compile(model.optimizer, model.loss)
  fit(own, callback(noise), keras.callbacks.EarlyStopping('val_top3', mode='max'))


@pytest.mark.parametrize('every', [None, 2])
def test_a_file_name_of_what_is_not_logged_yet(noise, tmp_path, every):
  callbacks = [
    callback(noise, every_epochs=every),
    keras.callbacks.ModelCheckpoint(str(tmp_path / '{epoch}-{val_top1:.2f}.keras')),
  ]
  with pytest.raises(UserError, match='ModelCheckpoint needs val_top1 for its file'):
    fit(small(), *(callbacks if every else callbacks[::-1]))


def test_callbacks_keep_their_runs_apart(noise, tmp_path):
  with pytest.raises(UserError, match='give each an output_dir of its own'):
    fit(
      small(),
      callback(noise, output_dir=tmp_path),
      callback(noise, output_dir=tmp_path, prefix='val_part_', limit=5),
    )


def test_weighted_metrics_may_be_monitored(noise):
  model = small()
  model.compile(model.optimizer, model.loss, weighted_metrics=[tfeval.keras.TopK(3)])
  fit(model, callback(noise), keras.callbacks.EarlyStopping('top3', mode='max'))
