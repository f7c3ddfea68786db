"""Models adapted to a target, against Keras in training and NumPy by hand."""

import contextlib
import dataclasses
import hashlib
import json
import os
import shutil
import subprocess
import sys

import cv2
import keras
import numpy as np
import pyarrow.compute as pc
import pytest
import scipy.stats
import tensorflow as tf

import tfeval
from tfeval import cli, datasets
from tfeval.datasets import subset
from tfeval.evaluation.adaptation import ordering
from tfeval.runs.run import load_run
from tfeval.utils.errors import UserError

SIDE, CLASSES, COUNT = 24, 5, 46


def small(side=SIDE):
  """A network of two kinds of batch normalisation, with statistics of some source."""
  keras.utils.set_random_seed(3)
  model = keras.Sequential(
    [
      keras.Input((side, side, 3)),
      keras.layers.Conv2D(8, 3, strides=2),
      keras.layers.BatchNormalization(epsilon=1e-2),
      keras.layers.ReLU(),
      keras.layers.Dropout(0.5),
      keras.layers.GlobalAveragePooling2D(),
      keras.layers.Dense(16),
      keras.layers.BatchNormalization(scale=False),
      keras.layers.Dense(CLASSES),
    ]
  )
  values = np.random.default_rng(1)
  for layer in (model.layers[1], model.layers[6]):
    for variable in layer.weights:
      shape = variable.shape
      noise = values.normal(size=shape)
      variable.assign(abs(noise) + 0.1 if 'var' in variable.name else noise / 5)
  model.layers[1].trainable = False  # Which Keras would not give batch statistics.
  return model


@pytest.fixture(scope='module')
def photos(tmp_path_factory):
  """Noise in folders by class, so that the order of files is that of classes."""
  folder = tmp_path_factory.mktemp('photos')
  noise = np.random.default_rng(0)
  for i in range(COUNT):
    label = i * CLASSES // COUNT
    (folder / f'class{label}').mkdir(exist_ok=True)
    pixels = noise.integers(0, 120 + 30 * label, (SIDE, SIDE, 3), np.uint8)
    cv2.imwrite(str(folder / f'class{label}' / f'{i:03d}.png'), pixels)
  return folder


def images(photos):
  """Pixels by id, in [0, 1]."""
  return {
    path.name: cv2.imread(str(path))[..., ::-1] / np.float32(255)
    for path in sorted(photos.rglob('*.png'))
  }


def in_order(ids):
  return sorted(ids, key=lambda one: hashlib.sha256(f'0 {one}'.encode()).digest())


def evaluate(model, photos, **more):
  how = {'preprocess': 'unit', 'output': 'logits', 'protocol': 'squash'}
  how |= {'preflight': 'off', 'progress': False, 'store_logits': True, 'batch_size': 7}
  return tfeval.evaluate(model, f'folder:{photos}', **(how | more))


def logits(run):
  rows = run.to_arrow(['id', 'logits']).to_pylist()
  return {row['id']: np.array(row['logits']) for row in rows}


def normalise(layer, x, mean, variance):
  scaled = (x - mean) / np.sqrt(variance + layer.epsilon)
  gamma = layer.gamma.numpy() if layer.scale else 1
  return scaled * gamma + layer.beta.numpy()


def by_hand(model, pixels, n=None, source=0):
  """The network layer by layer on one batch; statistics of it and of the source."""
  x = np.stack(pixels)
  for layer in model.layers:
    if not isinstance(layer, keras.layers.BatchNormalization):
      x = layer(x, training=False).numpy()
      continue
    axes = tuple(range(x.ndim - 1))
    share = (n or len(x)) / (source + (n or len(x)))
    x64 = x.astype(np.float64)
    mean = share * x64.mean(axes) + (1 - share) * layer.moving_mean.numpy()
    variance = share * x64.var(axes) + (1 - share) * layer.moving_variance.numpy()
    x = normalise(layer, x64, mean, variance).astype(np.float32)
  return x


def assert_equal(found, expected):
  assert found.keys() == expected.keys()
  for name, values in expected.items():
    np.testing.assert_allclose(found[name], values, atol=2e-4, rtol=2e-4)


