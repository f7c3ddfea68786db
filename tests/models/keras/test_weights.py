"""Weights by name and by path: the same model, or one line on what a file is."""

import hashlib
import pickle
import re
import warnings

import h5py
import keras
import numpy as np
import pytest
from keras.src.applications import efficientnet
from keras.src.utils import file_utils
from small_models import (
  IDENTITY,
  NAME,
  SIZE,
  build,
  load,
  refused,
  save_legacy_weights,
)


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


@pytest.mark.parametrize(
  'name, words',
  [
    (
      'classes.h5',
      r'HDF5 of 221,114 values, do not fit MobileNet:alpha=0\.25: delete '
      'the file and download it again .*Shape mismatch',
    ),
    ('good.weights.h5', 'HDF5 of 475,544 values, .*Layer count mismatch'),
  ],
)
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
  refused(
    'do not fit VGG16: they are for images of another size: leave the size out',
    'VGG16',
    input_size=64,
  )


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
  (folder / 'truncated.weights.h5').write_bytes(good[: len(good) // 2])
  (folder / 'truncated.h5').write_bytes((folder / 'legacy.h5').read_bytes()[:100_000])
  (folder / 'empty.h5').write_bytes(b'')
  (folder / 'text.h5').write_text('404: Not Found')
  (folder / 'folder.h5').mkdir()
  mobilenet.save(folder / 'model.keras')
  (folder / 'zipped.h5').write_bytes((folder / 'model.keras').read_bytes())
  np.savez(folder / 'zip.npz', np.zeros(3))
  (folder / 'zip.npz').rename(folder / 'zip.h5')
  (folder / 'pickle.pth').write_bytes(pickle.dumps({'weight': [0.0] * 3}))
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


@pytest.mark.parametrize(
  'name, words',
  [
    ('missing.h5', 'does not exist: `weights` is imagenet, none or the path of a file'),
    ('folder.h5', 'is a folder'),
    ('empty.h5', 'not HDF5 but empty: expected .h5 or .weights.h5'),
    ('text.h5', "not HDF5 but text that begins '404: Not Found': expected .h5"),
    ('model.keras', 'not HDF5 but a whole .keras model, to be given as `model'),
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
    (
      'classes.weights.h5',
      'HDF5 of 221,114 values, do not fit MobileNet:alpha=0.25 '
      'with 1000 classes, 475,544 values',
    ),
    ('alpha.weights.h5', 'do not fit'),
    ('alpha.h5', 'do not fit'),
    ('renamed.h5', r'^weights \S+ have the layout of NAME\.weights\.h5: rename'),
    ('renamed.weights.h5', r'^weights \S+ have the layout of NAME\.h5: rename'),
  ],
)
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
    path.write_bytes(good[: int(len(good) * part)])
    refused('truncated|not HDF5|do not fit', NAME, str(path))


@pytest.mark.slow
def test_efficientnet_by_path_is_normalised_as_by_name(
  keras_home, tmp_path, monkeypatch
):
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
  for saved in (
    str(tmp_path / 'again.weights.h5'),
    str(save_legacy_weights(normalised, tmp_path / 'again.h5')),
  ):
    if saved.endswith('.weights.h5'):
      normalised.save_weights(saved)
    again = load('EfficientNetB0', saved).function(images)
    np.testing.assert_allclose(again, normalised(images), rtol=1e-3, atol=1e-8)


def test_averages_of_a_model_file(tmp_path):
  """The file's model has the averages that its optimizer kept, as Keras gives them."""
  rng = np.random.default_rng(0)
  images = rng.random((8, SIZE, SIZE, 3), np.float32)
  path = str(tmp_path / 'trained.keras')
  schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
  for optimizer in (
    keras.optimizers.Adam(0.1, use_ema=True, ema_momentum=0.5),
    keras.optimizers.SGD(schedule, momentum=0.9, use_ema=True, ema_momentum=0.5),
    keras.optimizers.LossScaleOptimizer(
      keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5)
    ),
  ):
    model = build(classes=10)
    model.compile(optimizer, 'mse')
    # As in the middle of a fit, which ends with the averages as weights.
    for _ in range(3):
      model.train_on_batch(images, rng.random((8, 10)))
    model.save(path)
    plain = load(path, **IDENTITY)
    found = load(path, 'averages', **IDENTITY)
    assert found.weights_sha256 != plain.weights_sha256
    assert not np.allclose(found(images), plain(images), rtol=1e-3)
    kept = getattr(optimizer, 'inner_optimizer', optimizer)
    kept.finalize_variable_values(model.trainable_variables)  # The averages.
    assert np.allclose(found(images), model(images), rtol=1e-5)
  model = build(classes=10)
  model.save(path)
  refused('no moving averages of its weights', path, 'averages', **IDENTITY)
  refused('is of .keras files', 'small_models:build', 'averages', **IDENTITY)
