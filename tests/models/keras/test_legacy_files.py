"""Files of Keras 2: read as `tf_keras` does, or one line; nothing in them runs."""

import json
import shutil
import sys
import zipfile

import h5py
import keras
import numpy as np
import pytest
from frameworks import marked

from tfeval.engine.build_dataset import build_dataset
from tfeval.models import loading
from tfeval.models.keras import legacy_files, legacy_trust, trust
from tfeval.utils.errors import UserError

SIZE = 16
CLASSES = 4
CLOSE = {'rtol': 1e-4, 'atol': 1e-6}


def load(path, **given):
  return loading.load_model(path, preprocess='identity', output='logits', **given)


def net(*layers):
  images = keras.Input((SIZE, SIZE, 3))
  x = images
  for layer in layers:
    x = layer(x)
  x = keras.layers.GlobalAveragePooling2D()(x)
  return keras.Model(images, keras.layers.Dense(CLASSES)(x))


def as_of_keras_2(path, change=lambda config: None, stated='2.15.0'):
  """Makes of a file of Keras 3 one that says it is of Keras 2."""
  if path.suffix == '.h5':
    with h5py.File(path, 'a') as file:
      config = json.loads(file.attrs['model_config'])
      change(config)
      file.attrs['model_config'] = json.dumps(config)
      file.attrs['keras_version'] = stated
    return path
  with zipfile.ZipFile(path) as archive:
    members = {name: archive.read(name) for name in archive.namelist()}
  config = json.loads(members['config.json'])
  change(config)
  members['config.json'] = json.dumps(config)
  members['metadata.json'] = json.dumps({'keras_version': stated})
  with zipfile.ZipFile(path, 'w') as archive:
    for name, content in members.items():
      archive.writestr(name, content)
  return path


def objects(node):
  if isinstance(node, dict):
    if 'class_name' in node:
      yield node
    for value in node.values():
      yield from objects(value)
  elif isinstance(node, list):
    for value in node:
      yield from objects(value)


def with_groups(config):
  for one in objects(config):
    if one['class_name'] == 'DepthwiseConv2D':
      one['config']['groups'] = 1


@pytest.fixture(params=['h5', 'keras'])
def unread(request, tmp_path):
  """A file that Keras 3 refuses: its convolution has groups."""
  path = tmp_path / f'net.{request.param}'
  net(keras.layers.DepthwiseConv2D(3)).save(path)
  return as_of_keras_2(path, with_groups)


def test_which_version_wrote_a_file(unread, tmp_path):
  assert legacy_files.version(unread) == '2.15.0'
  net().save(tmp_path / 'new.keras')
  assert legacy_files.version(tmp_path / 'new.keras') is None
  (tmp_path / 'none.h5').write_bytes(b'nothing')
  assert legacy_files.version(tmp_path / 'none.h5') is None


def test_without_tf_keras_one_line_says_why_and_the_way(unread, monkeypatch):
  monkeypatch.setitem(sys.modules, 'tf_keras', None)
  with pytest.raises(UserError) as caught:
    load(unread)
  assert str(caught.value) == (
    f'{unread} was written by Keras 2.15.0; Keras 3 does not read `groups` of '
    "DepthwiseConv2D: pip install 'tfeval[legacy]' (tf_keras), or save it again as a "
    'SavedModel'
  )


def test_what_keras_3_reads_needs_no_tf_keras(tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, 'tf_keras', None)
  path = tmp_path / 'net.h5'
  built = net(keras.layers.Conv2D(4, 3))
  built.save(path)
  images = np.random.default_rng(0).uniform(0, 255, (3, SIZE, SIZE, 3))
  found = load(as_of_keras_2(path))(images)
  np.testing.assert_allclose(found, built(images.astype(np.float32)), rtol=1e-5)


def changed(**values):
  def change(config):
    one = next(x for x in objects(config) if x['class_name'] == 'Activation')
    one.update(values)

  return change


MODULE = 'tf_keras.src.utils.data_utils'