@pytest.mark.parametrize(
  ('n', 'source'),
  [(10, 16), *(pytest.param(*x, marks=pytest.mark.slow) for x in [(10, 0), (23, 5)])],
)
def test_batches_of_n_by_hand(photos, n, source):
  model, known = small(), images(photos)
  before = [values.copy() for values in model.get_weights()]
  run = evaluate(model, photos, adapt=f'bn:n={n},N={source}')
  order = in_order(known)
  expected = {}
  for start in range(0, COUNT, n):
    batch = order[start : start + n]
    # What the last one lacks are the first images.
    whole = [*batch, *order[: n - len(batch)]]
    scores = by_hand(model, [known[one] for one in whole], n, source)
    expected |= dict(zip(batch, scores, strict=False))
  assert_equal(logits(run), expected)
  assert run.result.model.adaptation.text == f'bn:n={n},N={source}'
  assert run.result.model.adaptation.seed == 0
  # Nothing of the model is another one.
  for one, other in zip(before, model.get_weights(), strict=True):
    np.testing.assert_array_equal(one, other)


def test_statistics_of_the_whole_target(photos):
  model, known = small(), images(photos)
  run = evaluate(model, photos, adapt='bn')
  # They fit into one batch: all are normalised by all.
  scores = by_hand(model, list(known.values()))
  assert_equal(logits(run), dict(zip(known, scores, strict=True)))


def test_tent_by_hand(photos):
  """Against Keras' own layers, trained by Keras' SGD in batches of the same order."""
  model, known = small(), images(photos)
  how = 'tent:lr=0.5,momentum=0.8,batch=15'
  run = evaluate(model, photos, adapt=how)
  order, expected = in_order(known), {}
  reference = small()
  layers = [x for x in reference.layers if hasattr(x, 'moving_mean')]
  learned = [v for x in layers for v in (x.gamma, x.beta) if v is not None]
  optimizer = keras.optimizers.SGD(0.5, 0.8)
  for start in range(0, COUNT, 15):
    batch = order[start : start + 15]
    x = np.stack([known[one] for one in [*batch, *order[: 15 - len(batch)]]])
    with tf.GradientTape() as tape:
      for layer in reference.layers:
        if layer in layers:
          mean, variance = tf.nn.moments(x, list(range(len(x.shape) - 1)))
          x = (x - mean) / tf.sqrt(variance + layer.epsilon)
          x = x * (layer.gamma if layer.scale else 1) + layer.beta
        else:
          x = layer(x, training=False)
      probabilities = tf.nn.softmax(x)
      entropy = -tf.reduce_sum(probabilities * tf.math.log(probabilities), 1)
      loss = tf.reduce_mean(entropy)
    # Keras' velocity has the rate in it, which is the same while that stays.
    gradients = tape.gradient(loss, [v.value for v in learned])
    optimizer.apply_gradients(zip(gradients, learned, strict=True))
    expected |= dict(zip(batch, x.numpy(), strict=False))
  assert_equal(logits(run), expected)
  plain = by_hand(small(), [known[one] for one in order[:15]])
  assert not np.allclose([logits(run)[one] for one in order[15:30]], plain, atol=0.1)


@pytest.fixture(scope='module')
def saved(tmp_path_factory):
  path = tmp_path_factory.mktemp('model') / 'small.keras'
  small().save(path)
  return path


def command(saved, photos, output, *more):
  """What evaluates the saved network; returns the adapted run."""
  flags = [f'--model={saved}', '--name=small', f'--dataset=folder:{photos}']
  flags += [
    '--preprocess=unit',
    '--output=logits',
    '--protocol=squash',
    '--input_size=24',
  ]
  flags += ['--preflight=off', '--store_logits', f'--output_dir={output}']
  assert cli.main(['evaluate', *flags, *more]) == 0
  runs = [load_run(path) for path in sorted(output.iterdir())]
  return max(runs, key=lambda run: run.result.model.adaptation is not None)


def rows(run):
  table = run.to_arrow(['id', 'classes', 'log_probs', 'logits'])
  return table.take(pc.sort_indices(table['id'])).combine_chunks()


METHODS = ('bn', 'bn:n=10,N=0', 'tent:lr=0.1,batch=10')
SLOW = METHODS[0], METHODS[2]


