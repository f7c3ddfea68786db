"""tfeval.evaluate: models in memory are counted as the command counts them."""

import concurrent.futures
import functools
import os
import random
import subprocess
import sys

import in_memory
import keras
import numpy as np
import pytest
import tensorflow as tf
import two_workers
from in_memory import SIZE, classes, counts, evaluate, noise_pixels, small

import tfeval
from tfeval import cli
from tfeval.engine import pipeline
from tfeval.utils.errors import UserError


class Subclassed(keras.Model):
  """A model that tells nothing of itself."""

  def __init__(self, inner):
    super().__init__(name='subclassed')
    self.inner = inner

  def call(self, x, training=False):
    return self.inner(x, training=training)


@pytest.fixture(scope='module')
def answers(noise):
  """What the small model says of the noise, counted by model.predict."""
  model = small()
  pixels = noise_pixels(noise) / 127.5 - 1
  return np.argsort(-model.predict(pixels, verbose=0), axis=1, kind='stable')


def test_answers_are_those_of_predict(noise, answers):
  run = evaluate(small(), noise)
  assert classes(run) == answers[:, :20].tolist()
  assert run.result['model']['weights'] == 'memory'
  assert len(run.result['model']['values_sha256']) == 64


@pytest.mark.parametrize('kind', ['subclass', 'function', 'tfeval.Model'])
def test_any_kind_of_model_answers_the_same(noise, answers, kind, tmp_path):
  model, arguments = small(), {'output': 'logits', 'input_size': SIZE}
  if kind == 'subclass':
    model = Subclassed(model)
    model(tf.zeros((1, SIZE, SIZE, 3)))
  elif kind == 'function':
    inner = model
    model = lambda x: inner(x, training=False)  # noqa: E731
    arguments['name'] = 'function'
  else:
    model.save(tmp_path / 'small.keras')
    model = tfeval.load_model(tmp_path / 'small.keras', preprocess='tf')
    arguments = {'preprocess': None}
  run = evaluate(model, noise, **arguments)
  assert classes(run) == answers[:, :20].tolist()


def test_the_command_counts_the_same(noise, tmp_path):
  model = small()
  model.save(tmp_path / 'small.keras')
  run = evaluate(model, noise, store_logits=True)
  assert (
    cli.main(
      [
        'evaluate',
        f'--model={tmp_path}/small.keras',
        '--name=small.keras',
        '--preprocess=tf',
        '--batch_size=4',
        f'--dataset=folder:{noise}',
        '--preflight=off',
        '--store_logits',
        f'--output_dir={tmp_path}/runs',
      ]
    )
    == 0
  )
  command = tfeval.load_run(tmp_path / 'runs/small.keras')
  assert counts(run) == counts(command)
  assert run.to_arrow(['id', 'logits']).equals(command.to_arrow(['id', 'logits']))
  for key in ('content_digest', 'label_digest', 'evaluated'):
    assert run.result['dataset'][key] == command.result['dataset'][key]


@pytest.mark.parametrize('how', ['cache_dir', 'jit'])
def test_other_ways_to_the_same_answers(noise, answers, tmp_path, how, monkeypatch):
  more = {'cache_dir': tmp_path / 'cache'} if how == 'cache_dir' else {'jit': True}
  run = evaluate(small(), noise, **more)
  assert classes(run) == answers[:, :20].tolist()
  assert run.result['compute']['jit'] is (how == 'jit')
  if how == 'cache_dir':
    monkeypatch.setattr(pipeline, 'decoded', None)  # All images are there by now.
    assert classes(evaluate(small(), noise, **more)) == classes(run)


def test_a_step_is_made_anew_where_layers_answer_otherwise(noise):
  """Also where the loss, the model or another layer does not tell of itself."""

  class Mute(keras.layers.Layer):
    def get_config(self):
      raise KeyError('mute')

    def call(self, x):
      return x

  def loss(y, x):
    return keras.losses.sparse_categorical_crossentropy(y, x, from_logits=True)

  model = small()
  model = Subclassed(keras.Model(model.inputs, Mute()(model.outputs[0])))
  model(tf.zeros((1, SIZE, SIZE, 3)))
  model.compile('sgd', functools.partial(loss))
  evaluator = tfeval.Evaluator(
    model,
    f'folder:{noise}',
    preprocess='tf',
    output='logits',
    input_size=SIZE,
    preflight='off',
    batch_size=4,
    store_logits=True,
  )
  before = evaluator.evaluate().to_arrow(['id', 'logits']).sort_by('id')
  step = evaluator._forward
  for layer in model._flatten_layers(include_self=False):
    layer.trainable = False  # Which changes no answer.
  assert evaluator.evaluate() and evaluator._forward is step
  (dense,) = [
    layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.Dense)
  ]
  dense.activation = lambda x: -x
  after = evaluator.evaluate().to_arrow(['id', 'logits']).sort_by('id')
  np.testing.assert_array_equal(
    np.negative(before['logits'].to_pylist()), after['logits'].to_pylist()
  )


