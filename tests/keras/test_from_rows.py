"""Metrics of Keras in EvaluateCallback, against scikit-learn and NumPy."""

import keras
import numpy as np
import pytest
import scipy.special
import sklearn.metrics
from fits import callback, fit, small

from tfeval.datasets.labels import imagenet
from tfeval.keras import EvaluateCallback, RealTop1, TopK
from tfeval.utils.errors import UserError


def cross_entropy(name='cross_entropy'):
  return keras.metrics.SparseCategoricalCrossentropy(name=name, from_logits=True)


def test_keras_metrics_and_the_loss_are_those_of_all_outputs(noise):
  def top400():
    return keras.metrics.SparseTopKCategoricalAccuracy(400, name='sparse_top400')

  shared = top400()
  metrics = [
    'top1',
    'f1',
    keras.metrics.TopKCategoricalAccuracy(300, name='top300'),
    shared,
    cross_entropy(),
    'loss',
    TopK(500),
  ]

  def train(metric, *callbacks):
    model = small()
    # It goes on counting the training.
    model.compile(model.optimizer, model.loss, metrics=[metric])
    history = fit(model, *callbacks, epochs=2)
    state = [np.array(value) for value in model.optimizer.variables]
    return history, [*model.get_weights(), *state]

  found = callback(noise, metrics=metrics, every_steps=1)
  (history, values), (alone, values_alone) = train(shared, found), train(top400())
  assert {name: history[name] for name in alone} == alone
  assert all(map(np.array_equal, values, values_alone))
  rows = found.best.to_arrow(['id', 'label', 'logits'])
  labels = np.array(rows['label'].to_pylist())
  logits = np.array(rows['logits'].to_pylist())
  answers = imagenet.original_validation_labels()
  assert labels.tolist() == [
    answers[int(i[-13:-5]) - 1] for i in rows['id'].to_pylist()
  ]
  (best,) = [
    one['metrics'] for one in found.history if one['step'] == found.history[0]['step']
  ]
  place = (-logits).argsort(1).argsort(1)[np.arange(10), labels]
  nll = -scipy.special.log_softmax(logits, 1)[np.arange(10), labels].mean()
  expected = {
    'val_top1': (place < 1).mean(),
    'val_f1': sklearn.metrics.f1_score(
      labels, logits.argmax(1), labels=range(1000), average='macro', zero_division=0
    ),
    'val_top300': (place < 300).mean(),
    'val_sparse_top400': (place < 400).mean(),
    'val_cross_entropy': nll,
    'val_loss': nll,
    'val_top500': (place < 500).mean(),
  }
  assert list(best) == list(expected)
  assert best == pytest.approx(expected, rel=1e-5, abs=1e-9)


@pytest.mark.parametrize('activation', ['sigmoid', None])
def test_of_a_single_output_they_are_those_of_keras(activation):
  keras.utils.set_random_seed(0)
  random = np.random.default_rng(0)
  images = random.integers(0, 256, (60, 8, 8, 3)).astype(np.float32)
  labels = (images[..., 0].mean((1, 2)) > 127).astype(np.int64)
  model = keras.Sequential(
    [
      keras.Input((8, 8, 3)),
      keras.layers.Rescaling(1 / 255),
      keras.layers.GlobalAveragePooling2D(),
      keras.layers.Dense(1, activation),
    ]
  )
  from_logits = activation is None
  model.compile('sgd', keras.losses.BinaryCrossentropy(from_logits=from_logits))

  def of_keras():
    found = [keras.metrics.AUC(from_logits=from_logits, name='auc')]
    # Its threshold is one of probabilities.
    return found if from_logits else [*found, keras.metrics.Recall(name='recall')]

  metrics = ['top1', 'loss', 'f1', *of_keras()]
  found = EvaluateCallback((images, labels), metrics=metrics)
  model.fit(images, labels, epochs=2, verbose=0, callbacks=[found])
  model.compile('sgd', model.loss, metrics=of_keras())
  expected = model.evaluate(images, labels, verbose=0, return_dict=True)
  scores = model.predict(images, verbose=0)[:, 0]
  said = scores > (0 if from_logits else 0.5)
  values = found.history[-1]['metrics']
  assert found.history[-1]['counts']['val_top1'] == [int((said == labels).sum()), 60]
  assert values['val_f1'] == pytest.approx(
    sklearn.metrics.f1_score(labels, said, average='macro'), rel=1e-6
  )
  assert {name: values[f'val_{name}'] for name in expected} == pytest.approx(
    expected, rel=1e-5
  )