@pytest.mark.parametrize(
  'how', [METHODS[1], *(pytest.param(one, marks=pytest.mark.slow) for one in SLOW)]
)
def test_labels_order_and_batch_size_change_nothing(saved, photos, tmp_path, how):
  shuffled = tmp_path / 'shuffled'
  labels = np.random.default_rng(5).integers(0, CLASSES, COUNT)
  for path, label in zip(sorted(photos.rglob('*.png')), labels, strict=True):
    (shuffled / f'class{label}').mkdir(parents=True, exist_ok=True)
    shutil.copy(path, shuffled / f'class{label}')
  one = command(saved, photos, tmp_path / 'a', f'--adapt={how}', '--batch_size=7')
  other = command(saved, shuffled, tmp_path / 'b', f'--adapt={how}', '--batch_size=32')
  labels = [
    {row['id']: row['label'] for row in run.to_arrow(['id', 'label']).to_pylist()}
    for run in (one, other)
  ]
  assert sum(label != labels[1][name] for name, label in labels[0].items()) > COUNT / 2
  assert rows(one).equals(rows(other))
  assert len({first for first, *_ in rows(one)['classes'].to_pylist()}) > 1


@pytest.mark.slow
@pytest.mark.parametrize('how', METHODS[:2])
def test_two_hosts_and_an_interruption_change_nothing(saved, photos, tmp_path, how):
  alone = command(saved, photos, tmp_path / 'alone', f'--adapt={how}')
  hosts = ('--num_hosts=2', f'--adapt={how}', '--rows_per_part=10', '--batch_size=7')
  for index in (1, 0):
    flags = (*hosts, f'--host_index={index}')
    if index:
      with contextlib.suppress(StopIteration, ValueError, UserError):
        command(saved, photos, tmp_path / 'hosts', *flags)
    else:
      both = command(saved, photos, tmp_path / 'hosts', *flags)
  assert both.result.compute.hosts == 2
  assert rows(both).equals(rows(alone))
  small_parts = (f'--adapt={how}', '--rows_per_part=10', '--batch_size=5')
  parts = command(saved, photos, tmp_path / 'parts', *small_parts)
  whole = rows(parts)
  (parts.path / 'result.json').unlink()
  index = json.loads((parts.path / 'predictions/index.json').read_text())
  kept = index['parts'].pop()
  (parts.path / 'predictions/index.json').write_text(json.dumps(index))
  assert kept['rows'] < COUNT
  again = command(saved, photos, tmp_path / 'parts', *small_parts)
  assert rows(again).equals(whole)


def test_the_plain_run_stands_beside_it(saved, photos, tmp_path, capsys):
  run = command(saved, photos, tmp_path, '--adapt=bn:n=10', '--json')
  plain, adapted = json.loads(capsys.readouterr().out)
  names = {path.name for path in tmp_path.iterdir()}
  assert run.path.name in names
  assert run.path.name.removesuffix('+adapt=bn_n=10_N=16') in names - {run.path.name}
  assert 'adaptation' not in plain['model']
  assert run.key.model_name == 'small +bn:n=10,N=16'
  found = adapted['against_plain']
  truth = {row['id']: row['label'] for row in run.to_arrow(['id', 'label']).to_pylist()}
  hits = [
    {
      row['id']: row['classes'][0] == truth[row['id']]
      for row in one.to_arrow().to_pylist()
    }
    for one in (run, load_run(found['run']))
  ]
  gained = sum(hits[0][one] and not hits[1][one] for one in truth)
  lost = sum(hits[1][one] and not hits[0][one] for one in truth)
  assert found['points'] == pytest.approx(100 * (gained - lost) / COUNT)
  assert found['low'] <= found['points'] <= found['high']
  assert found['p'] == pytest.approx(
    scipy.stats.binomtest(gained, gained + lost).pvalue if gained + lost else 1
  )
  assert '--adapt=bn:n=10' in (run.path / 'flags.txt').read_text()
  assert '--adapt' not in (load_run(found['run']).path / 'flags.txt').read_text()
  # It is found again, and nothing is evaluated.
  before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob('*.parquet')}
  command(saved, photos, tmp_path, '--adapt=bn:n=10')
  assert before == {
    path: path.stat().st_mtime_ns for path in tmp_path.rglob('*.parquet')
  }
  said = ' '.join(capsys.readouterr().out.split())
  assert 'AGAINST PLAIN: ' in said
  assert 'on clean images is told by a run on these with the same --adapt' in said
  assert cli.main(['verify', str(run.path)]) == 0
  capsys.readouterr()
  assert cli.main(['explain', found['run'], str(run.path)]) == 0
  (line,) = (x for x in capsys.readouterr().out.splitlines() if 'adaptation' in x)
  assert line.split() == ['adaptation', '-', 'bn:n=10,N=16']


