"""Steps of a fit are those of its optimizer."""

import keras
import pytest
import tensorflow as tf
from fits import STEPS, callback, fit, small

import tfeval


@pytest.mark.parametrize(
  'optimizer, execution', [({'gradient_accumulation_steps': 2}, 1), ({}, 3)]
)
def test_steps_are_those_of_the_optimizer(noise, optimizer, execution):
  model = small(**optimizer)
  model.compile(model.optimizer, model.loss, steps_per_execution=execution)
  seen = []

  class Seen(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
      seen.append(int(self.model.optimizer.iterations))

  found = callback(noise, every_epochs=1)
  fit(model, found, Seen(), epochs=3)
  assert [entry['step'] for entry in found.history] == seen
  between = callback(noise, every_steps=1)
  fit(model, between, epochs=2)
  steps = [entry['step'] for entry in between.history]
  assert steps == sorted(set(steps)) and steps[-1] == int(model.optimizer.iterations)


def test_an_optimizer_that_takes_no_step(noise, caplog):
  class Own(keras.Model):
    def train_step(self, data):
      x, y = data
      with tf.GradientTape() as tape:
        loss = tf.reduce_mean(self.loss(y, self(x, training=True)))
      own.apply_gradients(
        zip(
          tape.gradient(loss, self.trainable_variables),
          self.trainable_variables,
          strict=True,
        )
      )
      return {'loss': loss}

  own, inner = keras.optimizers.SGD(0.5), small()
  model = Own(inner.inputs, inner.outputs)
  model.compile(loss=inner.loss)
  found = callback(noise, metrics=['top1', 'nll'])
  direct = []

  class Direct(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
      direct.append(logs['val_nll'])
      assert (
        logs['val_nll']
        == tfeval.evaluate(
          self.model,
          f'folder:{noise}',
          preprocess='tf',
          preflight='off',
          protocol='squash',
          batch_size=4,
        ).score(metrics=['nll'])[0]['value']
      )

  fit(model, found, Direct(), epochs=3)
  assert len(set(direct)) == 3  # It learns.
  assert [entry['step'] for entry in found.history][1:] == [2 * STEPS, 3 * STEPS]
  assert 'batches are counted as steps' in caplog.text
