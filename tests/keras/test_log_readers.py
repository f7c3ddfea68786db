"""Which hooks of callbacks look into their logs."""

import keras
import pytest

from tfeval.keras.log_readers import AT_BATCHES, AT_EPOCHS, reads_any


class Takes(keras.callbacks.Callback):
  def on_epoch_end(self, epoch, logs=None):
    logs = logs or {}
    if 'val_top1' in logs and logs['loss'] < (logs or {}).get('best', 1):
      logs['rate'] = 1
      logs.update(done=True)


class OnlyLoss(keras.callbacks.Callback):
  def on_epoch_end(self, epoch, logs=None):
    if logs is not None and not self.best < logs['loss']:
      self.best = logs.get('loss')
      logs['best'] = self.best


class Copies(keras.callbacks.Callback):
  def on_batch_end(self, batch, logs=None):
    self.logs = {name: value for name, value in logs.items()}


class CallsSuper(keras.callbacks.CSVLogger):
  def on_epoch_end(self, epoch, logs=None):
    super().on_epoch_end(epoch, logs=logs)


class Steady(keras.callbacks.LearningRateScheduler):
  def on_epoch_end(self, epoch, logs=None):
    super().on_epoch_end(epoch, logs)


class Anything(keras.callbacks.Callback):
  def on_epoch_end(self, *given):
    print(given)


def function(epoch, logs):
  return logs['val_top1']


def of(**hooks):
  return keras.callbacks.LambdaCallback(**hooks)


@pytest.mark.parametrize(
  'callback, at_epochs, at_batches',
  [
    (Takes(), True, False),
    (OnlyLoss(), False, False),
    (Copies(), False, True),
    (CallsSuper('log.csv'), True, False),
    (Steady(lambda epoch: 1.0), False, False),
    (Anything(), True, False),
    (keras.callbacks.Callback(), False, False),
    (keras.callbacks.TensorBoard('logs'), True, True),
    (keras.callbacks.BackupAndRestore('backup'), False, False),
    (keras.callbacks.TerminateOnNaN(), False, False),
    (keras.callbacks.SwapEMAWeights(), False, False),
    (keras.callbacks.RemoteMonitor(), True, False),
    (of(on_epoch_end=lambda epoch, logs: print(epoch)), False, False),
    (of(on_epoch_end=lambda epoch, logs: print(logs)), True, False),
    (of(on_epoch_end=lambda epoch, logs: [n for n in [1] if n in logs]), True, False),
    (of(on_epoch_end=function, on_train_batch_end=print), True, True),
  ],
)
def test_those_that_look_for_what_is_logged(callback, at_epochs, at_batches):
  names = ['val_top1', 'val_top5']
  assert reads_any(callback, AT_EPOCHS, names) == at_epochs
  assert reads_any(callback, AT_BATCHES, names) == at_batches
