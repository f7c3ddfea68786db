"""A small model, a `fit` of it, and callbacks beside EvaluateCallback."""

import keras
import numpy as np

from tfeval.keras import EvaluateCallback

SIZE = 32
STEPS = 2  # In an epoch.


def small(**optimizer):
  keras.utils.set_random_seed(0)
  inputs = keras.Input((SIZE, SIZE, 3), name='images')
  x = keras.layers.Conv2D(4, 3, strides=2)(inputs)
  x = keras.layers.BatchNormalization()(x)
  x = keras.layers.GlobalAveragePooling2D()(x)
  model = keras.Model(inputs, keras.layers.Dense(1000)(x), name='small')
  model.compile(
    keras.optimizers.SGD(0.5, **optimizer),
    keras.losses.SparseCategoricalCrossentropy(from_logits=True),
  )
  return model


def fit(model, *callbacks, epochs=1, **arguments):
  random = np.random.default_rng(0)
  images = random.random((4 * STEPS, SIZE, SIZE, 3), np.float32)
  return model.fit(
    images,
    random.integers(0, 1000, 4 * STEPS),
    batch_size=4,
    epochs=epochs,
    verbose=0,
    callbacks=list(callbacks),
    **arguments,
  ).history


def callback(noise, **arguments):
  return EvaluateCallback(
    f'folder:{noise}',
    **{'preprocess': 'tf', 'batch_size': 4, 'protocol': 'squash', **arguments},
  )


class Weights(keras.callbacks.Callback):
  """Keeps a copy of the weights at the end of each epoch, and the logs there."""

  def __init__(self):
    super().__init__()
    self.weights, self.logs = [], []

  def on_epoch_end(self, epoch, logs=None):
    self.weights.append(self.model.get_weights())
    self.logs.append(dict(logs))
