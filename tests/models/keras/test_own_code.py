"""Model files that need code of the user's: which flag brings it, and nothing else."""

import sys

import keras
import numpy as np
import pytest

from tfeval.evaluation.config import EvaluationConfig
from tfeval.evaluation.plans import flagfile, requests
from tfeval.models import loading
from tfeval.models.keras import own_code
from tfeval.utils.errors import UserError

SIZE = 8
CODE = """
import keras
import os.path
from keras.layers import Dense as Borrowed


class Scale(keras.layers.Layer):
  def __init__(self, by=3.0, **keywords):
    super().__init__(**keywords)
    self.by = by

  def call(self, x):
    return x * self.by

  def get_config(self):
    return {**super().get_config(), 'by': self.by}


@keras.saving.register_keras_serializable(package='mine')
class Registered(Scale):
  pass


def squared(x):
  return x * x


def relu(x):
  return x * 0.0


def own_loss(expected, predicted):
  return 0.0
"""
MODULE = 'layers_of_the_user'


@pytest.fixture
def module(tmp_path, monkeypatch):
  """Writes a module of the user's, and lets nobody know of it."""
  (tmp_path / f'{MODULE}.py').write_text(CODE)
  monkeypatch.chdir(tmp_path)
  monkeypatch.setattr(sys, 'path', list(sys.path))

  def forget():
    sys.modules.pop(MODULE, None)
    keras.saving.get_custom_objects().pop('mine>Registered', None)

  forget()
  yield forget
  forget()


@pytest.fixture(params=['keras', 'h5'])
def file(module, tmp_path, request):
  """A file with layers, an activation and a loss of that module."""
  own_code.import_modules([MODULE])
  code = sys.modules[MODULE]
  net = keras.Sequential(
    [
      keras.Input((SIZE, SIZE, 3)),
      code.Scale(2.0),
      code.Registered(5.0),
      keras.layers.Activation(code.squared),
      keras.layers.Activation('relu'),
      keras.layers.GlobalAveragePooling2D(),
      keras.layers.Dense(1000),
    ]
  )
  net.compile(loss=code.own_loss)
  path = tmp_path / f'net.{request.param}'
  net.save(path)
  images = np.random.default_rng(0).uniform(0, 255, (2, SIZE, SIZE, 3))
  expected = net.predict(images, verbose=0)
  module()
  return path, images, expected


def load(path, **given):
  return loading.load_model(path, preprocess='identity', output='logits', **given)


@pytest.mark.parametrize('name', [MODULE, f'{MODULE}.py'])
def test_imported_code_is_used_without_trust(file, name):
  path, images, expected = file
  found = load(path, import_module=(name,))(images)
  np.testing.assert_allclose(found, expected, rtol=1e-5)
  # In one process once.
  again = load(path, import_module=name)(images)
  np.testing.assert_array_equal(again, found)


def test_without_it_the_class_and_the_flag_are_named(file):
  path, _, _ = file
  with pytest.raises(
    UserError, match='custom object .*(Scale|Registered), .*`import_module`=MODULE'
  ):
    load(path)
  with pytest.raises(
    UserError,
    match='needs (Scale|mine>Registered|Registered), .*give `import_module`=MODULE',
  ):
    load(path, trust_model=True)


def test_what_a_module_only_imports_is_not_the_users(module):
  found = own_code.import_modules([f'{MODULE}.py'])
  assert set(found) == {
    'Scale',
    'Registered',
    'mine>Registered',
    'squared',
    'own_loss',
  }  # Neither os.path nor a `relu` in place of Keras' own.


def test_a_lambda_is_refused_beside_it(module, tmp_path):
  own_code.import_modules([MODULE])
  net = keras.Sequential(
    [
      keras.Input((SIZE, SIZE, 3)),
      sys.modules[MODULE].Scale(),
      keras.layers.Lambda(lambda x: x),
      keras.layers.GlobalAveragePooling2D(),
    ]
  )
  net.save(tmp_path / 'net.keras')
  with pytest.raises(UserError, match='contains a Lambda layer, which can run code'):
    load(tmp_path / 'net.keras', import_module=(MODULE,))


@pytest.mark.parametrize(
  'name, words',
  [
    ('no_such_module', 'No module named'),
    ('no/such.py', 'there is no such file'),
    ('json.py', 'another module is called json: rename'),
    ('broken.py', 'cannot be imported: ZeroDivisionError: division by zero'),
  ],
)
def test_modules_that_cannot_be_imported(module, tmp_path, name, words):
  (tmp_path / 'broken.py').write_text('1 / 0')
  (tmp_path / 'json.py').write_text('')
  (tmp_path / 'empty.keras').touch()
  with pytest.raises(UserError, match=words) as caught:
    load(tmp_path / 'empty.keras', import_module=(name,))
  assert '\n' not in str(caught.value) and '`import_module=' in str(caught.value)
  assert 'broken' not in sys.modules


def test_the_flagfile_of_a_run_names_it(module, tmp_path):
  (tmp_path / 'net.keras').touch()
  (request,) = requests(['net.keras'], ['imagenet'])
  given = EvaluationConfig.of(import_module=(MODULE, f'{MODULE}.py'))
  lines = flagfile(request, given).splitlines()
  assert f'--import_module={MODULE}' in lines
  assert f'--import_module={tmp_path}/{MODULE}.py' in lines
  (request,) = requests(['ResNet50'], ['imagenet'])
  assert 'import_module' not in flagfile(request, given)