def test_numbers_of_numpy(noise):
  run = evaluate(small(), noise, batch_size=np.int64(4), limit=np.int32(7))
  assert run.metrics[0]['count'] == 7 and run.result['dataset']['limit'] == 7


def test_one_model_in_two_threads(noise, answers):
  model = small()
  with concurrent.futures.ThreadPoolExecutor(2) as pool:
    runs = list(
      pool.map(lambda how: evaluate(model, noise, preflight=how), ['warn', 'warn'])
    )
  assert [classes(run) for run in runs] == [answers[:, :20].tolist()] * 2


def state(model):
  """All that an evaluation may not change."""
  return {
    'weights': model.get_weights(),
    'optimizer': [v.numpy() for v in model.optimizer.variables],
    'layers': [v.numpy() for layer in model._flatten_layers() for v in layer.variables],
    'trainable': [layer.trainable for layer in model._flatten_layers()],
    'losses': len(model.losses),
    'metrics': [metric.name for metric in model.metrics],
    'compiled': (
      model.loss,
      model.optimizer,
      model.compiled,
      model.stop_training,
      model.train_function,
      model.test_function,
      model.predict_function,
    ),
    'attributes': sorted(vars(model)),
    'policy': keras.config.dtype_policy().name,
    'strategy': tf.distribute.get_strategy(),
    'tf32': tf.config.experimental.tensor_float_32_execution_enabled(),
    'python': random.getstate(),
    'numpy': np.random.get_state()[1].tolist(),
    'keras': keras.random.uniform((3,), seed=7).numpy().tolist(),
  }


def same(one, other):
  assert one.keys() == other.keys()
  for key in one:
    if key in ('weights', 'optimizer', 'layers'):
      for a, b in zip(one[key], other[key], strict=True):
        np.testing.assert_array_equal(a, b)
    else:
      assert one[key] == other[key], key


@pytest.mark.parametrize('preflight', ['off', 'warn'])
def test_nothing_is_changed(noise, preflight):
  model = small()
  model.compile('sgd', 'mse', metrics=['mae'])
  model.fit(np.zeros((4, SIZE, SIZE, 3)), np.zeros((4, 1000)), verbose=0)
  model.layers[1].trainable = False
  tf.random.set_seed(3)
  unseen = [float(tf.random.uniform(())) for _ in range(2)]
  before = state(model)
  tf.random.set_seed(3)
  assert float(tf.random.uniform(())) == unseen[0]
  evaluate(model, noise, preflight=preflight)
  assert float(tf.random.uniform(())) == unseen[1]
  same(before, state(model))


def test_other_values_are_another_model(noise, tmp_path):
  evaluate(small(0), noise, output_dir=tmp_path)
  with pytest.raises(UserError, match='complete run of a model without a weights file'):
    evaluate(small(1), noise, output_dir=tmp_path)
  run = evaluate(small(1), noise, output_dir=tmp_path, overwrite=True)
  assert tfeval.load_run(run.path).result == run.result


def test_half_a_run_goes_on_only_with_the_same_values(noise, tmp_path):
  model = small(0)
  run = evaluate(model, noise, output_dir=tmp_path)
  rows = run.path / 'predictions/part-00000.parquet'
  whole = rows.read_bytes()
  (run.path / 'result.json').unlink()
  with pytest.raises(UserError, match='holds small on .*: model.values_sha256'):
    evaluate(small(1), noise, output_dir=tmp_path)
  assert counts(evaluate(model, noise, output_dir=tmp_path)) == counts(run)
  assert rows.read_bytes() == whole


def test_a_temporary_run_lives_as_long_as_it_is_held(noise):
  run = evaluate(small(), noise)
  path = run.path
  assert tfeval.load_run(path).result == run.result
  assert 'top-1' in repr(run)
  del run
  assert not path.exists() and not path.parent.exists()


def test_progress_is_shown_if_asked_for(noise, capsys):
  evaluate(small(), noise)
  assert capsys.readouterr() == ('', '')
  evaluate(small(), noise, progress=True)
  assert 'small: 10/10 images' in capsys.readouterr().err


def test_values_that_were_trained_on_are_not_those_of_their_file(noise, tmp_path):
  small().save(tmp_path / 'small.keras')
  model = tfeval.load_model(tmp_path / 'small.keras', preprocess='tf')
  model.backend.model.layers[-1].bias.assign(np.arange(1000.0) * 100)
  run = evaluate(model, noise, preprocess=None)
  assert run.result['model']['weights_sha256'] is None
  assert all(best[0] == 999 for best in classes(run))


