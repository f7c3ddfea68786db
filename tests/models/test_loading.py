"""Models by name, file and factory: the same numbers, or one clear line."""

import hashlib
import os
import pathlib
import pickle
import re
import warnings

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.src.applications import efficientnet
from keras.src.legacy.saving import legacy_h5_format
from keras.src.utils import file_utils

from tfeval.errors import UserError
from tfeval.models import loading
from tfeval.models import model as model_lib

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


@pytest.fixture(scope='module')
def images():
  return np.random.default_rng(0).uniform(0, 255, (3, SIZE, SIZE, 3)).astype('float32')


@pytest.fixture(scope='module')
def mobilenet():
  return keras.applications.MobileNet(alpha=0.25, weights=None,
                                      classifier_activation=None)


@pytest.fixture
def keras_home(tmp_path, monkeypatch):
  """An empty folder in place of ~/.keras, and no network."""
  monkeypatch.setattr(file_utils.config, 'keras_home', lambda: str(tmp_path / 'home'))
  for name in ('http_proxy', 'https_proxy'):
    monkeypatch.setenv(name, 'http://127.0.0.1:9')
  (tmp_path / 'home/models').mkdir(parents=True)
  return tmp_path / 'home/models'


def save_legacy_weights(model, path):
  """Writes the layout of Keras 2 and of the files that Keras publishes."""
  with h5py.File(path, 'w') as file:
    legacy_h5_format.save_weights_to_hdf5_group(file, model)
  return path


def same_weights(a, b):
  return len(a.weights) == len(b.weights) and all(
      np.array_equal(x, y)
      for x, y in zip(a.get_weights(), b.get_weights(), strict=True))


# Applications.


def test_application_is_described():
  model = load(NAME, 'none')
  assert model.describe() == {
      'name': NAME, 'weights': 'none', 'weights_sha256': None, 'parameters': 475544,
      'input_size': 224, 'preprocess': 'tf', 'output': 'logits', 'class_map': None,
      'output_name': None}
  assert load(f'{NAME},input_shape=[128,128,3]', 'none').input_size == 128


@pytest.mark.parametrize('options, words', [
    ('alpha=7', 'alpha'),
    ('alpha=0.3', 'with published weights: .*alpha=0.3; --weights=none builds without'),
    ('input_shape=[100,100,3]', 'with published weights: .*should be .224, 224, 3'),
    ('alpha=-1', 'cannot build MobileNet:alpha=-1'),
    ('alpha=wide', 'cannot build MobileNet:alpha=wide'),
    ('alpha=1e999', 'cannot build MobileNet:alpha=1e999'),
    ('aplha=0.25', "unexpected keyword argument 'aplha'"),
    ('input_shape=224', 'cannot build'),
    ('input_shape=[224,192,3]', 'cannot build|expected a square'),
    ('classes=10', 'classes'),
    ('weights=none', 'weights is set by tfeval: give --weights'),
    ('include_top=false', 'include_top is set by tfeval'),
    ('classifier_activation=softmax', 'classifier_activation is set by tfeval'),
])
def test_bad_arguments_of_an_application(keras_home, options, words):
  del keras_home
  refused(words, f'MobileNet:{options}')


def test_alpha_without_published_weights_can_still_be_built(mobilenet):
  del mobilenet
  assert load('MobileNet:alpha=0.3', 'none').parameters > 0


def test_applications_have_1000_classes():
  refused(r'returns \(None, 10\), expected \(None, 1000\)', f'{NAME},classes=10',
          'none')


def test_rectangular_application():
  refused('224 x 192, expected a square', f'{NAME},input_shape=[224,192,3]', 'none')


def test_application_at_another_size():
  loaded = load(NAME, 'none', input_size=160)
  assert loaded.input_size == 160
  assert loaded.function(tf.zeros([1, 160, 160, 3])).shape == (1, 1000)
  refused('input_shape and an input size of 160 were both given',
          f'{NAME},input_shape=[128,128,3]', 'none', input_size=160)


