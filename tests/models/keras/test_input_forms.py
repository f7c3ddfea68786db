"""Inputs and outputs of Keras models and SavedModels in other forms than usual."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfeval.models import loading
from tfeval.utils.errors import UserError

KNOWN = {'preprocess': 'identity', 'output': 'logits'}
layers = keras.layers


@pytest.fixture(scope='module')
def pixels():
  return np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3)).astype(np.uint8)


def saved(model, path, form):
  if form == 'keras':
    model.save(path / 'model.keras')
    return str(path / 'model.keras')
  model.export(path / 'saved', verbose=False)
  return str(path / 'saved')


def channels_first():
  images = keras.Input((3, 32, 32))
  return keras.Model(images, layers.Dense(10)(layers.Flatten()(images)))


def whole():
  images = keras.Input((32, 32, 3), dtype='uint8')
  scaled = layers.Rescaling(1 / 255)(images)
  return keras.Model(images, layers.Dense(10)(layers.Flatten()(scaled)))


def convolved():
  images = keras.Input((32, 32, 3))
  return keras.Model(images, layers.Conv2D(10, 32)(images))


@pytest.mark.parametrize('form', ['keras', 'saved_model'])
def test_channels_first(form, pixels, tmp_path):
  network = channels_first()
  model = loading.load_model(saved(network, tmp_path, form), **KNOWN)
  images = pixels.astype(np.float32)
  expected = network(images.transpose(0, 3, 1, 2))
  assert model.input_size == 32
  np.testing.assert_allclose(tf.function(model)(images), expected, atol=1e-4)


@pytest.mark.parametrize('form', ['keras', 'saved_model'])
def test_whole_numbers(form, pixels, tmp_path):
  network = whole()
  path = saved(network, tmp_path, form)
  model = loading.load_model(path, **KNOWN)
  expected = network(pixels)
  np.testing.assert_allclose(model(pixels), expected, atol=1e-5)
  # Of a protocol that does not round: to the nearest, halves up, nothing cut off.
  floats = pixels + np.float32(0.49)
  np.testing.assert_allclose(model(floats), expected, atol=1e-5)
  floats = np.maximum(pixels, 1) - np.float32(0.5)
  np.testing.assert_allclose(model(floats), network(np.maximum(pixels, 1)), atol=1e-5)
  with pytest.raises(UserError, match='takes whole numbers .uint8, 0 to 255.*identity'):
    loading.load_model(path, **{**KNOWN, 'preprocess': 'unit'})
  with pytest.raises(UserError, match='unit in place of identity` makes numbers from'):
    loading.load_model(path, **KNOWN, feed='unit')


@pytest.mark.parametrize('form', ['keras', 'saved_model'])
def test_outputs_of_convolutions_are_flat(form, pixels, tmp_path):
  network = convolved()
  model = loading.load_model(saved(network, tmp_path, form), **KNOWN)
  found = tf.function(model)(pixels.astype(np.float32))
  assert found.shape == (4, 10) and model.outputs == 10
  np.testing.assert_allclose(
    found, network(pixels.astype(np.float32))[:, 0, 0], rtol=1e-4
  )


def test_a_second_input_is_named(tmp_path):
  images, rate = keras.Input((32, 32, 3), name='images'), keras.Input((1,), name='rate')
  joined = layers.Concatenate()([layers.Flatten()(images), rate])
  path = saved(keras.Model([images, rate], layers.Dense(10)(joined)), tmp_path, 'keras')
  for known in ({}, {'input_size': 32}):
    with pytest.raises(UserError, match='has the inputs images, rate: expected one'):
      loading.load_model(path, **KNOWN, **known)


def behind(kind):
  inner = keras.Sequential(
    [keras.Input((8,)), layers.Dense(10, activation=kind, name='scores')]
  )
  images = keras.Input((32, 32, 3))
  features = layers.Dense(8)(layers.GlobalAveragePooling2D()(images))
  of_ops = keras.ops.softmax if kind == 'softmax' else keras.ops.sigmoid
  twice = keras.Sequential([keras.Input((8,)), inner])
  return {
    'nested': keras.Model(images, inner(features)),
    'two deep': keras.Model(images, twice(features)),
    'reshaped': keras.Model(images, layers.Flatten()(inner(features))),
    'linear': keras.Model(
      images, layers.Activation('linear', dtype='float32')(inner(features))
    ),
    'operation': keras.Model(images, of_ops(layers.Dense(10)(features))),
  }


@pytest.mark.parametrize(
  'kind, output', [('softmax', 'probabilities'), ('sigmoid', 'sigmoid')]
)
@pytest.mark.parametrize(
  'where', ['nested', 'two deep', 'reshaped', 'linear', 'operation']
)
def test_the_activation_inside_is_seen(kind, output, where, tmp_path):
  path = saved(behind(kind)[where], tmp_path, 'keras')
  assert loading.load_model(path, preprocess='tf', input_size=32).output == output
  with pytest.raises(UserError, match=f'ends in a {kind}'):
    loading.load_model(path, preprocess='tf', input_size=32, output='logits')


def test_linear_inside_is_logits(tmp_path):
  path = saved(behind(None)['linear'], tmp_path, 'keras')
  assert loading.load_model(path, preprocess='tf', input_size=32).output == 'logits'