class OwnNormalization(keras.layers.BatchNormalization):
  """Computes in a way of its own."""

  def call(self, inputs, training=None, mask=None):
    return super().call(inputs, training=training, mask=mask)


class Compiled(keras.Model):
  """What it computes is compiled before anybody asks."""

  def __init__(self):
    super().__init__(name='compiled')
    self.inner = small()
    self.fast = tf.function(lambda x: self.inner(x, training=False))

  def call(self, x, training=False):
    return self.fast(x)


def without_normalization():
  return keras.Sequential(
    [keras.Input((SIDE, SIDE, 3)), keras.layers.Flatten(), keras.layers.Dense(CLASSES)]
  )


def with_own_normalization():
  layers = without_normalization().layers
  return keras.Sequential([keras.Input((SIDE, SIDE, 3)), OwnNormalization(), *layers])


def function():
  return lambda x: tf.tile(x[:, 0, 0], [1, 2])[:, :CLASSES]


def compiled():
  model = Compiled()
  for _ in range(2):  # Its function is traced for these images.
    model(tf.zeros([7, SIDE, SIDE, 3]))
  return model


@pytest.mark.parametrize(
  ('make', 'how', 'message'),
  [
    (without_normalization, 'bn', 'nothing to adapt: it has no BatchNormalization'),
    (without_normalization, 'tent', 'nothing to adapt: it has no BatchNormalization'),
    (with_own_normalization, 'bn', 'OwnNormalization computes in a way of its own'),
    (
      compiled,
      'bn:n=7',
      'statistics of 2 of 2 BatchNormalization layers cannot be set',
    ),
    (function, 'bn', 'no Keras model with its layers'),
    (small, 'bn:n=47', 'batches of 47 images of .* which has 46: give fewer'),
    (small, 'bn:N=4', 'give n as well'),
    (small, 'bn:n=0', 'expected a whole number from 1 on'),
    (small, 'tent:lr=-1', 'expected a number above 0'),
    (small, 'bn:m=1', "unknown option of adapt=bn 'm'"),
    (small, 'batchnorm', "unknown adaptation 'batchnorm'"),
    (small, 'prior', 'needs the run of the model on the source'),
  ],
)
def test_what_cannot_be_adapted_is_told_in_a_line(photos, tmp_path, make, how, message):
  more = {'input_size': SIDE} if make in (compiled, function) else {}
  with pytest.raises(UserError, match=message) as error:
    evaluate(make(), photos, adapt=how, output_dir=tmp_path, **more)
  assert '\n' not in str(error.value)
  # Only what is compiled already shows when it is called, after the plain run.
  assert make is compiled or not list(tmp_path.iterdir())


