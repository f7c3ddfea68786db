"""What evaluations add to the logs of a fit, and what those who follow it see."""

import frameworks
import keras
import numpy as np
import pytest
from fits import SIZE, callback, fit, small

import tfeval
from tfeval.keras.schedule import Schedule
from tfeval.utils.errors import UserError


class Seen(keras.callbacks.Callback):
  """Keeps what logs have of ours, and the weights there."""

  def __init__(self, name):
    super().__init__()
    self.name, self.batches, self.epochs = name, [], []

  def on_epoch_begin(self, epoch, logs=None):
    self.epoch = epoch

  def on_train_batch_end(self, batch, logs=None):
    if self.name in logs:
      self.batches.append((self.epoch, batch, logs[self.name]))
      self.weights = getattr(self, 'weights', []) + [self.model.get_weights()]

  def on_epoch_end(self, epoch, logs=None):
    self.epochs.append(logs.get(self.name))


def test_each_evaluation_reaches_the_logs_of_batches_and_epochs(noise, tmp_path):
  found = callback(noise, every_steps=3, metrics=['top1', 'loss'])
  seen = Seen('val_loss')
  saved = keras.callbacks.ModelCheckpoint(
    str(tmp_path / 'best.keras'),
    monitor='val_loss',
    mode='min',
    save_best_only=True,
    save_freq=3,
  )
  stop = keras.callbacks.EarlyStopping('val_loss', patience=1, baseline=0.0)
  history = fit(small(), found, seen, saved, stop, epochs=9)
  values = [one['metrics']['val_loss'] for one in found.history]
  # Two batches in an epoch: steps 3 and 6 are a first and a second one. Nothing is
  # below 0, so that the second value ends the fit.
  assert [one['step'] for one in found.history] == [3, 6]
  assert seen.batches == [(1, 0, values[0]), (2, 1, values[1])]
  assert seen.epochs == [None, *values] and history['val_loss'] == values
  best = keras.models.load_model(tmp_path / 'best.keras').get_weights()
  kept = seen.weights[int(np.argmin(values))]
  assert all(map(np.array_equal, best, kept))


@pytest.mark.parametrize(
  'ours, theirs, words',
  [
    (
      {'every_steps': 2},
      {'save_freq': 3},
      'ModelCheckpoint saves every 3 batches, and not each of them has an evaluation',
    ),
    ({}, {'save_freq': 2}, 'saves every 2 batches, and not each of them'),
    (
      {'every_epochs': 2},
      {},
      'ModelCheckpoint takes any model for the best after an epoch without val_top1',
    ),
    (
      {},
      {'mode': 'auto'},
      "monitors val_top1, and Keras does not know .* give it mode='max'",
    ),
  ],
)
def test_a_best_model_that_would_be_none_is_refused(noise, ours, theirs, words):
  model = small()
  how = {'monitor': 'val_top1', 'mode': 'max', 'save_best_only': True, **theirs}
  with pytest.raises(UserError, match=words) as caught:
    fit(
      model,
      callback(noise, **ours),
      keras.callbacks.ModelCheckpoint('x.keras', **how),
    )
  assert '\n' not in str(caught.value) and int(model.optimizer.iterations) == 0


def test_those_who_take_all_logs_and_stand_before_are_named(noise, caplog):
  class WandbMetricsLogger(keras.callbacks.Callback):
    log_freq = 10

    def on_batch_end(self, batch, logs=None):
      print({f'batch/{name}': value for name, value in logs.items()} if logs else {})

  class OfLoss(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
      logs = logs or {}
      print(logs['loss'], logs.get('accuracy'))

  found, stop = callback(noise, every_steps=2), keras.callbacks.EarlyStopping('loss')
  steady = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate)
  fit(small(), WandbMetricsLogger(), OfLoss(), stop, steady, found)
  (line,) = [line for line in caplog.messages if 'stands before' in line]
  assert line == (
    'WandbMetricsLogger stands before EvaluateCallback, so it does not see val_top1, '
    'val_top5: put EvaluateCallback first in callbacks'
  )
  caplog.clear()
  fit(small(), found, WandbMetricsLogger(), OfLoss())
  assert [line for line in caplog.messages if 'Wandb' in line] == [
    'WandbMetricsLogger logs every 10 batches, and seldom those of evaluations: give '
    "it log_freq='batch'"
  ]


@frameworks.marked('wandb')
def test_weights_and_biases_has_each_evaluation(noise, tmp_path, monkeypatch):
  import wandb
  from wandb.integration.keras import WandbMetricsLogger

  monkeypatch.chdir(tmp_path)
  found, logged = callback(noise, every_steps=2), []
  with wandb.init(mode='offline', dir=tmp_path, settings={'silent': True}):
    monkeypatch.setattr(wandb, 'log', lambda values: logged.append(values))
    every_batch = WandbMetricsLogger(log_freq='batch')
    fit(small(), found, every_batch, epochs=2)
  values = [one['metrics']['val_top5'] for one in found.history]
  for name in ('batch/val_top5', 'epoch/val_top5'):
    assert [one[name] for one in logged if name in one] == values


