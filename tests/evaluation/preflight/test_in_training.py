"""A model that has hardly been trained is not fed wrongly; one that is, is told so."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfeval
from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.evaluation.preflight import checks
from tfeval.models import loading
from tfeval.models.keras.backend import KerasBackend
from tfeval.models.model import preprocessing

CLASSES, SIDE = 10, 24
NAMES = tuple('abcdefghij')
SPACE = LabelSpace('letters', NAMES, NAMES)


def images(count, seed):
  """Gratings whose direction and colour are the class; uint8, and labels."""
  random, labels = np.random.default_rng(seed), np.arange(count) % CLASSES
  colours = np.random.default_rng(9).uniform(60, 200, (CLASSES, 3))[labels]
  y, x = np.mgrid[:SIDE, :SIDE] / SIDE
  angle = (np.pi * labels / CLASSES)[:, None, None]
  phase = random.uniform(0, 6, (count, 1, 1))
  waves = np.sin(6 * np.pi * (np.cos(angle) * x + np.sin(angle) * y) + phase)
  pixels = colours[:, None, None] * 0.4 + 70 + 30 * waves[..., None]
  pixels += random.normal(0, 30, pixels.shape) + random.normal(0, 20, (count, 1, 1, 3))
  return np.clip(pixels, 0, 255).astype(np.uint8), labels.astype(np.int64)


def network(norm, momentum=0.99):
  layers = [keras.Input((SIDE, SIDE, 3))]
  for filters, stride in ((16, 2), (32, 1), (32, 2), (64, 1)):
    layers.append(keras.layers.Conv2D(filters, 3, strides=stride, padding='same'))
    if norm:
      layers.append(keras.layers.BatchNormalization(momentum=momentum))
    layers.append(keras.layers.ReLU())
  layers += [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(CLASSES)]
  return keras.Sequential(layers, name='letters')


def trained(preprocess, steps, optimizer, norm=True, momentum=0.99):
  """Returns a model after so many steps on images that are preprocessed so."""
  keras.utils.set_random_seed(0)
  model = network(norm, momentum)
  model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
  pixels, labels = images(1000, 1)
  order = np.random.default_rng(0).permutation(1000)
  prepared = preprocessing(preprocess)(tf.constant(pixels[order], tf.float32))
  data = tf.data.Dataset.from_tensor_slices((prepared, labels[order]))
  model.fit(data.batch(32, True).repeat(), steps_per_epoch=steps, verbose=0)
  return model


def look(model, preprocess, weights='memory', training=None):
  backend = KerasBackend(model)
  wrapped = loading.Model(
    name='letters',
    function=backend,
    preprocess=preprocessing(preprocess),
    preprocess_name=preprocess,
    input_size=SIDE,
    output='logits',
    weights=weights,
    weights_sha256=None,
    parameters=0,
    backend=backend,
    label_space=SPACE,
    outputs=CLASSES,
  )
  if training is None:
    training = weights == 'memory'
  pixels, labels = images(128, 2)
  order = np.argsort(labels, kind='stable')  # As folders come.
  return checks.check_model(wrapped, pixels[order], labels[order], training=training)


@pytest.fixture(scope='module')
def normed():
  """A model with batch normalisation that was trained on pixels as they are."""
  return trained('identity', 150, keras.optimizers.Adam(5e-3), momentum=0.9)


def lagging(model, share):
  """Returns a model whose statistics are still so much those that they began as."""
  copy = keras.models.clone_model(model)
  copy.set_weights(model.get_weights())
  for layer in copy.layers:
    if isinstance(layer, keras.layers.BatchNormalization):
      layer.moving_mean.assign((1 - share) * layer.moving_mean)
      layer.moving_variance.assign(share + (1 - share) * layer.moving_variance)
  return copy


def test_lagging_statistics_are_not_another_preprocessing(normed):
  models = [lagging(normed, share) for share in (0.3, 0.7, 0.9)]
  # Of a file, which is evaluated as it is, they would be.
  found = [str(one) for model in models for one in look(model, 'identity', 'a.keras')]
  assert any('expected the preprocessing caffe' in one for one in found)
  for model in models:
    assert look(model, 'identity') == []
    assert all(one.doubtful for one in look(model, 'identity', training=False))


def test_models_without_statistics_that_begin():
  for given, steps in (('tf', 4), ('identity', 12)):
    model = trained(given, steps, keras.optimizers.Adam(3e-3), norm=False)
    assert look(model, given) == []
  assert look(network(True), 'tf') == look(network(False), 'identity') == []


def test_what_training_does_not_explain_is_found(normed):
  model = trained('torch', 150, keras.optimizers.Adam(5e-3), norm=False)
  for learned, given, fits in ((normed, 'identity', 'identity'), (model, 'torch', '')):
    assert look(learned, given) == []
    (finding,) = look(learned, 'tf' if given == 'identity' else 'identity')
    assert finding.check == 'normalisation' and fits in finding.fix


def test_a_loop_starts_without_alarm_and_warns_of_faults(noise, caplog):
  keras.utils.set_random_seed(0)
  model = keras.Sequential(
    [
      keras.Input((SIDE, SIDE, 3)),
      keras.layers.Conv2D(4, 3, strides=4),
      keras.layers.GlobalAveragePooling2D(),
      keras.layers.Dense(1000, bias_initializer='random_normal', name='head'),
    ],
    name='begun',
  )
  how = {'preprocess': 'tf', 'batch_size': 4, 'protocol': 'slim:rounding=nearest'}
  evaluator = tfeval.Evaluator(model, f'folder:{noise}', **how)
  model.get_layer('head').kernel.assign(tf.zeros((4, 1000)))  # All the same.
  assert evaluator.evaluate().metrics[0]['count'] == 10
  assert caplog.text == ''
  with pytest.raises(tfeval.errors.UserError, match='same outputs for all'):
    tfeval.evaluate(model, f'folder:{noise}', **how)
  probabilities = keras.Sequential(
    [model, keras.layers.Softmax()], name='probabilities'
  )
  # What no training explains: a softmax that is not declared.
  function = lambda x: probabilities(x, training=False)  # noqa: E731
  evaluator = tfeval.Evaluator(
    function, f'folder:{noise}', name='f', input_size=SIDE, output='logits', **how
  )
  with pytest.raises(tfeval.errors.UserError, match='give `output=probabilities`'):
    evaluator.evaluate()
  assert 'output: outputs from' in caplog.text