@pytest.mark.parametrize(
  ('flags', 'message'),
  [
    (('--adapt=bn', '--resize_on=device'), 'leave --resize_on=device out'),
    (('--adapt=bn:n=8', '--on_error=skip'), 'leave --on_error=skip out'),
    (('--adapt=tent', '--tta=flip'), 'with --tta=flip: leave one out'),
    (('--adapt=temperature:source=no',), 'needs all outputs: give --store_logits'),
    (('--adapt=prior:source=no', '--store_logits'), 'no is not a run directory'),
    (('--adapt=bn:n=47', '--protocol=opencv'), 'which has 46: give fewer'),
  ],
)
def test_contradictions_are_told_in_a_line(photos, tmp_path, capsys, flags, message):
  model = '--model=MobileNet:alpha=0.25'
  data = (f'--dataset=folder:{photos}', f'--output_dir={tmp_path}')
  assert cli.main(['evaluate', model, *data, *flags]) == 2
  (line,) = capsys.readouterr().err.strip().splitlines()
  assert message in line
  assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_outputs_of_a_source_run_make_a_run_of_their_own(
  saved, photos, tmp_path, capsys
):
  model = keras.saving.load_model(saved)
  known, labels = images(photos), {}
  for path in photos.rglob('*.png'):
    labels[path.name] = int(path.parent.name[-1])
  model.compile('adam', 'sparse_categorical_crossentropy')
  pixels, classes = np.stack(list(known.values())), [labels[one] for one in known]
  logits_of = keras.Sequential([*model.layers, keras.layers.Softmax()])
  logits_of.compile(keras.optimizers.Adam(0.01), 'sparse_categorical_crossentropy')
  logits_of.fit(pixels, np.array(classes), epochs=20, verbose=0)
  trained = tmp_path / 'trained.keras'
  keras.Sequential([keras.Input((SIDE, SIDE, 3)), *model.layers]).save(trained)
  source = command(trained, photos, tmp_path / 'source')
  few = tmp_path / 'few'
  for path in sorted(photos.rglob('*.png')):
    if labels[path.name] == 0 or not list((few / path.parent.name).glob('*')):
      (few / path.parent.name).mkdir(parents=True, exist_ok=True)
      shutil.copy(path, few / path.parent.name)
  how = f'--adapt=prior:source={source.path}'
  capsys.readouterr()
  run = command(trained, few, tmp_path / 'target', how, '--json')
  plain, adapted = json.loads(capsys.readouterr().out)
  assert run.key.model_name == 'small +prior:source=small'
  assert (
    cli.main(['score', found := adapted['against_plain']['run'], how, '--json']) == 0
  )
  scored = json.loads(capsys.readouterr().out)
  assert [one['metrics'] for one in scored] == [plain['metrics'], adapted['metrics']]
  assert scored[1]['against_plain'] == adapted['against_plain']
  assert found != str(run.path)
  # The class that most images are of is said more often.
  answers = [
    [first for first, *_ in rows(one)['classes'].to_pylist()].count(0)
    for one in (run, load_run(found))
  ]
  assert answers[0] > answers[1]
  again = command(trained, few, tmp_path / 'target', how)
  assert again.path == run.path
  assert cli.main(['verify', str(run.path)]) == 0


def test_a_dataset_that_is_read_in_ranges_alone(photos):
  dataset = datasets.open_dataset(f'folder:{photos}')
  ranges = dataclasses.replace(dataset, at=None)
  found = []
  for one in (dataset, ranges):
    ordered = ordering.in_seeded_order(one)
    assert ordered.expected_ids == in_order(dataset.expected_ids)
    read = [
      {key: value.numpy() for key, value in example.items()}
      for example in [*ordered.examples(0, 5), *ordered.examples(5)]
    ]
    assert [one['id'].decode() for one in read] == ordered.expected_ids
    found.append(read)
  assert found[0] == found[1]
  assert ordered.read_by_python
  part = subset.sample(dataset, '20')
  assert ordering.in_seeded_order(part).expected_ids == in_order(part.expected_ids)
  first = next(iter(ordering.in_seeded_order(part).examples(3)))
  assert first['id'].numpy().decode() == in_order(part.expected_ids)[3]


TWO_REPLICAS = """
import sys
import tensorflow as tf
cpu, = tf.config.list_physical_devices('CPU')
tf.config.set_logical_device_configuration(
  cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import test_adaptation as tests
from tfeval.utils import arrow
found = []
for strategy in (tf.distribute.MirroredStrategy(['CPU:0', 'CPU:1']), None):
  for how in ('bn', 'bn:n=10'):
    with strategy.scope() if strategy else tests.contextlib.nullcontext():
      model = tests.small()
    run = tests.evaluate(model, sys.argv[1], adapt=how, batch_size=8)
    assert run.result.compute.replicas == (2 if strategy else 1)
    found.append(tests.rows(run))
assert found[1].equals(found[3])
for one, two in zip(*(arrow.matrix(found[i]['logits']) for i in (0, 2))):
  tests.np.testing.assert_allclose(one, two, atol=1e-4)
with tf.distribute.MirroredStrategy(['CPU:0', 'CPU:1']).scope():
  model = tests.small()
try:
  tests.evaluate(model, sys.argv[1], adapt='tent:batch=8')
except tests.UserError as error:
  print(error)
"""


@pytest.mark.slow
def test_two_replicas_change_nothing(photos):
  environment = {**os.environ, 'PYTHONPATH': os.path.dirname(__file__)}
  done = subprocess.run(
    [sys.executable, '-c', TWO_REPLICAS, photos],
    capture_output=True,
    text=True,
    env=environment,
  )
  assert 'there are 2 replicas: give `devices=1`' in done.stdout, done.stderr[-3000:]