@pytest.mark.parametrize(
  'make, arguments, words',
  [
    (small, {'preprocess': None}, 'give `preprocess'),
    (small, {'preprocess': 'tensor'}, "unknown preprocessing 'tensor'"),
    (lambda: small(classes=10), {}, r'small returns \(None, 10\), expected'),
    (lambda: small(activation='relu'), {}, 'give `output'),
    (
      lambda: Subclassed(small()),
      {'input_size': SIZE, 'output': 'logits'},
      'subclassed is not built',
    ),
    (lambda: keras.Sequential([keras.layers.Dense(1000)]), {}, 'is not built'),
    (lambda: keras.Model, {}, 'expected a keras.Model'),
    (lambda: 'ResNet50', {}, "model is 'ResNet50', expected a keras.Model"),
    (lambda: lambda x: x, {'output': 'logits'}, 'the input size of'),
    (
      lambda: lambda x: x[:, 0, 0],
      {'output': 'logits', 'input_size': SIZE, 'name': 'f'},
      r'f returns \(4, 3\), expected \(4, 1000\)',
    ),
    (small, {'batch_size': 0}, 'batch_size is 0, expected a positive integer'),
    (small, {'limit': True}, 'limit is True'),
    (small, {'data_dir': 3}, 'data_dir is 3, expected a path'),
    (small, {'output_dir': 3}, 'output_dir is 3, expected a path'),
    (small, {'preflight': 'on'}, "unknown preflight 'on'"),
    (small, {'name': ''}, "name is ''"),
    (small, {'protocol': 'opencv:size=64'}, '64'),
    (small, {'protocol': 'published'}, '`protocol=published` is for applications'),
  ],
)
def test_bad_input_is_one_line(noise, make, arguments, words):
  with pytest.raises(UserError, match=words) as caught:
    evaluate(make(), noise, **arguments)
  assert '\n' not in str(caught.value)


def test_hints_of_a_loaded_model_and_calls_inside_a_function(noise, tmp_path):
  small().save(tmp_path / 'small.keras')
  model = tfeval.load_model(tmp_path / 'small.keras', preprocess='tf')
  with pytest.raises(UserError, match='preprocess is known of'):
    evaluate(model, noise)
  with pytest.raises(UserError, match='call it outside of tf.function'):
    tf.function(lambda: evaluate(small(), noise), autograph=False)()
  with pytest.raises(UserError, match='dataset is of type int, expected a TFDS name'):
    tfeval.evaluate(small(), 7, preprocess='tf')


def test_a_model_runs_on_the_strategy_that_it_was_made_under(noise, answers):
  strategy = tf.distribute.MirroredStrategy(['CPU:0'])
  with strategy.scope():
    model = small()
    inside = evaluate(model, noise)
    active = evaluate(small(), noise)
    assert tf.distribute.get_strategy() is strategy
  assert not tf.distribute.has_strategy()
  for run in inside, active, evaluate(model, noise):
    assert run.result['compute']['strategy'] == 'MirroredStrategy'
    assert classes(run) == answers[:, :20].tolist()


MIRRORED = """
import sys
import tensorflow as tf
cpu, = tf.config.list_physical_devices('CPU')
tf.config.set_logical_device_configuration(
    cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
sys.path.insert(0, sys.argv[2])
from in_memory import classes, evaluate, small
found = [classes(evaluate(small(), sys.argv[1]))]
strategy = tf.distribute.MirroredStrategy(['CPU:0', 'CPU:1'])
with strategy.scope():
  model = small()
  inside = evaluate(model, sys.argv[1])
  assert tf.distribute.get_strategy() is strategy
outside = evaluate(model, sys.argv[1], preflight='warn')
for run in inside, outside:
  assert run.result['compute']['replicas'] == 2
  assert run.result['compute']['strategy'] == 'MirroredStrategy'
  found.append(classes(run))
assert len(found[0]) == 10 and found[0] == found[1] == found[2]
print('same')
"""


@pytest.mark.slow
def test_mirrored_inside_and_outside_its_scope(noise):
  done = subprocess.run(
    [sys.executable, '-c', MIRRORED, noise, os.path.dirname(in_memory.__file__)],
    capture_output=True,
    text=True,
    timeout=200,
  )
  assert done.stdout == 'same\n', done.stderr[-2000:]


WORKER = """
import sys
import tensorflow as tf
strategy = tf.distribute.MultiWorkerMirroredStrategy()
sys.path.insert(0, sys.argv[2])
from in_memory import classes, counts, evaluate, small
with strategy.scope():
  model = small()
try:
  evaluate(model, sys.argv[1])
except ValueError as error:
  print(error)
run = evaluate(model, sys.argv[1], output_dir=sys.argv[3], host_timeout=60)
print(run.path, run.result['compute']['hosts'], counts(run), classes(run))
"""


@pytest.mark.slow
def test_two_workers_return_one_run(noise, answers, tmp_path):
  first, second = two_workers.run(
    WORKER, noise, os.path.dirname(in_memory.__file__), tmp_path
  )
  assert first == second
  refused, last = first.splitlines()
  assert refused == (
    '2 hosts evaluate a share each: give output_dir, a directory that all of them see'
  )
  run = tfeval.load_run(next(tmp_path.glob('small+*')))
  assert last == f'{run.path} 2 {counts(run)} {classes(run)}'
  assert classes(run) == answers[:, :20].tolist()
  assert not (run.path / 'hosts').exists()
