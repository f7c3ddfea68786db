"""Keras metrics against loops, scikit-learn, tfeval.metrics and published answers."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import sklearn.metrics
import tensorflow as tf
from counting import case, counted, counts, one_hot, small_model

import tfeval
from tfeval.datasets.labels import imagenet
from tfeval.keras import RealTop1, RealTopK, TopK
from tfeval.metrics import accuracy, ranking
from tfeval.utils.errors import UserError


@pytest.mark.parametrize('k', [1, 2, 5, 12])
@pytest.mark.parametrize('seed', range(3))
def test_ties_against_a_loop_and_tfeval_metrics(k, seed):
  scores, sets, labels = case(seed)
  scores[0, 3] = np.nan
  real, top, rows = RealTopK(k), TopK(k), TopK(k)
  for part in np.array_split(np.arange(90), [7, 8, 50]):
    real.update_state(sets[part], scores[part])
    top.update_state(labels[part, None], scores[part])
    rows.update_state(one_hot(labels)[part].astype(np.float32), scores[part])
  assert counts(real) == counted(scores, sets, k)
  assert counts(top) == counts(rows) == counted(scores, one_hot(labels), k)
  assert float(top.result()) == top.correct / top.count
  real.reset_state()
  real.update_state(sets[1:], scores[1:])
  label_sets = accuracy.LabelSets(np.nonzero(sets[1:])[1], sets[1:].sum(1))
  hit = accuracy.hits(ranking.top_k(scores[1:], k), label_sets, k)
  stored = accuracy.counted(hit, label_sets)
  assert counts(real) == (stored.correct, stored.count)


@pytest.mark.parametrize('k', [1, 3])
def test_without_ties_against_scikit_learn(k):
  random = np.random.default_rng(k)
  scores = random.permutation(200 * 10).reshape(200, 10).astype(np.float32)
  labels = random.integers(0, 10, 200)
  metric = TopK(k)
  metric.update_state(labels, scores)
  assert metric.correct == sklearn.metrics.top_k_accuracy_score(
    labels, scores, k=k, labels=range(10), normalize=False
  )


def test_real_top1_is_top_1_of_sets():
  scores, sets, _ = case(5)
  metric = RealTop1()
  metric.update_state(sets.astype(np.uint8), scores)
  assert counts(metric) == counted(scores, sets, 1)
  assert (metric.name, RealTopK().name, TopK(5).name) == (
    'real_top1',
    'real_top5',
    'top5',
  )


@pytest.mark.slow
def test_published_predictions(shared_data):
  """Counts of 50,000 images that others counted; float16, ties at the top."""
  stem = (shared_data / 'predictions/pytorch_imagenet').as_posix() + '/resnet152_'
  classes = np.load(stem + 'pytorch_imagenet_top5preds.npy')
  found = np.load(stem + 'pytorch_imagenet_top5probs.npy')
  assert found.dtype == np.float16
  original = imagenet.original_validation_labels()
  real = imagenet.load_real_labels(shared_data / 'real' / 'real.json')
  wnids = imagenet.label_space().class_ids
  order = sorted(
    range(50_000), key=lambda i: (wnids[original[i]], imagenet.validation_name(i + 1))
  )
  top1, top5, real1, real5 = metrics = TopK(), TopK(5), RealTop1(), RealTopK()
  for start in range(0, 50_000, 2500):
    part = slice(start, start + 2500)
    scores = np.full((2500, 1000), -1, np.float16)
    np.put_along_axis(scores, classes[part], found[part], axis=1)
    sets = np.zeros((2500, 1000), bool)
    for row, image in enumerate(order[part]):
      sets[row, real[image]] = True
    labels = np.array([original[image] for image in order[part]])
    for metric in metrics:
      metric.update_state(sets if metric in (real1, real5) else labels, scores)
  assert [counts(metric) for metric in metrics] == [
    (38804, 50_000),
    (46911, 50_000),
    (39375, 46_837),
    (45011, 46_837),
  ]


@pytest.mark.parametrize('weight', [bool, np.float32, np.int64])
def test_weights_of_0_and_1_are_a_mask(weight):
  scores, sets, labels = case(6)
  keep = np.random.default_rng(0).integers(0, 2, 90).astype(weight)
  labels[np.flatnonzero(keep == 0)[0]] = 4000  # Padding may hold anything.
  for metric, truth, right in (
    (TopK(2), labels, one_hot(labels)),
    (RealTopK(2), sets, sets),
  ):
    for given in (keep, keep[:, None]):
      metric.reset_state()
      metric.update_state(truth, scores, sample_weight=given)
      assert counts(metric) == counted(scores, right, 2, keep)


@pytest.mark.parametrize('compiled', [None, False, True])
@pytest.mark.parametrize(
  'truth, weight',
  [
    ([0, 1], [1, np.nan]),
    ([0, 3], None),
    ([0, 1.5], None),
    ([[1, 0, 0], [1, 1.5, 0]], None),
    ([[1, 0, 0], [0, np.nan, 0]], None),
    ([[1, 0, 0], [1, 0, -1]], None),
  ],
)
def test_what_cannot_be_counted_is_refused(compiled, truth, weight):
  metric = TopK(2, name='top')
  scores = tf.constant([[0.5, 0.2, 0.3]] * 2)

  def update(truth, weight):
    metric.update_state(truth, scores, weight)
    return metric.result()

  words = '^top: 1 example has a sample_weight of NaN, or a label that'
  if compiled is None:
    with pytest.raises(UserError, match=words):
      update(truth, weight)
    assert counts(metric) == (0, 0)
  else:
    rate = tf.function(update, jit_compile=compiled)(
      tf.constant(truth), None if weight is None else tf.constant(weight)
    )
    assert np.isnan(rate)
    for read in (lambda: metric.correct, lambda: metric.count, metric.result):
      with pytest.raises(UserError, match=words):
        read()
    metric.reset_state()
    assert counts(metric) == (0, 0)


@pytest.mark.parametrize(
  'make, truth, shape, weight, words',
  [
    (lambda: TopK(5), [0], (1, 3), None, 'top5: k=5 of 3 classes'),
    (lambda: TopK(0), [0], (1, 3), None, 'k=0 of TopK'),
    (lambda: RealTopK(True), [0], (1, 3), None, 'k=True of RealTopK'),
    (RealTop1, np.zeros((2, 4)), (2, 3), None, r'shape \(2, 4\), y_pred \(2, 3\)'),
    (RealTop1, np.zeros((2, 1)), (2, 3), None, r'shape \(2, 1\), y_pred \(2, 3\)'),
    (RealTop1, np.zeros((1, 3)), (2, 3), None, r'shape \(1, 3\), y_pred \(2, 3\)'),
    (TopK, np.zeros((2, 4)), (2, 3), None, r'shape \(2, 4\), y_pred \(2, 3\)'),
    (TopK, [0], (2, 3), None, r'y_true has shape \(1,\), y_pred \(2, 3\)'),
    (TopK, [0, 1], (2, 3), [1], r'sample_weight has shape \(1,\)'),
    (TopK, [0, 1], (2, 3, 4), None, r'y_pred has shape \(2, 3, 4\)'),
    (RealTop1, [[2, 0, 0]], (1, 3), None, 'a y_true with values outside of 0 to 1'),
  ],
)
def test_bad_arguments(make, truth, shape, weight, words):
  with pytest.raises(UserError, match=words) as caught:
    make().update_state(truth, np.zeros(shape, np.float32), weight)
  assert '\n' not in str(caught.value)


@pytest.mark.parametrize('compiled', [False, True])
def test_unequal_batches_fail_in_a_graph_too(compiled):
  real, top = RealTop1(), TopK()
  scores = tf.ones((2, 3))

  def update(metric, truth, shape):
    tf.function(
      metric.update_state,
      jit_compile=compiled,
      input_signature=[tf.TensorSpec(truth, tf.int32), tf.TensorSpec((None, 3))],
    )(tf.ones(shape, tf.int32), scores)

  update(real, (None, None), (2, 3))
  update(top, (None,), (2,))
  for metric, truth, shape in [
    (real, (None, None), (1, 3)),
    (real, (None, None), (2, 1)),
    (real, (None, None), (3, 2)),
    (top, (None,), (1,)),
    (top, (None, 1), (1, 1)),
    (top, (None, 1), (3, 1)),
  ]:
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
      update(metric, truth, shape)
  assert counts(real) == (2, 2) and counts(top) == (0, 2)


def test_no_labels_no_accuracy():
  metric = TopK()
  assert np.isnan(metric.result())
  metric.update_state([-1], [[0.5, 0.5]])
  assert counts(metric) == (0, 0) and np.isnan(metric.result())
  assert metric.result().dtype == tf.float64


def test_merging():
  scores, _, labels = case(7)
  parts = [TopK(2) for _ in range(4)]
  for metric, rows in zip(parts, np.array_split(np.arange(90), 4), strict=True):
    metric.update_state(labels[rows], scores[rows])
  parts[0].merge_state(parts[1:])
  assert counts(parts[0]) == counted(scores, one_hot(labels), 2)
  for other in (TopK(1), RealTopK(2)):
    with pytest.raises(UserError, match='not a TopK with k=2'):
      parts[0].merge_state([other])
  inside = tf.function(lambda: parts[0].merge_state([parts[1]]), autograph=False)
  with pytest.raises(UserError, match='read outside of tf.function'):
    inside()


@pytest.mark.parametrize(
  'how',
  [
    {},
    pytest.param({'jit_compile': True}, marks=pytest.mark.slow),
    {'jit_compile': False},
    {'run_eagerly': True},
    pytest.param({'steps_per_execution': 3}, marks=pytest.mark.slow),
  ],
)
def test_in_fit_and_evaluate(how):
  _, sets, _ = case(8)
  pixels = np.random.default_rng(1).normal(size=(90, 6)).astype(np.float32)
  keep = np.random.default_rng(0).integers(0, 2, 90)
  metric = RealTopK(2)
  model = small_model(
    metrics=[metric, RealTop1()], weighted_metrics=[RealTopK(2, name='kept')], **how
  )
  history = model.fit(
    pixels,
    sets,
    batch_size=32,
    epochs=2,
    verbose=0,
    validation_data=(pixels, sets, keep),
  ).history
  logs = model.evaluate(pixels, sets, 32, 0, sample_weight=keep, return_dict=True)
  scores = model.predict(pixels, verbose=0)
  correct, count = counted(scores, sets, 2)
  assert counts(metric) == (correct, count)
  kept = counted(scores, sets, 2, keep)
  assert logs['real_top2'] == correct / count and logs['kept'] == kept[0] / kept[1]
  assert {'real_top2', 'real_top1', 'kept'} <= {*history}
  assert (history['val_real_top2'][-1], history['val_kept'][-1]) == (
    logs['real_top2'],
    logs['kept'],
  )


def test_a_constant_model_is_at_chance():
  labels = np.arange(60) % 12
  model = small_model(metrics=[TopK(), TopK(3)])
  model.set_weights([np.zeros_like(w) for w in model.get_weights()])
  logs = model.evaluate(np.ones((60, 6)), one_hot(labels), verbose=0, return_dict=True)
  assert (logs['top1'], logs['top3']) == (1 / 12, 3 / 12)
  theirs = keras.metrics.SparseTopKCategoricalAccuracy(3)
  theirs.update_state(labels, np.zeros((60, 12), np.float32))
  assert float(theirs.result()) == 1


@pytest.mark.parametrize('policy', ['mixed_bfloat16', 'mixed_float16'])
def test_narrow_logits_are_ranked_as_they_are(policy):
  before = keras.config.dtype_policy()
  try:
    keras.config.set_dtype_policy(policy)
    metric = TopK(2)
    model = small_model(metrics=[metric])
  finally:
    keras.config.set_dtype_policy(before)
  labels = np.arange(90) % 12
  pixels = np.random.default_rng(1).normal(size=(90, 6)).round().astype(np.float32)
  model.evaluate(pixels, one_hot(labels), verbose=0)
  scores = model.predict(pixels, verbose=0)
  assert scores.dtype == policy.removeprefix('mixed_')
  assert counts(metric) == counted(scores.astype(np.float32), one_hot(labels), 2)
  assert {variable.dtype for variable in metric.variables} == {'int64'}


class Masked(keras.layers.Layer):
  """Leaves out the examples whose first output is negative."""

  def call(self, inputs):
    return inputs

  def compute_mask(self, inputs, mask=None):
    return inputs[:, 0] >= 0


def test_the_mask_of_keras_leaves_examples_out():
  metric = TopK()
  inputs = keras.layers.Input((12,))
  model = keras.Model(inputs, Masked()(inputs))
  model.compile(
    loss=keras.losses.BinaryCrossentropy(from_logits=True), metrics=[metric]
  )
  scores, _, labels = case(9)
  model.evaluate(scores, one_hot(labels), batch_size=10, verbose=0)
  assert counts(metric) == counted(scores, one_hot(labels), 1, scores[:, 0] >= 0)


@pytest.mark.parametrize('metric', [RealTop1('mine'), RealTopK(3), TopK(np.int64(2))])
def test_made_again_from_what_keras_stores(metric):
  stored = json.loads(json.dumps(keras.saving.serialize_keras_object(metric)))
  again = keras.saving.deserialize_keras_object(stored)
  assert (type(again), again.k, again.name) == (type(metric), metric.k, metric.name)


def test_a_variable_of_a_strategy():
  strategy = tf.distribute.MirroredStrategy(['CPU:0'])
  scores, _, labels = case(4)
  with strategy.scope():
    metric = TopK(2)
  strategy.run(metric.update_state, (labels, scores))
  metric.update_state(labels, scores)
  assert counts(metric) == tuple(2 * n for n in counted(scores, one_hot(labels), 2))


@pytest.mark.slow
def test_saved_with_the_model(tmp_path):
  model = small_model(metrics=[RealTop1(), RealTopK(3), TopK(np.int64(2), 'mine')])
  pixels, (_, _, labels) = np.ones((90, 6)), case(3)
  logs = model.evaluate(pixels, one_hot(labels), verbose=0, return_dict=True)
  model.save(tmp_path / 'model.keras')
  code = (
    'import json, sys, keras, numpy as np, tfeval\n'
    'tfeval.keras\n'
    'model = keras.models.load_model(sys.argv[1])\n'
    'y = np.load(sys.argv[2])\n'
    'print(json.dumps(model.evaluate(np.ones((90, 6)), y, verbose=0, '
    'return_dict=True)))'
  )
  np.save(tmp_path / 'y.npy', one_hot(labels))
  done = subprocess.run(
    [sys.executable, '-c', code, tmp_path / 'model.keras', tmp_path / 'y.npy'],
    capture_output=True,
    text=True,
    timeout=120,
  )
  assert done.returncode == 0, done.stderr[-2000:]
  found = json.loads(done.stdout.splitlines()[-1])
  for name in ('real_top1', 'real_top3', 'mine'):
    assert found[name] == logs[name]


@pytest.mark.slow
def test_one_import_and_no_tensorflow_before_it():
  assert tfeval.keras.RealTop1 is RealTop1 and 'keras' in dir(tfeval)
  code = (
    'import sys, tfeval\nassert not {"tensorflow", "keras"} & {*sys.modules}\n'
    'tfeval.keras.RealTop1()'
  )
  subprocess.run([sys.executable, '-c', code], check=True, timeout=120)


@pytest.mark.slow
def test_replicas_add_up(tmp_path):
  """In a process of its own: logical devices are fixed when TensorFlow starts."""
  scores, sets, labels = case(11, n=91)
  np.savez(tmp_path / 'case.npz', scores=scores, sets=sets, labels=labels)
  done = subprocess.run(
    [sys.executable, '-c', TWO_REPLICAS, tmp_path / 'case.npz'],
    capture_output=True,
    text=True,
    timeout=240,
  )
  assert done.returncode == 0, done.stderr[-3000:]
  real, top = counted(scores, sets, 2), counted(scores, one_hot(labels), 2)
  assert json.loads(done.stdout.splitlines()[-1]) == {
    'evaluate': [*real],
    'logs': real[0] / real[1],
    'loop': [*top],
    'eager loop': [*top],
    'outside': [*top],
    'merged': [3 * n for n in top],
  }


TWO_REPLICAS = """
import json, sys
import keras, numpy as np, tensorflow as tf
cpu, = tf.config.list_physical_devices('CPU')
tf.config.set_logical_device_configuration(
    cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import tfeval
scores, sets, labels = (np.load(sys.argv[1])[n] for n in ('scores', 'sets', 'labels'))
strategy = tf.distribute.MirroredStrategy(['CPU:0', 'CPU:1'])
found = {}
counts = lambda metric: [metric.correct, metric.count]
with strategy.scope():
  real, top = tfeval.keras.RealTopK(2), tfeval.keras.TopK(2)
  model = keras.Sequential([keras.layers.Input((12,)), keras.layers.Dense(12)])
  model.compile('sgd', keras.losses.BinaryCrossentropy(from_logits=True),
                metrics=[real], jit_compile=False)
# Keras adds up bool data, and fails. The last batch is of one example: a replica
# has none.
sets = sets.astype(np.uint8)
model.fit(scores, sets, batch_size=10, verbose=0)
model.set_weights([np.eye(12), np.zeros(12)])
found['logs'] = model.evaluate(scores, sets, batch_size=10, verbose=0,
                               return_dict=True)['real_top2']
found['evaluate'] = counts(real)
data = tf.data.Dataset.from_tensor_slices((labels, scores)).batch(10)
step = lambda batch: strategy.run(top.update_state, batch)
for name, step in (('eager loop', step), ('loop', tf.function(step))):
  top.reset_state()
  for batch in strategy.experimental_distribute_dataset(data):
    step(batch)
  found[name] = counts(top)
top.reset_state()
for y, x in data:
  top.update_state(y, x)
found['outside'] = counts(top)
one = tfeval.keras.TopK(2)
one.update_state(labels, scores)
top.merge_state([one, one])
found['merged'] = counts(top)
print(json.dumps(found))
"""