@pytest.mark.parametrize(
  'change, words',
  [
    # `tf_keras` would import any module, and call any function of TensorFlow.
    (changed(module='os', class_name='system'), 'custom object os.system'),
    (
      changed(module='subprocess', class_name='Popen'),
      'custom object subprocess.Popen',
    ),
    (changed(module=MODULE, class_name='get_file'), 'the unknown class get_file'),
    (changed(module=f'{MODULE}x', class_name='Urlopen'), 'the unknown class Urlopen'),
    (
      changed(module='tf_keras_evil', class_name='Dense'),
      'custom object tf_keras_evil',
    ),
    (changed(module='keras.utils', class_name='Dense'), 'custom object keras.utils'),
    (
      changed(
        class_name='TFOpLambda', config={'name': 'a', 'function': 'io.write_file'}
      ),
      'a layer that calls tf.io.write_file',
    ),
    (
      changed(class_name='TFOpLambda', config={'name': 'a', 'function': 'py_function'}),
      'a layer that calls tf.py_function',
    ),
    (changed(class_name='TFOpLambda', config={'function': ['x']}), 'that calls tf'),
    (changed(class_name='SlicingOpLambda', config='x'), 'a layer that calls tf.None'),
    (
      changed(class_name='TensorFlowOpLayer', config={}),
      'a TensorFlowOpLayer layer',
    ),
    (changed(class_name='ClassMethod', config={}), 'a ClassMethod layer'),
    (changed(class_name='Lambda'), 'a Lambda layer'),
    (changed(class_name='__typespec__'), 'a __typespec__ layer'),
    (changed(registered_name='stranger>It'), 'the custom object stranger>It'),
    (changed(class_name='StringLookup', module=None), 'a StringLookup layer'),
    (
      changed(
        config={
          'name': 'a',
          'activation': {
            'class_name': 'function',
            'config': 'get_file',
            'module': MODULE,
          },
        }
      ),
      'the custom object get_file',
    ),
  ],
)
@pytest.mark.parametrize('suffix', ['h5', 'keras'])
def test_what_could_run_code_is_refused(tmp_path, suffix, change, words):
  path = tmp_path / f'net.{suffix}'
  net(keras.layers.Activation('relu')).save(path)
  as_of_keras_2(path, change)
  with pytest.raises(UserError, match='can run code of its author') as caught:
    trust.check_keras_file(path)
  assert words in str(caught.value)


def test_what_only_computes_is_not():
  known = trust.class_kinds()

  def found(name, config, **more):
    node = {'class_name': name, 'config': config, **more}
    return legacy_trust.found(node, known, trust._MODULES, 'custom ')

  for function in (
    'math.truediv',
    '__operators__.getitem',
    'compat.v1.nn.relu',
    'cast',
  ):
    assert found('TFOpLambda', {'function': function}) is None
  module = 'tf_keras.src.engine.functional'
  named = {'module': module, 'registered_name': 'Functional'}
  assert found('Functional', {}, **named) is None
  assert found('function', 'relu', module='builtins') is None
  assert found('__tensor__', {'value': [1.0]}) is None


# With tf_keras


@pytest.fixture
def legacy():
  return pytest.importorskip('tf_keras')


@pytest.fixture
def mobilenet(legacy, shared_data):
  built = legacy.applications.MobileNet(alpha=0.25, weights=None)
  built.load_weights(shared_data / 'keras_home/models/mobilenet_2_5_224_tf.h5')
  return built


def counted(tfeval, photos, output, *flags):
  code, out, error = tfeval(
    'evaluate',
    '--preprocess=tf',
    f'--dataset=folder:{photos}',
    f'--output_dir={output}',
    '--preflight=off',
    '--json',
    *flags,
  )
  assert code == 0, error
  return json.loads(out)


@marked('tf_keras')
def test_counts_of_each_format_are_those_of_predict(
  tfeval, mobilenet, photos, tmp_path
):
  names = ['net.h5', 'net.keras', 'saved']
  for name in names:
    mobilenet.save(tmp_path / name)
  # Keras 3 alone reads neither file.
  for name in names[:2]:
    with pytest.raises(Exception, match='groups|Functional'):
      keras.saving.load_model(tmp_path / name)
  results = counted(
    tfeval,
    photos,
    tmp_path / 'runs',
    *(f'--model={tmp_path / name}' for name in names),
    '--output=probabilities',
  )
  (batch,) = build_dataset(f'folder:{photos}', input_size=224, batch_size=12)
  images = batch['pixels'].numpy() / np.float32(127.5) - 1
  order = np.argsort(-mobilenet.predict(images, verbose=0), axis=1)
  labels = batch['label'].numpy()[:, None]
  expected = [int((order[:, :k] == labels).any(1).sum()) for k in (1, 5)]
  assert expected[0] > 4 and len(results) == 3
  for result in results:
    assert [m['correct'] for m in result['metrics'] if m['rule'] == 'all'] == expected


