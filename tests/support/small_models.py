"""Small models, and what tests of loading share."""

import h5py
import keras
import numpy as np
import pytest
from keras.src.legacy.saving import legacy_h5_format

from tfeval.models import loading
from tfeval.utils.errors import UserError

SIZE = 32
NAME = 'MobileNet:alpha=0.25'
IDENTITY = {'preprocess': 'identity'}


def load(text, weights='imagenet', **hints):
  return loading.load_model(text, weights, **hints)


def refused(words, text, weights='imagenet', **hints):
  """Holds that a model is refused in one line that has some words in it."""
  with pytest.raises(UserError, match=words) as caught:
    load(text, weights, **hints)
  assert '\n' not in str(caught.value)
  return str(caught.value)


def build(activation=None, size=(SIZE, SIZE), classes=1000):
  """A small classifier with random weights."""
  inputs = keras.Input((*size, 3))
  x = keras.layers.Conv2D(4, 3, strides=2)(inputs)
  x = keras.layers.BatchNormalization()(x)
  x = keras.layers.ReLU()(x)
  x = keras.layers.GlobalAveragePooling2D()(x)
  x = keras.layers.Dense(classes, activation=activation)(x)
  return keras.Model(inputs, x)


def save_legacy_weights(model, path):
  """Writes the layout of Keras 2 and of the files that Keras publishes."""
  with h5py.File(path, 'w') as file:
    legacy_h5_format.save_weights_to_hdf5_group(file, model)
  return path


def same_weights(a, b):
  return len(a.weights) == len(b.weights) and all(
    np.array_equal(x, y) for x, y in zip(a.get_weights(), b.get_weights(), strict=True)
  )
