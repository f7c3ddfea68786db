"""The library call: `tfeval.load_model`, and models that are called on pixels."""

import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfeval
from tfeval.models import loading
from tfeval.models import model as model_lib
from tfeval.utils.errors import UserError

NAME = 'MobileNet:alpha=0.25'


@pytest.fixture(scope='module')
def model():
  return tfeval.load_model(f'{NAME},input_shape=[128,128,3]', weights='none')


@pytest.fixture(scope='module')
def pixels():
  return np.random.default_rng(0).integers(0, 256, (3, 128, 128, 3), np.uint8)


def test_public_names():
  assert tfeval.load_model is loading.load_model
  assert tfeval.Model is model_lib.Model
  assert {'load_model', 'Model'} <= set(dir(tfeval))
  with pytest.raises(AttributeError, match="'tfeval' has no attribute 'lod_model'"):
    tfeval.lod_model  # noqa: B018


def test_importing_tfeval_imports_no_tensorflow():
  code = (
    'import sys, tfeval\n'
    'print("load_model" in dir(tfeval), *{"tensorflow", "keras"} & {*sys.modules})'
  )
  done = subprocess.run(
    [sys.executable, '-c', code], check=True, capture_output=True, text=True
  )
  assert done.stdout.split() == ['True']


def test_scores_are_those_of_keras(shared_data):
  """Published weights: Keras' own preprocessing, its own softmax."""
  if not (shared_data / 'keras_home').is_dir():
    pytest.skip('needs the weights in ../shared/data/keras_home')
  pixels = np.random.default_rng(1).integers(0, 256, (2, 224, 224, 3), np.uint8)
  model = tfeval.load_model(NAME)
  expected = keras.applications.MobileNet(alpha=0.25).predict(
    keras.applications.mobilenet.preprocess_input(pixels.astype(np.float32)), verbose=0
  )
  np.testing.assert_allclose(tf.nn.softmax(model(pixels)), expected, atol=1e-6)
  assert model(pixels).dtype == tf.float32


@pytest.mark.parametrize('dtype', ['uint8', 'int64', 'float16', 'float32', 'float64'])
def test_pixels_of_any_type(model, pixels, dtype):
  expected = model(pixels).numpy()
  np.testing.assert_allclose(model(pixels.astype(dtype)), expected, atol=1e-6)
  np.testing.assert_allclose(
    model(tf.constant(pixels.astype(dtype))), expected, atol=1e-6
  )


def test_inside_a_tf_function(model, pixels):
  expected = model(pixels).numpy()
  np.testing.assert_allclose(tf.function(model)(pixels), expected, atol=1e-6)
  step = tf.function(
    lambda x: model(x) + 1,
    input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8)],
  )
  np.testing.assert_allclose(step(pixels), expected + 1, atol=1e-6)


@pytest.mark.parametrize(
  'shape', [(3, 224, 224, 3), (3, 128, 128, 1), (128, 128, 3), (0, 128, 128, 3)]
)
def test_images_of_another_shape(model, shape):
  with pytest.raises(
    UserError,
    match=r'takes images \[n, 128, 128, 3\] with n at '
    r'least 1, got \(\d+, ',
  ) as caught:
    model(np.zeros(shape, np.uint8))
  assert str(shape) in str(caught.value)


def test_targets_and_weights_may_be_paths(tmp_path):
  inputs = keras.Input((8, 8, 3))
  x = keras.layers.GlobalAveragePooling2D()(inputs)
  mine = keras.Model(inputs, keras.layers.Dense(1000)(x))
  mine.save(tmp_path / 'mine.keras')
  mine.save_weights(tmp_path / 'mine.weights.h5')
  pixels = np.ones((2, 8, 8, 3), np.uint8)
  model = tfeval.load_model(
    tmp_path / 'mine.keras',
    pathlib.Path(tmp_path / 'mine.weights.h5'),
    preprocess=lambda x: x * 2,
  )
  np.testing.assert_allclose(model(pixels), mine(pixels * 2), atol=1e-6)
  assert model.weights == str(tmp_path / 'mine.weights.h5')


@pytest.mark.parametrize(
  'hints, words',
  [
    ({'preprocess': 'caffee'}, 'did you mean caffe'),
    ({'preprocess': 3}, 'expected a name or a function'),
    ({'input_size': -1}, 'input_size is -1, expected a number of pixels'),
    ({'input_size': 22.4}, 'input_size is 22.4'),
    ({'output': 'logit'}, 'did you mean logits'),
    ({'dtype': 'bfloat'}, "unknown dtype 'bfloat'"),
    ({'class_map': 'nam'}, 'did you mean name'),
  ],
)
def test_values_that_cannot_be(hints, words):
  with pytest.raises(UserError, match=words):
    tfeval.load_model('no_such_module:build', **hints)
