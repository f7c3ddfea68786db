"""Soft labels and weights in Keras metrics, against plain Python; what ends a fit."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from counting import case, counted, counts, small_model

from tfeval.keras import RealTopK, TopK
from tfeval.utils.errors import UserError


def soft(seed, n=90, classes=12):
  """Mixed labels: many ties, some rows of zeros, some one-hot."""
  random = np.random.default_rng(seed)
  labels = np.eye(classes)[random.integers(0, classes, (2, n))]
  share = random.choice([0, 0.25, 0.5, 1], (n, 1))
  return np.where(
    np.arange(n)[:, None] % 9, share * labels[0] + (1 - share) * labels[1], 0
  )


def first_of_highest(labels):
  """Of each row the first class with the highest label, as a set; in plain Python."""
  found = np.zeros(labels.shape, bool)
  for row, values in zip(found, labels.tolist(), strict=True):
    row[values.index(max(values))] = max(values) > 0
  return found


@pytest.mark.parametrize('dtype', ['float16', 'bfloat16', 'float32', 'float64'])
def test_the_highest_soft_label_counts(dtype):
  scores, _, _ = case(12)
  labels, weight = soft(12), np.random.default_rng(3).choice([0, -2, 1e-45, 0.5, 7], 90)
  given = tf.cast(labels, dtype)
  for metric in (TopK(2), RealTopK(2)):
    metric.update_state(given, scores, weight.astype(np.float32))
    assert counts(metric) == counted(scores, first_of_highest(labels), 2, weight)
  smooth = tf.cast(given * 0.9 + 0.1 / 12, dtype)[1:9]
  metric = RealTopK(2)
  metric.update_state(smooth, scores[1:9])
  assert counts(metric) == counted(scores[1:9], first_of_highest(labels[1:9]), 2)


def test_sets_of_0_and_1_stay_sets_beside_soft_labels():
  scores, sets, _ = case(13)
  labels = soft(13)
  labels[::2] = sets[::2]
  right = np.where(np.arange(90)[:, None] % 2, first_of_highest(labels), sets)
  metric = RealTopK(2)
  metric.update_state(labels, scores)
  assert counts(metric) == counted(scores, right, 2)
  assert (right.sum(1) > 1).any()
  top = TopK(2)  # It knows no sets.
  top.update_state(labels, scores)
  assert counts(top) == counted(scores, first_of_highest(labels), 2)


def test_mixup_class_weights_and_sample_weights_in_fit():
  random = np.random.default_rng(1)
  pixels = random.normal(size=(88, 6)).astype(np.float32)
  share = random.beta(0.2, 0.2, (88, 1)).astype(np.float32)
  one_hots = np.eye(12, dtype=np.float32)[random.integers(0, 12, (2, 88))]
  mixed = share * one_hots[0] + (1 - share) * one_hots[1]
  weight = random.choice([0, 0.3, 2], 88)
  metric, kept, plain = TopK(2), TopK(2, 'kept'), RealTopK(2)
  model = small_model(metrics=[metric, plain], weighted_metrics=[kept])
  model.optimizer.learning_rate = 0.0
  scores = model.predict(pixels, verbose=0)
  right = first_of_highest(mixed)
  for labels, how, weights in (
    (mixed, {'sample_weight': weight}, weight),
    # Keras gives mixed labels the weight of their class with the highest.
    (mixed, {'class_weight': {c: c % 3 for c in range(12)}}, right.argmax(1) % 3),
  ):
    model.fit(pixels, labels, batch_size=22, verbose=0, **how)
    assert counts(kept) == counted(scores, right, 2, weights)
    assert counts(metric) == counts(plain) == counted(scores, right, 2)


class Batches(keras.callbacks.Callback):
  def __init__(self):
    super().__init__()
    self.seen = []

  def on_train_batch_end(self, batch, logs=None):
    self.seen.append(batch)


@pytest.mark.parametrize(
  'how',
  [
    {'jit_compile': True},
    pytest.param({'jit_compile': False}, marks=pytest.mark.slow),
  ],
)
def test_what_is_refused_ends_a_fit_in_its_batch(how):
  labels = np.full((20, 1), 3)
  labels[9] = 12
  model = small_model()
  model.compile('sgd', 'mse', metrics=[TopK()], **how)
  for epoch_of_fit in range(2):  # Traced, and as it was traced before.
    batches = Batches()
    with pytest.raises(UserError, match='^top1: 1 example has .* no class of y_pred'):
      model.fit(
        np.ones((20, 6)),
        labels,
        batch_size=4,
        verbose=0,
        shuffle=False,
        callbacks=[batches],
      )
    assert batches.seen == [0, 1, 2], epoch_of_fit
  labels[9] = 0
  model.fit(np.ones((20, 6)), labels, verbose=0)
  batches = keras.callbacks.LambdaCallback(
    on_test_batch_end=lambda batch, logs: tested.append(batch)
  )
  labels[1], tested = 99, []
  with pytest.raises(UserError, match='no class of y_pred'):
    model.evaluate(np.ones((20, 6)), labels, 4, verbose=0, callbacks=[batches])
  assert tested == [0]
