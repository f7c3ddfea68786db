"""Layers and functions of the user's as preprocessing."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from in_memory import classes, evaluate, noise_pixels, small

from tfeval.models.keras import preprocess_function
from tfeval.utils.errors import UserError

MEAN, VARIANCE = [100.0, 120.0, 140.0], [900.0, 1600.0, 2500.0]
QUICK = 'slim:rounding=nearest'


def check(preprocess, size=8):
  return preprocess_function.check(preprocess, 'mine:normalise', 'net', size)


def never_called():
  return keras.layers.Normalization(mean=MEAN, variance=VARIANCE)


def adapted():
  layer = keras.layers.Normalization()
  image = np.array(MEAN) + np.array([[-1.0], [1.0]]) * np.sqrt(VARIANCE)
  layer.adapt(image[None, None].astype(np.float32))
  return layer


def of_more_layers():
  return keras.Sequential([keras.layers.Rescaling(1.0), never_called()])


@pytest.mark.parametrize('make', [never_called, adapted, of_more_layers])
def test_a_normalization_that_was_never_called(noise, make):
  layer, model = make(), small()
  run = evaluate(model, noise, preprocess=layer)
  normalised = (noise_pixels(noise) - MEAN) / np.sqrt(VARIANCE)
  scores = model.predict(normalised.astype(np.float32), verbose=0)
  assert classes(run) == np.argsort(-scores, 1, kind='stable')[:, :20].tolist()


def test_the_same_layer_in_a_new_object_is_the_same():
  assert check(never_called()) == check(never_called())
  other = keras.layers.Normalization(mean=MEAN, variance=[901.0, *VARIANCE[1:]])
  assert check(never_called()) != check(other)


@pytest.mark.parametrize(
  ('preprocess', 'words'),
  [
    (keras.layers.Normalization(), 'knows no mean and variance: adapt it'),
    (
      keras.Sequential([keras.layers.Normalization()]),
      'knows no mean and variance: adapt it',
    ),
    (keras.layers.Normalization, r'is the class Normalization.*`preprocess=Normal'),
    (
      keras.layers.Normalization(mean=[1.0, 2.0], variance=[1.0, 2.0]),
      'cannot run on',
    ),
    (lambda x: None, 'does not return a tensor'),
    (lambda x: x / missing, "cannot run on .*'missing' is not defined"),  # noqa: F821
  ],
)
def test_what_cannot_be_preprocessing(preprocess, words):
  with pytest.raises(UserError, match=words) as caught:
    check(preprocess)
  assert len(str(caught.value).splitlines()) == 1


def test_many_models_are_quiet(noise):
  said, logger = [], tf.get_logger()

  def hear(record):
    said.append(record.getMessage())
    return True

  logger.addFilter(hear)
  try:
    for number in range(6):  # TensorFlow would warn at the fifth.
      evaluate(small(number), noise, protocol=QUICK, preflight='warn', limit=4)
  finally:
    logger.removeFilter(hear)
  assert 'retracing' not in ' '.join(said)
