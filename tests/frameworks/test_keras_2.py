"""Models of Keras 2 beside `model.predict` and NumPy."""

import os
import pathlib
import subprocess
import sys

import frameworks
import numpy as np
import pytest
import tensorflow as tf

import tfeval
from tfeval.models.keras import activations
from tfeval.utils.errors import UserError

pytestmark = frameworks.needs('tf_keras')

IMAGES, SIDE, CLASSES = 24, 8, 6


@pytest.fixture
def keras2():
  import tf_keras

  tf_keras.utils.set_random_seed(0)
  return tf_keras


@pytest.fixture
def data():
  """Noise: images, labels, and both as a dataset of batches."""
  random = np.random.default_rng(0)
  images = random.integers(0, 256, (IMAGES, SIDE, SIDE, 3)).astype(np.float32)
  labels = np.arange(IMAGES) % CLASSES
  dataset = tf.data.Dataset.from_tensor_slices((images, labels)).batch(8)
  dataset.class_names = [f'class {number}' for number in range(CLASSES)]
  return images, labels, dataset


def network(keras2, **compiled):
  """A model that computes something else where it is trained."""
  layers = keras2.layers
  model = keras2.Sequential(
    [
      layers.Input((SIDE, SIDE, 3)),
      layers.Rescaling(1 / 255),
      layers.BatchNormalization(momentum=0.5),
      layers.Flatten(),
      layers.Dropout(0.5),
      layers.Dense(CLASSES),
    ],
    name='network',
  )
  compiled.setdefault('optimizer', keras2.optimizers.SGD(0.1))
  loss = keras2.losses.SparseCategoricalCrossentropy(from_logits=True)
  model.compile(loss=loss, **compiled)
  return model


def subclass(keras2):
  class Network(keras2.Model):
    def __init__(self):
      super().__init__(name='of_a_class')
      self.flat, self.drop = keras2.layers.Flatten(), keras2.layers.Dropout(0.5)
      self.heads = [keras2.layers.Dense(CLASSES)]
      self.scale = 255.0

    def call(self, x, training=None):
      return self.heads[0](self.drop(self.flat(x / self.scale), training=training))

  model = Network()
  loss = keras2.losses.SparseCategoricalCrossentropy(from_logits=True)
  model.compile(keras2.optimizers.SGD(0.01), loss)
  return model


def hits(model, images, labels, k=1):
  scores = model.predict(images, verbose=0)
  ranked = np.argsort(-scores, axis=1, kind='stable')[:, :k]
  return int((ranked == labels[:, None]).any(1).sum())


@pytest.mark.parametrize('make', [network, subclass])
def test_counts_are_those_of_predict(keras2, data, make):
  images, labels, dataset = data
  model = make(keras2)
  model.fit(dataset, epochs=2, verbose=0)
  run = tfeval.evaluate(model, dataset, output='logits' if make is subclass else None)
  assert run.metrics[0]['correct'] == hits(model, images, labels)
  described = run.result['model']
  assert (described['name'], described['input_size']) == (model.name, SIDE)
  assert described['parameters'] == model.count_params()


@pytest.mark.parametrize('make', [network, subclass])
def test_features_are_what_the_classifier_is_fed(keras2, data, make):
  images, _, dataset = data
  model = make(keras2)
  model.fit(dataset, verbose=0)
  found = tfeval.evaluate(model, dataset, output='logits', store_features=True)
  expected = images.reshape(IMAGES, -1) / 255
  if make is network:
    expected = keras2.Model(model.inputs, model.layers[-2].output)(images)
  np.testing.assert_allclose(found.features, expected, rtol=2**-10, atol=1e-7)


def test_evaluator_takes_the_values_of_the_moment(keras2, data):
  images, labels, dataset = data
  model = network(keras2)
  evaluator = tfeval.Evaluator(model, dataset)
  found = set()
  for _ in range(3):
    correct = evaluator.evaluate().metrics[0]['correct']
    assert correct == hits(model, images, labels)
    found.add(correct)
    model.fit(dataset, epochs=2, verbose=0)
  assert len(found) > 1