@marked('tf_keras')
@pytest.mark.parametrize('suffix', ['h5', 'keras'])
def test_functions_of_tensorflow_and_lambdas(legacy, tmp_path, suffix):
  images = legacy.Input((SIZE, SIZE, 3))
  x = legacy.layers.Conv2D(4, 3)(images / 255.0)
  x = legacy.layers.GlobalAveragePooling2D()(x[:, 1:] - 0.5)
  plain = legacy.Model(images, legacy.layers.Dense(CLASSES)(x))
  plain.save(tmp_path / f'plain.{suffix}')
  pixels = np.random.default_rng(0).uniform(0, 255, (3, SIZE, SIZE, 3))
  found = load(tmp_path / f'plain.{suffix}')(pixels)
  np.testing.assert_allclose(found, plain.predict(pixels, verbose=0), **CLOSE)
  own = legacy.Sequential(
    [legacy.Input((SIZE, SIZE, 3)), legacy.layers.Lambda(lambda x: x * 2), plain]
  )
  path = tmp_path / f'own.{suffix}'
  own.save(path)
  with pytest.raises(UserError, match='contains a Lambda layer, which can run code'):
    load(path)
  found = load(path, trust_model=True)(pixels)
  np.testing.assert_allclose(found, own.predict(pixels, verbose=0), **CLOSE)


@marked('tf_keras')
@pytest.mark.parametrize('suffix', ['h5', 'keras'])
def test_code_of_the_users_for_keras_2(legacy, tmp_path, monkeypatch, suffix):
  monkeypatch.chdir(tmp_path)
  monkeypatch.setattr(sys, 'path', [str(tmp_path), *sys.path])
  (tmp_path / 'old_layers.py').write_text(
    'import tf_keras\n\n\n'
    'class Twice(tf_keras.layers.Layer):\n'
    '  def call(self, x):\n'
    '    return x * 2.0\n'
  )
  import old_layers

  images = legacy.Input((SIZE, SIZE, 3))
  x = legacy.layers.GlobalAveragePooling2D()(old_layers.Twice()(images / 255.0))
  built = legacy.Model(images, legacy.layers.Dense(CLASSES)(x))
  built.compile(loss=lambda expected, predicted: 0.0)
  path = tmp_path / f'net.{suffix}'
  built.save(path)
  pixels = np.random.default_rng(0).uniform(0, 255, (3, SIZE, SIZE, 3))
  found = load(path, import_module='old_layers')(pixels)
  np.testing.assert_allclose(found, built.predict(pixels, verbose=0), **CLOSE)
  with pytest.raises(UserError, match='Twice.*`import_module`=MODULE'):
    load(path)


@marked('tf_keras')
def test_more_variables_than_weights_are_refused(legacy, tmp_path, monkeypatch):
  images = legacy.Input((SIZE, SIZE, 3))
  x = legacy.layers.GlobalAveragePooling2D()(images / 255.0)
  path = tmp_path / 'net.keras'
  legacy.Model(images, legacy.layers.Dense(CLASSES)(x)).save(path)

  def large(config):
    for one in objects(config):
      if one['class_name'] == 'Dense':
        one['config']['units'] = 1 << 26

  as_of_keras_2(path, large)
  with pytest.raises(UserError, match='bytes of variables, which its weights do not'):
    load(path)


@marked('tf_keras')
def test_what_an_inner_model_was_compiled_with_is_not_loaded(legacy, tmp_path):
  inner = legacy.Sequential([legacy.Input((SIZE, SIZE, 3)), legacy.layers.Flatten()])
  inner.compile(loss='mse', optimizer='sgd')
  path = tmp_path / 'net.keras'
  images = legacy.Input((SIZE, SIZE, 3))
  legacy.Model(images, legacy.layers.Dense(CLASSES)(inner(images / 255.0))).save(path)

  def unsafe(config):
    compiled = [one for one in objects(config) if 'compile_config' in one]
    assert len(compiled) == 1
    compiled[0]['compile_config']['loss'] = {
      'module': 'os',
      'class_name': 'system',
      'config': {},
      'registered_name': None,
    }

  copy = tmp_path / 'copy.keras'
  shutil.copyfile(path, copy)
  as_of_keras_2(copy, unsafe)
  pixels = np.random.default_rng(0).uniform(0, 255, (3, SIZE, SIZE, 3))
  np.testing.assert_array_equal(load(copy)(pixels), load(path)(pixels))