def test_names_of_validation_data_are_not_replaced(noise, caplog):
  x, y = np.zeros((4, SIZE, SIZE, 3)), np.zeros(4)

  model = small()
  model.compile(model.optimizer, model.loss, metrics=[tfeval.keras.TopK(1)])
  # Always class 0, the label of all of these and of none of the noise.
  model.layers[-1].bias.assign([1e9] + [0] * 999)
  line = (
    'validation_data of this fit logs val_top1 too, which stays in the logs, and '
    "EvaluateCallback adds none: give it prefix='val_full_', say"
  )
  found = callback(noise, every_steps=1)
  begin = keras.callbacks.LambdaCallback(
    on_epoch_begin=lambda epoch, logs: before.append(caplog.messages.count(line))
  )
  before, seen = [], Seen('val_top1')
  history = fit(model, begin, found, seen, validation_data=(x, y), epochs=2)
  assert before == [1, 1] and 'something else' not in caplog.text
  assert history['val_top1'] == [1, 1]
  assert found.history[-1]['metrics']['val_top1'] == 0
  assert 'val_top5' in history and not seen.batches


def test_what_a_step_of_ones_own_logs_is_not_replaced(noise, caplog):
  class Own(keras.Model):
    def train_step(self, data):
      return super().train_step(data) | {'val_top1': 0.5}

  model = small()
  own = Own(model.inputs, model.outputs)
  own.compile(model.optimizer, model.loss)
  history = fit(own, callback(noise), epochs=2)
  assert history['val_top1'] == [0.5, 0.5] and len(history['val_top5']) == 2
  assert caplog.text.count('something else logs val_top1, which stays in the logs') == 1


def test_a_model_that_keras_cannot_compare_yet_is_refused(noise, tmp_path):
  def train(**how):
    saved = keras.callbacks.ModelCheckpoint(
      tmp_path / 'best.keras',
      monitor='val_top1',
      mode='max',
      save_best_only=True,
      save_freq=1,
    )
    for key, value in how.items():
      setattr(saved, key, value)
    found = callback(noise, every_steps=1)
    fit(small(), found, saved)
    return found.history

  with pytest.raises(UserError, match='fails at the second value .* monitor_op: set'):
    train()
  assert len(train(monitor_op=keras.ops.greater)) == 2
  # Keras itself ends such a fit with a traceback: should it not, the rule can go.
  saved = keras.callbacks.ModelCheckpoint(
    tmp_path / 'best.keras', 'loss', mode='min', save_best_only=True, save_freq=1
  )
  with pytest.raises(TypeError, match='not callable'):
    fit(small(), saved)


def test_averages_that_are_logged_as_weights_are_told(noise, caplog):
  for is_first in (True, False):
    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
    ours = callback(noise)
    fit(small(use_ema=True), *([ours, swap] if is_first else [swap, ours]))
    told = 'logs the averages of the weights as val_top1' in caplog.text
    assert told is not is_first


def test_a_metric_of_an_own_test_step_is_told_before_the_fit(noise, caplog):
  class Own(keras.Model):
    def test_step(self, data):
      images, labels = data
      self.top1.update_state(labels, self(images, training=False))
      return {'top1': self.top1.result()}

  model = small()
  own = Own(model.inputs, model.outputs)
  own.top1 = keras.metrics.SparseTopKCategoricalAccuracy(1, name='top1')
  own.compile(model.optimizer, model.loss)
  images, labels = np.zeros((4, 32, 32, 3), np.float32), np.zeros(4)
  fit(own, callback(noise), validation_data=(images, labels))
  assert 'validation_data of this fit logs val_top1 too' in caplog.text
  assert 'something else logs' not in caplog.text


def test_averages_are_evaluated_on_either_side_of_swap_ema_weights(noise):
  found = []
  for is_first in (True, False):
    ours = callback(noise, ema=True, metrics=['top1', 'loss'])
    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
    model = small(use_ema=True, ema_momentum=0.5)
    fit(model, *([ours, swap] if is_first else [swap, ours]), epochs=2)
    found.append([one['metrics']['val_loss'] for one in ours.history])
  # `test_callback` holds those before it against a copy of the model. Keras would have
  # weights in place of averages in each epoch but the last.
  assert found[0] == found[1] and len({*found[0]}) == 2


def test_when_epochs_and_batches_have_an_evaluation():
  assert Schedule(1, None).is_in_each_epoch and Schedule(1, 7).is_at_ends
  assert Schedule(2, None).is_in_each_epoch is False
  assert Schedule(None, 5, batches=None).is_in_each_epoch is None
  assert Schedule(None, 5, batches=4).is_in_each_epoch is False
  assert Schedule(None, 5, batches=12).is_in_each_epoch is True
  assert Schedule(None, 5, batches=12).is_at_ends is False
  assert Schedule(None, 5, batches=10).is_at_ends is True
  assert Schedule(None, 5, batches=10, first_step=3).is_at_ends is False
  assert Schedule(None, 5, batches=10, batches_in_step=4).is_in_each_epoch is False
  assert Schedule(None, 5).is_at_each(10) and not Schedule(None, 5).is_at_each(12)
  assert not Schedule(None, 5, first_step=1).is_at_each(10)
  assert not Schedule(None, 5, batches_in_call=2).is_at_each(10)