def test_application_that_leaves_its_size_open():
  name = 'MobileNetV3Small:minimalistic=true'
  assert load(name, 'none').input_size == 224
  assert load(name, 'none', input_size=160).input_size == 160
  assert load(f'{name},input_shape=[96,96,3]', 'none').input_size == 96


@pytest.mark.parametrize('hint', [{'preprocess': 'tf'}, {'output': 'logits'}])
def test_hints_are_not_for_applications(hint):
  refused(f'--{next(iter(hint))} is known for MobileNet: leave it out', NAME, 'none',
          **hint)


# Weights.


def test_weights_without_network(keras_home):
  message = refused('cannot be downloaded', 'MobileNet:alpha=0.5')
  assert 'mobilenet_5_0_224_tf.h5' in message
  assert re.search(r'get https://\S+/mobilenet_5_0_224_tf\.h5 and put it into', message)
  assert str(keras_home) in message
  assert 'EfficientNetLite0' in message


def test_weights_in_the_cache_are_loaded(keras_home, mobilenet):
  path = save_legacy_weights(mobilenet, keras_home / 'mobilenet_2_5_224_tf.h5')
  model = load(NAME)
  assert model.weights_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
  images = np.zeros((1, 224, 224, 3), 'float32')
  np.testing.assert_allclose(model.function(images), mobilenet(images), atol=1e-6)


@pytest.mark.parametrize('keep', [0, 100, 100_000])
def test_truncated_file_in_the_cache(keras_home, mobilenet, keep):
  path = save_legacy_weights(mobilenet, keras_home / 'mobilenet_2_5_224_tf.h5')
  path.write_bytes(path.read_bytes()[:keep])
  assert str(path) in refused('truncated or not HDF5: delete the file', NAME)


@pytest.mark.parametrize('name, words', [
    ('classes.h5', r'HDF5 of 221,114 values, do not fit MobileNet:alpha=0\.25: delete '
     'the file and download it again .*Shape mismatch'),
    ('good.weights.h5', 'HDF5 of 475,544 values, .*Layer count mismatch'),
])
def test_other_weights_in_the_cache(keras_home, files, name, words):
  """Keras knows no hash of MobileNet's files."""
  path = keras_home / 'mobilenet_2_5_224_tf.h5'
  path.write_bytes((files / name).read_bytes())
  assert str(path) in refused(words, NAME)


@pytest.mark.slow
def test_published_weights_at_a_size_that_they_do_not_fit(keras_home, monkeypatch):
  """VGG is dense where others pool."""
  model = keras.applications.VGG16(weights=None)
  path = save_legacy_weights(model, keras_home / 'x.h5')
  monkeypatch.setattr(file_utils, 'get_file', lambda *_, **__: str(path))
  refused('do not fit VGG16: they are for images of another size: leave the size out',
          'VGG16', input_size=64)


def test_truncated_file_with_a_published_hash_is_not_used(keras_home):
  # Keras knows its hash and tries to download it again.
  path = keras_home / 'resnet50_weights_tf_dim_ordering_tf_kernels.h5'
  path.write_bytes(b'\x89HDF')
  assert path.name in refused('cannot be downloaded', 'ResNet50')