def test_what_a_model_ends_in_is_known(keras2, data):
  images, _, dataset = data
  inputs = keras2.Input((SIDE, SIDE, 3))
  last = keras2.layers.Dense(CLASSES, activation='softmax')
  model = keras2.Model(inputs, {'a': last(keras2.layers.Flatten()(inputs))})
  found = tfeval.evaluate(model, dataset).result['model']
  assert found['output'] == 'probabilities'
  with pytest.raises(UserError, match='not built'):
    tfeval.evaluate(keras2.Sequential([keras2.layers.Dense(CLASSES)]), dataset)


def test_models_are_known_by_their_values(keras2, data):
  _, _, dataset = data
  model, known = subclass(keras2), []
  for trains in (True, False, True):
    if trains:
      model.fit(dataset, verbose=0)
    model.predict(dataset, verbose=0)  # Which gives the model attributes.
    run = tfeval.evaluate(model, dataset, output='logits')
    known.append(run.result['model']['values_sha256'])
  assert None not in known and known[0] == known[1] != known[2]


@pytest.mark.parametrize('make', [network, subclass])
def test_callback_logs_the_counts_of_predict(keras2, data, make):
  images, labels, dataset = data
  seen, after_batches, expected = [], [], []
  model = make(keras2)

  class Seen(keras2.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
      after_batches.append('val_top1' in logs)

    def on_epoch_end(self, epoch, logs=None):
      seen.append(logs['val_top1'])
      expected.append(hits(self.model, images, labels))

  output = {'output': 'logits'} if make is subclass else {}
  found = tfeval.keras.EvaluateCallback(
    dataset, every_epochs=1, every_steps=3, **output
  )
  logged = model.fit(dataset, epochs=3, callbacks=[found, Seen()], verbose=0).history
  counts = [one['counts']['val_top1'] for one in found.history]
  assert counts == [[one, IMAGES] for one in expected] and len(set(expected)) > 1
  assert seen == logged['val_top1'] == [one / IMAGES for one in expected]
  assert after_batches == [False, False, True] * 3
  assert [one['step'] for one in found.history] == [3, 6, 9]


def test_training_is_the_same_bit_for_bit(keras2, data):
  _, _, dataset = data
  weights = []
  for evaluates in (False, True):
    keras2.utils.set_random_seed(1)
    model = network(keras2)
    given = [tfeval.keras.EvaluateCallback(dataset, every_steps=2)] * evaluates
    model.fit(dataset, epochs=2, callbacks=given, verbose=0)
    weights.append(model.get_weights() + [v.numpy() for v in model.optimizer.variables])
  for one, other in zip(*weights, strict=True):
    np.testing.assert_array_equal(one, other)


def test_averages_of_the_optimizer(keras2, data):
  images, labels, dataset = data
  optimizer = keras2.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.9)
  model = network(keras2, optimizer=optimizer)
  found = tfeval.keras.EvaluateCallback(dataset, ema=True)
  model.fit(dataset, epochs=2, callbacks=[found], verbose=0)
  # At the end of a fit Keras 2 puts the averages in place of the weights.
  assert found.history[-1]['counts']['val_top1'][0] == hits(model, images, labels)


def test_metrics_of_keras_2_beside_numpy(keras2, data):
  images, labels, dataset = data
  model = network(keras2)
  sparse = keras2.metrics.SparseCategoricalAccuracy(name='sparse_mean')
  found = tfeval.keras.EvaluateCallback(dataset, metrics=['top1', 'loss', sparse])
  model.fit(dataset, callbacks=[found], verbose=0)
  (entry,) = found.history
  assert entry['metrics']['val_sparse_mean'] == pytest.approx(
    hits(model, images, labels) / IMAGES
  )
  loss = model.evaluate(dataset, verbose=0)
  assert entry['metrics']['val_loss'] == pytest.approx(loss, rel=1e-5)


