"""Model files and factories: the same logits, or one clear line."""

import hashlib
import os
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_models import (
  IDENTITY,
  SIZE,
  build,
  load,
  refused,
)

from tfeval.models import model as model_lib


def good_factory(activation=None):
  keras.utils.set_random_seed(3)
  return build(activation)


def raising_factory():
  raise RuntimeError('no GPU\nfound')


def exiting_factory():
  raise SystemExit(2)


def tuple_factory():
  return build(), 'tf'


def layer_factory():
  return keras.layers.Dense(1000)


def dict_output_factory():
  model = build('softmax')
  aux = keras.layers.Dense(10)(model.layers[-2].output)
  return keras.Model(model.input, {'aux': aux, 'classes': model.output})


class DictSubclass(keras.Model):
  def __init__(self):
    super().__init__()
    self.model = dict_output_factory()

  def call(self, images):
    return self.model(images)


def empty_factory():
  return None


def sequential_factory():
  """Has no weights before it sees an image."""
  return keras.Sequential(
    [
      keras.layers.GlobalAveragePooling2D(),
      keras.layers.Dense(1000, activation='softmax'),
    ]
  )


def any_size_factory():
  return build(size=(None, None))


def rectangular_factory():
  return build(size=(SIZE, SIZE + 1))


def operation_factory():
  """Returns probabilities by operations, although its last layer is linear."""
  model = build()
  powers = keras.ops.exp(model.output)
  return keras.Model(model.input, powers / keras.ops.sum(powers, -1, keepdims=True))


class Subclass(keras.Model):
  """Calls its last layer first."""

  def __init__(self):
    super().__init__()
    self.head = keras.layers.Dense(1000, activation='softmax')
    self.body = keras.layers.Dense(4)

  def call(self, images):
    return self.head(self.body(keras.ops.mean(images, axis=(1, 2))))


def broken_factory():
  model = Subclass()
  model.head = keras.layers.Conv2D(3, 3)
  return model


not_a_function = 3


def sha256_of(path):
  """Of a file; of a folder, over its names and their files' hashes."""
  if path.is_file():
    return hashlib.sha256(path.read_bytes()).hexdigest()
  lines = sorted(
    f'{p.relative_to(path)}\t{sha256_of(p)}\n' for p in path.rglob('*') if p.is_file()
  )
  return hashlib.sha256(''.join(lines).encode()).hexdigest()


@pytest.mark.parametrize('kind', ['.keras', '.h5', 'SavedModel'])
def test_files_give_the_same_logits(tmp_path, images, kind):
  model = good_factory()
  path = tmp_path / f'model{kind}'
  if kind == 'SavedModel':
    model.export(path, verbose=False)
  else:
    model.save(path)
  loaded = load(str(path), preprocess='tf', output='logits')
  np.testing.assert_allclose(
    loaded.function(images), model(images, training=False), rtol=1e-5, atol=1e-4
  )
  assert loaded.describe() == {
    'name': str(path),
    'weights': str(path),
    'preprocess': 'tf',
    'output': 'logits',
    'input_size': SIZE,
    'parameters': model.count_params(),
    'class_map': None,
    'output_name': None,
    'weights_sha256': sha256_of(path),
  }
  np.testing.assert_allclose(
    loaded.preprocess(tf.constant(images)), images / 127.5 - 1, atol=1e-6
  )


def test_factory_gives_the_same_logits(images):
  model = load(f'{__name__}:good_factory', **IDENTITY)
  np.testing.assert_allclose(
    model.function(images), good_factory()(images, training=False), atol=1e-5
  )
  assert (model.output, model.weights) == ('logits', 'model')
  assert model.weights_sha256 is None
  assert (
    load(f'{__name__}:good_factory:activation=softmax', **IDENTITY).output
    == 'probabilities'
  )


def test_factory_takes_weights(tmp_path, images):
  model = build()
  path = tmp_path / 'mine.weights.h5'
  model.save_weights(path)
  loaded = load(f'{__name__}:good_factory', str(path), **IDENTITY)
  np.testing.assert_allclose(
    loaded.function(images), model(images, training=False), atol=1e-5
  )
  assert (loaded.weights, loaded.input_size) == (str(path), SIZE)


