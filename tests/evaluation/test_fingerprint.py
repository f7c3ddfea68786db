"""Models without a weights file are known by all that they compute with."""

import importlib
import sys

import keras
import numpy as np
import pytest

from tfeval.evaluation import fingerprint
from tfeval.models import loading
from tfeval.models.keras.backend import FunctionBackend, KerasBackend

FACTORY = """
import keras
def build():
  model = keras.Sequential([
      keras.Input((8, 8, 3)), keras.layers.Rescaling(SCALE),
      keras.layers.GlobalAveragePooling2D(),
      keras.layers.Dense(1000, kernel_initializer='ones')])
  return {'model': model, 'preprocess': normalise, 'output': 'logits'}
def normalise(images):
  return images / 2
class Own(keras.Model):
  def __init__(self):
    super().__init__()
    self.head = keras.layers.Dense(1000, kernel_initializer='ones')
  def call(self, images):
    return self.head(keras.ops.mean(images, (1, 2)))
def own():
  model = Own()
  model(keras.ops.zeros((1, 8, 8, 3)))
  return {'model': model, 'preprocess': 'identity', 'input_size': 8, 'output': 'logits'}
"""


@pytest.fixture
def known_by(tmp_path, monkeypatch):
  monkeypatch.syspath_prepend(tmp_path)

  def load(source, function='build'):
    (tmp_path / 'identity_factory.py').write_text(source)
    sys.modules.pop('identity_factory', None)
    importlib.invalidate_caches()
    sys.dont_write_bytecode = True
    keras.backend.clear_session()  # Names of layers count on.
    return fingerprint.model_sha256(loading.load_model(f'identity_factory:{function}'))

  yield load
  sys.modules.pop('identity_factory', None)


@pytest.mark.parametrize('function', ['build', 'own'])
def test_what_a_factory_computes_with(known_by, function):
  source = FACTORY.replace('SCALE', '1/255')
  first = known_by(source, function)
  assert known_by(source, function) == first
  assert known_by(source.replace('1/255', '1/2'), function) != first
  assert known_by(source.replace('images / 2', 'images / 3'), function) != first
  assert known_by(source.replace("'ones'", "'zeros'"), function) != first


def test_layers_without_weights_count():
  def model(activation):
    return loading.Model(
      name='m',
      preprocess=np.asarray,
      preprocess_name='p',
      input_size=8,
      output='logits',
      weights='none',
      weights_sha256=None,
      parameters=0,
      function=None,
      backend=KerasBackend(
        keras.Sequential(
          [keras.Input((8,), name='i'), keras.layers.Activation(activation, name='a')],
          name='s',
        )
      ),
    )

  assert fingerprint.model_sha256(model('relu')) == fingerprint.model_sha256(
    model('relu')
  )
  assert fingerprint.model_sha256(model('relu')) != fingerprint.model_sha256(
    model('tanh')
  )


def test_what_is_no_keras_model_is_known_by_nothing():
  model = loading.Model(
    name='m',
    preprocess=np.asarray,
    preprocess_name='p',
    input_size=8,
    output='logits',
    weights='none',
    weights_sha256=None,
    parameters=0,
    function=None,
    backend=FunctionBackend(None),
  )
  assert fingerprint.model_sha256(model) is None


def test_code_and_facts_are_known_and_guides_are_not(tmp_path, monkeypatch):
  for name in ('code.py', 'facts.tsv', 'guide.md'):
    (tmp_path / name).write_text('a')
  monkeypatch.setattr(fingerprint.tfeval, '__file__', str(tmp_path / 'code.py'))
  digest = fingerprint.code_sha256.__wrapped__
  first = digest()
  (tmp_path / 'guide.md').write_text('b')
  assert digest() == first
  (tmp_path / 'facts.tsv').write_text('b')
  assert digest() != first