def test_counting_metrics_in_compile(keras2, data):
  from tfeval.keras import legacy

  images, labels, dataset = data
  weights = (np.arange(IMAGES) % 3).astype(np.float32)
  model = network(keras2, metrics=[legacy.TopK(2)], weighted_metrics=[legacy.TopK()])
  found = model.evaluate(
    images, labels, sample_weight=weights, verbose=0, return_dict=True
  )
  assert found['top2'] == pytest.approx(hits(model, images, labels, 2) / IMAGES)
  kept = weights > 0
  assert found['top1'] == pytest.approx(
    hits(model, images[kept], labels[kept]) / kept.sum()
  )
  sets = np.zeros((IMAGES, CLASSES), np.uint8)
  sets[np.arange(IMAGES), labels] = sets[:, 0] = 1
  sets[:4] = 0
  model.compile('sgd', 'mse', metrics=[legacy.RealTop1()])
  best = model.predict(images[4:], verbose=0).argmax(1)
  assert model.evaluate(images, sets, verbose=0)[1] == pytest.approx(
    ((best == labels[4:]) | (best == 0)).mean()
  )


def test_labels_that_are_no_class_end_fit_in_their_batch(keras2, data):
  from tfeval.keras import legacy

  images, _, _ = data
  model = network(keras2)
  model.compile('sgd', 'mse', metrics=[legacy.TopK()])
  with pytest.raises(UserError, match='label that is no class'):
    model.fit(images, np.full((IMAGES, CLASSES), 7.0), batch_size=8, verbose=0)
  assert model.optimizer.iterations.numpy() == 1


def test_metrics_of_the_other_version_are_refused(keras2, data):
  import keras

  from tfeval.keras import legacy, metrics

  images, labels, _ = data
  with pytest.raises(UserError, match='another version of Keras'):
    network(keras2, metrics=[metrics.TopK()])
  other = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(CLASSES)])
  other.compile('sgd', 'mse', metrics=[legacy.TopK()])
  with pytest.raises(UserError, match='another version of Keras'):
    other.evaluate(images, labels, verbose=0)


def test_callbacks_that_would_miss_what_is_logged(keras2, data, tmp_path):
  _, _, dataset = data
  callbacks = keras2.callbacks
  first = callbacks.EarlyStopping('val_top1', mode='max')
  with pytest.raises(UserError, match='EarlyStopping monitors val_top1 and st'):
    ours = tfeval.keras.EvaluateCallback(dataset)
    network(keras2).fit(dataset, callbacks=[first, ours], verbose=0)
  # Without a mode Keras 2 would keep the model with the lowest.
  best = callbacks.ModelCheckpoint(f'{tmp_path}/best.keras', 'val_top1')
  with pytest.raises(UserError, match="mode='max'"):
    ours = tfeval.keras.EvaluateCallback(dataset)
    network(keras2).fit(dataset, callbacks=[ours, best], verbose=0)


def test_tf_keras_as_keras_2_and_a_strategy():
  script = pathlib.Path(__file__).parent / 'scripts/keras_2.py'
  found = subprocess.run(
    [sys.executable, script],
    env={**os.environ, 'TF_USE_LEGACY_KERAS': '1'},
    capture_output=True,
    text=True,
    timeout=300,
  )
  assert found.returncode == 0, found.stderr[-3000:]


@pytest.mark.parametrize('ends_in', ['softmax', 'sigmoid', 'linear'])
def test_the_activation_inside_of_nested_models_is_seen(keras2, ends_in):
  layers = keras2.layers
  inner = keras2.Sequential([keras2.Input((8,)), layers.Dense(4, activation=ends_in)])
  found = inner(keras2.Input((8,)))
  for output in (
    found,
    layers.Activation('linear')(found),
    layers.Reshape((4,))(found),
  ):
    assert activations.of(output) == ends_in