def test_weights_for_a_factory_that_waits_for_its_first_image(tmp_path, images):
  model = sequential_factory()
  expected = model(images)
  path = tmp_path / 'mine.weights.h5'
  model.save_weights(path)
  loaded = load(
    f'{__name__}:sequential_factory', str(path), input_size=SIZE, **IDENTITY
  )
  np.testing.assert_allclose(loaded.function(images), expected, atol=1e-6)


@pytest.mark.parametrize(
  'target, words',
  [
    ('raising_factory', 'raised RuntimeError: no GPU found'),
    ('exiting_factory', 'raised SystemExit: 2'),
    (
      'empty_factory',
      'returned NoneType, expected a keras.Model, or a dict of it with '
      'preprocess, input_size and output',
    ),
    ('tuple_factory', 'returned tuple, expected a keras.Model'),
    ('layer_factory', 'returned Dense of keras, expected a keras.Model'),
    ('dict_output_factory', 'has the outputs aux, classes: give `output_name'),
    ('DictSubclass', 'has the outputs aux, classes: give `output_name'),
    ('absent_factory', "has no function 'absent_factory'"),
    ('not_a_function', "has no function 'not_a_function'"),
    ('good_factory:depth=3', "unexpected keyword argument 'depth'"),
    ('any_size_factory', 'give `input_size'),
    ('rectangular_factory', 'takes images of 32 x 33, expected a square'),
    ('operation_factory', 'give `output=logits`, `output=probabilities` or'),
  ],
)
def test_bad_factories(target, words):
  size = SIZE if target == 'DictSubclass' else None
  refused(words, f'{__name__}:{target}', input_size=size, **IDENTITY)


def test_output_of_a_dict_is_named_by_its_key(images):
  model = load(f'{__name__}:dict_output_factory', output_name='classes', **IDENTITY)
  assert model.output == 'probabilities'  # A property of that output alone.
  assert model.function(images).shape == (3, 1000)
  refused(
    "unknown output of .* 'clases': did you mean classes",
    f'{__name__}:dict_output_factory',
    output_name='clases',
    **IDENTITY,
  )