@pytest.fixture(scope='module')
def files(tmp_path_factory, mobilenet):
  """Weights files, good and bad, by name."""
  folder = tmp_path_factory.mktemp('weights')
  mobilenet.save_weights(folder / 'good.weights.h5')
  save_legacy_weights(mobilenet, folder / 'legacy.h5')
  mobilenet.save(folder / 'whole.h5')
  applications = keras.applications
  other = applications.MobileNet(alpha=0.25, weights=None, classes=10)
  other.save_weights(folder / 'classes.weights.h5')
  save_legacy_weights(other, folder / 'classes.h5')
  other = applications.MobileNet(alpha=0.5, weights=None)
  other.save_weights(folder / 'alpha.weights.h5')
  save_legacy_weights(other, folder / 'alpha.h5')
  good = (folder / 'good.weights.h5').read_bytes()
  (folder / 'renamed.h5').write_bytes(good)
  (folder / 'renamed.weights.h5').write_bytes((folder / 'legacy.h5').read_bytes())
  (folder / 'truncated.weights.h5').write_bytes(good[:len(good) // 2])
  (folder / 'truncated.h5').write_bytes((folder / 'legacy.h5').read_bytes()[:100_000])
  (folder / 'empty.h5').write_bytes(b'')
  (folder / 'text.h5').write_text('404: Not Found')
  (folder / 'folder.h5').mkdir()
  mobilenet.save(folder / 'model.keras')
  (folder / 'zipped.h5').write_bytes((folder / 'model.keras').read_bytes())
  np.savez(folder / 'zip.npz', np.zeros(3))
  (folder / 'zip.npz').rename(folder / 'zip.h5')
  (folder / 'pickle.pth').write_bytes(pickle.dumps({'weight': [0.] * 3}))
  (folder / 'binary.h5').write_bytes(b'\0\xff' * 100)
  (folder / 'start.h5').write_bytes(good[:6])
  with h5py.File(folder / 'foreign.h5', 'w') as file:
    file['weights'] = np.zeros(3)
  (folder / 'legacy.bin').write_bytes((folder / 'legacy.h5').read_bytes())
  (folder / 'good.bin').write_bytes(good)
  return folder


@pytest.mark.parametrize('name', ['good.weights.h5', 'legacy.h5', 'whole.h5'])
def test_own_weights(files, mobilenet, name):
  path = files / name
  model = load(NAME, str(path))
  assert model.weights == str(path)
  assert model.weights_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
  images = np.random.default_rng(0).uniform(-1, 1, (1, 224, 224, 3)).astype('float32')
  np.testing.assert_allclose(model.function(images), mobilenet(images), atol=1e-5)


@pytest.mark.parametrize('name, words', [
    ('missing.h5', 'does not exist: --weights is imagenet, none or the path of a file'),
    ('folder.h5', 'is a folder'),
    ('empty.h5', 'not HDF5 but empty: expected .h5 or .weights.h5'),
    ('text.h5', "not HDF5 but text that begins '404: Not Found': expected .h5"),
    ('model.keras', 'not HDF5 but a whole .keras model, to be given as --model'),
    ('zipped.h5', 'not HDF5 but a whole .keras model'),
    ('zip.h5', 'not HDF5 but a ZIP archive'),
    ('pickle.pth', 'not HDF5 but a Python pickle, as PyTorch writes them'),
    ('binary.h5', 'not HDF5 but of another format that begins with the bytes 00 ff'),
    ('start.h5', 'not HDF5 but HDF5 that was cut off'),
    ('foreign.h5', 'are HDF5, but not as Keras saves weights'),
    ('legacy.bin', r'the layout of NAME\.h5: rename the file'),
    ('good.bin', r'the layout of NAME\.weights\.h5: rename the file'),
    ('truncated.h5', 'truncated or damaged'),
    ('truncated.weights.h5', 'truncated or damaged'),
    # 475,544 values with 1000 classes, 257 for each of them.
    ('classes.weights.h5', 'HDF5 of 221,114 values, do not fit MobileNet:alpha=0.25 '
     'with 1000 classes, 475,544 values'),
    ('alpha.weights.h5', 'do not fit'),
    ('alpha.h5', 'do not fit'),
    ('renamed.h5', r'^weights \S+ have the layout of NAME\.weights\.h5: rename'),
    ('renamed.weights.h5', r'^weights \S+ have the layout of NAME\.h5: rename'),
])
def test_bad_weights(files, name, words):
  with warnings.catch_warnings():
    warnings.simplefilter('error')  # Keras warns of each layer.
    warnings.simplefilter('ignore', DeprecationWarning)
    assert name in refused(words, NAME, str(files / name))


class Nested(keras.layers.Layer):
  """Keeps a layer in a list of lists, which older Keras versions did not save."""

  def __init__(self):
    super().__init__()
    self.nested = [[keras.layers.Dense(1000)]]

  def call(self, images):
    return self.nested[0][0](keras.ops.mean(images, axis=(1, 2)))


def nested_factory():
  inputs = keras.Input((SIZE, SIZE, 3))
  return keras.Model(inputs, Nested()(inputs))


def test_weights_that_lack_a_layer(tmp_path):
  """Keras only warns of it and leaves the layer random."""
  path = tmp_path / 'x.weights.h5'
  nested_factory().save_weights(path)
  hints = {'output': 'logits', **IDENTITY}
  load(f'{__name__}:nested_factory', str(path), **hints)
  with h5py.File(path, 'a') as file:
    del file['layers/nested/nested']
  refused('do not fit', f'{__name__}:nested_factory', str(path), **hints)


def test_weights_that_end_early_are_refused_wherever_they_end(files, tmp_path):
  good = (files / 'legacy.h5').read_bytes()
  for part in (1 / 10, 1 / 2, 9 / 10, 999 / 1000):
    path = tmp_path / 'short.h5'
    path.write_bytes(good[:int(len(good) * part)])
    refused('truncated|not HDF5|do not fit', NAME, str(path))


@pytest.mark.slow
def test_efficientnet_by_path_is_normalised_as_by_name(keras_home, tmp_path,
                                                       monkeypatch):
  """Keras adds a Rescaling for weights='imagenet' and for no path."""
  # Random logits are of the order of 1e-5: equal to a thousandth, or not.
  keras.utils.set_random_seed(0)
  plain = keras.applications.EfficientNetB0(weights=None, classifier_activation=None)
  path = save_legacy_weights(plain, keras_home / 'efficientnetb0.h5')
  digest = hashlib.md5(path.read_bytes()).hexdigest()
  monkeypatch.setitem(efficientnet.WEIGHTS_HASHES, 'b0', (digest, digest))
  published = load('EfficientNetB0')
  copy = tmp_path / 'copy.h5'
  copy.write_bytes(path.read_bytes())
  images = np.random.default_rng(0).uniform(0, 255, (1, 224, 224, 3)).astype('float32')
  by_path = load('EfficientNetB0', str(copy)).function(images)
  np.testing.assert_allclose(by_path, published.function(images), rtol=1e-3, atol=1e-8)
  assert not np.allclose(by_path, plain(images), rtol=1e-3, atol=1e-8)
  # A file of one's own was made by the plain model.
  with h5py.File(copy, 'a') as file:
    file.attrs['author'] = 'somebody'
  own = load('EfficientNetB0', str(copy)).function(images)
  np.testing.assert_allclose(own, plain(images), rtol=1e-3, atol=1e-8)
  # Saved again from the published model, which its layers tell.
  normalised = keras.applications.EfficientNetB0(classifier_activation=None)
  for saved in (str(tmp_path / 'again.weights.h5'),
                str(save_legacy_weights(normalised, tmp_path / 'again.h5'))):
    if saved.endswith('.weights.h5'):
      normalised.save_weights(saved)
    again = load('EfficientNetB0', saved).function(images)
    np.testing.assert_allclose(again, normalised(images), rtol=1e-3, atol=1e-8)


# Models of one's own.


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


def narrow_factory():
  return build(classes=10)


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
  return keras.Sequential([keras.layers.GlobalAveragePooling2D(),
                           keras.layers.Dense(1000, activation='softmax')])


def any_size_factory():
  return build(size=(None, None))


def rectangular_factory():
  return build(size=(SIZE, SIZE + 1))


def operation_factory():
  """Returns probabilities, although its last layer is linear."""
  model = build()
  return keras.Model(model.input, keras.ops.softmax(model.output))


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
  lines = sorted(f'{p.relative_to(path)}\t{sha256_of(p)}\n'
                 for p in path.rglob('*') if p.is_file())
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
  np.testing.assert_allclose(loaded.function(images), model(images, training=False),
                             rtol=1e-5, atol=1e-4)
  assert loaded.describe() == {
      'name': str(path), 'weights': str(path), 'preprocess': 'tf', 'output': 'logits',
      'input_size': SIZE, 'parameters': model.count_params(), 'class_map': None,
      'output_name': None,
      'weights_sha256': sha256_of(path)}
  np.testing.assert_allclose(loaded.preprocess(tf.constant(images)),
                             images / 127.5 - 1, atol=1e-6)


def test_factory_gives_the_same_logits(images):
  model = load(f'{__name__}:good_factory', **IDENTITY)
  np.testing.assert_allclose(model.function(images),
                             good_factory()(images, training=False), atol=1e-5)
  assert (model.output, model.weights) == ('logits', 'model')
  assert model.weights_sha256 is None
  assert load(f'{__name__}:good_factory:activation=softmax',
              **IDENTITY).output == 'probabilities'


def test_factory_takes_weights(tmp_path, images):
  model = build()
  path = tmp_path / 'mine.weights.h5'
  model.save_weights(path)
  loaded = load(f'{__name__}:good_factory', str(path), **IDENTITY)
  np.testing.assert_allclose(loaded.function(images), model(images, training=False),
                             atol=1e-5)
  assert (loaded.weights, loaded.input_size) == (str(path), SIZE)


def test_weights_for_a_factory_that_waits_for_its_first_image(tmp_path, images):
  model = sequential_factory()
  expected = model(images)
  path = tmp_path / 'mine.weights.h5'
  model.save_weights(path)
  loaded = load(f'{__name__}:sequential_factory', str(path), input_size=SIZE,
                **IDENTITY)
  np.testing.assert_allclose(loaded.function(images), expected, atol=1e-6)


@pytest.mark.parametrize('target, words', [
    ('raising_factory', 'raised RuntimeError: no GPU found'),
    ('exiting_factory', 'raised SystemExit: 2'),
    ('empty_factory', 'returned NoneType, expected a keras.Model, or a dict of it with '
     'preprocess, input_size and output'),
    ('tuple_factory', 'returned tuple, expected a keras.Model'),
    ('layer_factory', 'returned Dense of keras, expected a keras.Model'),
    ('narrow_factory', r'returns \(None, 10\), expected \(None, 1000\)'),
    ('dict_output_factory', 'has the outputs aux, classes: give --output_name'),
    ('DictSubclass', 'has the outputs aux, classes: give --output_name'),
    ('absent_factory', "has no function 'absent_factory'"),
    ('not_a_function', "has no function 'not_a_function'"),
    ('good_factory:depth=3', "unexpected keyword argument 'depth'"),
    ('any_size_factory', 'give --input_size'),
    ('rectangular_factory', 'takes images of 32 x 33, expected a square'),
    ('operation_factory', 'give --output=logits or --output=probabilities'),
])
def test_bad_factories(target, words):
  size = SIZE if target == 'DictSubclass' else None
  refused(words, f'{__name__}:{target}', input_size=size, **IDENTITY)


def test_output_of_a_dict_is_named_by_its_key(images):
  model = load(f'{__name__}:dict_output_factory', output_name='classes', **IDENTITY)
  assert model.output == 'probabilities'  # A property of that output alone.
  assert model.function(images).shape == (3, 1000)
  refused("unknown output of .* 'clases': did you mean classes",
          f'{__name__}:dict_output_factory', output_name='clases', **IDENTITY)


def test_packages_that_are_missing(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  pathlib.Path('needy_module_a.py').write_text('import no_such_package.part')
  refused('^needy_module_a:build needs the package no_such_package, which is not '
          'installed: pip install no_such_package$', 'needy_module_a:build', **IDENTITY)
  pathlib.Path('needy_module_b.py').write_text('def build():\n  import no_such_package')
  refused('needs the package no_such_package', 'needy_module_b:build', **IDENTITY)
  # Neither is a package that pip could install.
  pathlib.Path('needy_module_c.py').write_text('import json.absent')
  refused("cannot import needy_module_c .*No module named 'json.absent'",
          'needy_module_c:build', **IDENTITY)
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
  assert load(f'{__name__}:any_size_factory', input_size=48, **IDENTITY
              ).input_size == 48
  assert load(f'{__name__}:good_factory', input_size=SIZE, **IDENTITY
              ).input_size == SIZE
  refused('takes images of 32 pixels, a size of 48', f'{__name__}:good_factory',
          input_size=48, **IDENTITY)


def test_models_that_are_built_by_their_first_image(images):
  refused('give --input_size', f'{__name__}:sequential_factory', **IDENTITY)
  model = load(f'{__name__}:sequential_factory', input_size=SIZE, **IDENTITY)
  assert (model.parameters, model.output) == (4000, 'probabilities')
  refused('give --output', f'{__name__}:Subclass', input_size=SIZE, **IDENTITY)
  model = load(f'{__name__}:Subclass', input_size=SIZE, output='probabilities',
               **IDENTITY)
  assert model.parameters == 16 + 5000
  np.testing.assert_allclose(np.sum(model.function(images), axis=1), 1, atol=1e-5)
  refused(f'cannot run on images of {SIZE} x {SIZE}', f'{__name__}:broken_factory',
          input_size=SIZE, output='logits', **IDENTITY)


def test_preprocessing_has_to_be_told(tmp_path):
  # Before a file is read: this one would be refused.
  (tmp_path / 'model.keras').write_text('none')
  refused('give --preprocess=caffe', str(tmp_path / 'model.keras'))
  refused('give --preprocess=caffe', f'{__name__}:good_factory')
  # Before a factory is called: this one would raise.
  refused("unknown preprocessing 'caffee': did you mean caffe",
          f'{__name__}:raising_factory', preprocess='caffee')


def test_preprocessing_by_name(images):
  for name, application in [('caffe', keras.applications.resnet),
                            ('tf', keras.applications.mobilenet),
                            ('torch', keras.applications.densenet)]:
    np.testing.assert_allclose(model_lib.preprocessing(name)(tf.constant(images)),
                               application.preprocess_input(images.copy()), atol=1e-4)
  np.testing.assert_allclose(model_lib.preprocessing('lite')(images),
                             (images - 127) / 128, atol=1e-6)
  np.testing.assert_array_equal(model_lib.preprocessing('identity')(images), images)


@pytest.mark.parametrize('activation, output', [
    (None, 'logits'), ('softmax', 'probabilities'), ('sigmoid', None)])
def test_output_is_inferred_where_it_can_be(tmp_path, activation, output):
  path = tmp_path / 'model.keras'
  build(activation).save(path)
  if output:
    assert load(str(path), **IDENTITY).output == output
  else:
    refused('give --output=logits or', str(path), **IDENTITY)
  assert load(str(path), output='probabilities', **IDENTITY).output == 'probabilities'


def test_softmax_layer_is_seen(tmp_path):
  path = tmp_path / 'model.keras'
  model = build()
  keras.Model(model.input, keras.layers.Softmax()(model.output)).save(path)
  assert load(str(path), **IDENTITY).output == 'probabilities'


def test_output_of_a_saved_model_has_to_be_told(tmp_path):
  build('softmax').export(tmp_path / 'model', verbose=False)
  refused('give --output=logits or', str(tmp_path / 'model'), **IDENTITY)


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
  refused('--weights', 'mine.weights.h5', **IDENTITY)
  build().save('model.keras')
  refused('a model file takes no options', './model.keras:alpha=1', **IDENTITY)


def test_saved_model_brings_its_weights(tmp_path):
  model = build()
  model.export(tmp_path / 'model', verbose=False)
  model.save_weights(tmp_path / 'x.weights.h5')
  refused('brings its weights', str(tmp_path / 'model'),
          str(tmp_path / 'x.weights.h5'), output='logits', **IDENTITY)