def test_a_loss_of_the_users_gets_the_labels_of_the_fit(noise):
  def expected_class(labels, outputs):
    chances = keras.ops.softmax(outputs)
    found = keras.ops.sum(chances * keras.ops.arange(1000, dtype='float32'), -1)
    return keras.ops.square(keras.ops.cast(labels, 'float32') - found)

  model = small()
  model.compile('sgd', expected_class)
  found = callback(noise, metrics=['top1', 'loss'], store_logits=True)
  fit(model, found)
  rows = found.best.to_arrow(['label', 'logits'])
  chances = scipy.special.softmax(np.array(rows['logits'].to_pylist()), 1)
  errors = np.array(rows['label'].to_pylist()) - chances @ np.arange(1000)
  loss = found.history[-1]['metrics']['val_loss']
  assert loss == pytest.approx((errors**2).mean(), rel=1e-4)

  def of_all_pairs(labels, outputs):
    chosen = keras.ops.cast(keras.ops.argmax(outputs, -1, keepdims=True), 'float32')
    return keras.ops.square(keras.ops.cast(labels, 'float32') - chosen)

  model.compile('sgd', of_all_pairs)
  with pytest.raises(UserError, match=r'gives \(3, 3\) for 3 images') as caught:
    fit(model, callback(noise, metrics=['top1', 'loss']))
  assert '\n' not in str(caught.value)


def test_what_layers_add_to_a_loss_is_left_out_and_told(noise, caplog):
  model = small()
  model.layers[-1].kernel.regularizer = keras.regularizers.L2(0.1)
  fit(model, callback(noise, metrics=['top1', 'loss']))
  assert "Keras' own val_loss has too, are left out" in caplog.text


def test_a_history_is_of_metrics_as_they_are_configured(noise, tmp_path):
  fit(
    small(),
    callback(
      noise, metrics=['top1', keras.metrics.F1Score('macro')], output_dir=tmp_path
    ),
  )
  with pytest.raises(UserError, match='another evaluation: metrics is'):
    fit(
      small(),
      callback(
        noise, metrics=['top1', keras.metrics.F1Score('micro')], output_dir=tmp_path
      ),
    )


@pytest.mark.parametrize(
  'arguments, words',
  [
    ({'metrics': ['top1', RealTop1()]}, "real_top1 is of sets .* 'real_top1' in its"),
    ({'metrics': [TopK(), TopK()]}, 'two metrics are called top1'),
    ({'metrics': ['top1', TopK()]}, 'two metrics are called top1'),
    ({'metrics': ['top1', 'loss'], 'store_logits': False}, 'leave store_logits out'),
    ({'metrics': ['loss', 'top1']}, 'loss is no such metric: give best_by'),
    ({'metrics': [cross_entropy()]}, 'cross_entropy is no such metric: give best_by'),
    (
      {'metrics': ['top1', keras.metrics.F1Score()]},
      r"f1_score gives values of shape \(1000,\), expected one number: .* 'macro' say",
    ),
    (
      {'metrics': ['top1', keras.metrics.MeanIoU(3, sparse_y_pred=False)]},
      'metric mean_io_u cannot be computed of labels and outputs: ',
    ),
  ],
)
def test_what_is_no_number_is_refused_before_a_step(noise, arguments, words):
  model = small()
  with pytest.raises(UserError, match=words) as caught:
    fit(model, callback(noise, **arguments))
  assert '\n' not in str(caught.value) and int(model.optimizer.iterations) == 0