def test_packages_that_are_missing(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  pathlib.Path('needy_module_a.py').write_text('import no_such_package.part')
  refused(
    '^needy_module_a:build needs the package no_such_package, which is not '
    'installed: pip install no_such_package$',
    'needy_module_a:build',
    **IDENTITY,
  )
  pathlib.Path('needy_module_b.py').write_text('def build():\n  import no_such_package')
  refused('needs the package no_such_package', 'needy_module_b:build', **IDENTITY)
  # Neither is a package that pip could install.
  pathlib.Path('needy_module_c.py').write_text('import json.absent')
  refused(
    "cannot import needy_module_c .*No module named 'json.absent'",
    'needy_module_c:build',
    **IDENTITY,
  )
  pathlib.Path('needy_module_d.py').write_text('import needy_module_d.part')
  refused('cannot import needy_module_d', 'needy_module_d:build', **IDENTITY)


def test_modules_that_cannot_be_imported(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  refused('cannot import no_such_module', 'no_such_module:build', **IDENTITY)
  pathlib.Path('broken_module_a.py').write_text('def build(:')
  refused('cannot import broken_module_a', 'broken_module_a:build', **IDENTITY)
  pathlib.Path('broken_module_b.py').write_text('1 / 0')
  refused('division by zero', 'broken_module_b:build', **IDENTITY)


def test_input_size():
  assert (
    load(f'{__name__}:any_size_factory', input_size=48, **IDENTITY).input_size == 48
  )
  assert (
    load(f'{__name__}:good_factory', input_size=SIZE, **IDENTITY).input_size == SIZE
  )
  refused(
    'takes images of 32 pixels, a size of 48',
    f'{__name__}:good_factory',
    input_size=48,
    **IDENTITY,
  )


def test_models_that_are_built_by_their_first_image(images):
  refused('give `input_size', f'{__name__}:sequential_factory', **IDENTITY)
  model = load(f'{__name__}:sequential_factory', input_size=SIZE, **IDENTITY)
  assert (model.parameters, model.output) == (4000, 'probabilities')
  refused('give `output', f'{__name__}:Subclass', input_size=SIZE, **IDENTITY)
  model = load(
    f'{__name__}:Subclass', input_size=SIZE, output='probabilities', **IDENTITY
  )
  assert model.parameters == 16 + 5000
  np.testing.assert_allclose(np.sum(model.function(images), axis=1), 1, atol=1e-5)
  refused(
    f'cannot run on images of {SIZE} x {SIZE}',
    f'{__name__}:broken_factory',
    input_size=SIZE,
    output='logits',
    **IDENTITY,
  )


def test_preprocessing_has_to_be_told(tmp_path):
  # Before a file is read: this one would be refused.
  (tmp_path / 'model.keras').write_text('none')
  refused('give `preprocess=caffe', str(tmp_path / 'model.keras'))
  refused('give `preprocess=caffe', f'{__name__}:good_factory')
  # Before a factory is called: this one would raise.
  refused(
    "unknown preprocessing 'caffee': did you mean caffe",
    f'{__name__}:raising_factory',
    preprocess='caffee',
  )


def test_preprocessing_by_name(images):
  for name, application in [
    ('caffe', keras.applications.resnet),
    ('tf', keras.applications.mobilenet),
    ('torch', keras.applications.densenet),
  ]:
    np.testing.assert_allclose(
      model_lib.preprocessing(name)(tf.constant(images)),
      application.preprocess_input(images.copy()),
      atol=1e-4,
    )
  np.testing.assert_allclose(
    model_lib.preprocessing('lite')(images), (images - 127) / 128, atol=1e-6
  )
  np.testing.assert_array_equal(model_lib.preprocessing('identity')(images), images)


@pytest.mark.parametrize(
  'activation, output',
  [(None, 'logits'), ('softmax', 'probabilities'), ('sigmoid', 'sigmoid')],
)
def test_output_is_inferred_where_it_can_be(tmp_path, activation, output):
  path = tmp_path / 'model.keras'
  build(activation).save(path)
  assert load(str(path), **IDENTITY).output == output
  assert load(str(path), output='probabilities', **IDENTITY).output == 'probabilities'


def test_softmax_layer_is_seen(tmp_path):
  path = tmp_path / 'model.keras'
  model = build()
  keras.Model(model.input, keras.layers.Softmax()(model.output)).save(path)
  assert load(str(path), **IDENTITY).output == 'probabilities'


def test_output_of_a_saved_model_has_to_be_told(tmp_path):
  build('softmax').export(tmp_path / 'model', verbose=False)
  refused(
    'give `output=logits`, `output=probabilities` or',
    str(tmp_path / 'model'),
    **IDENTITY,
  )


def test_model_files_that_are_none(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  refused("'a.keras' does not exist|a.keras does not exist", 'a.keras', **IDENTITY)
  os.mkdir('folder')
  refused('folder without saved_model.pb', './folder', **IDENTITY)
  pathlib.Path('folder/saved_model.pb').write_bytes(b'\xff\xff')
  for trust in (False, True):
    refused('SavedModel', './folder', trust_model=trust, **IDENTITY)
  pathlib.Path('text.keras').write_text('x')
  pathlib.Path('text.h5').write_text('x')
  for trust in (False, True):
    refused('text.keras', 'text.keras', trust_model=trust, **IDENTITY)
    refused('text.h5', 'text.h5', trust_model=trust, **IDENTITY)
  build().save_weights('mine.weights.h5')
  refused('`weights', 'mine.weights.h5', **IDENTITY)
  build().save('model.keras')
  refused('a model file takes no options', './model.keras:alpha=1', **IDENTITY)


def test_saved_model_brings_its_weights(tmp_path):
  model = build()
  model.export(tmp_path / 'model', verbose=False)
  model.save_weights(tmp_path / 'x.weights.h5')
  refused(
    'brings its weights',
    str(tmp_path / 'model'),
    str(tmp_path / 'x.weights.h5'),
    output='logits',
    **IDENTITY,
  )
