"""EvaluateCallback inside of fit, as Keras runs it."""

import gc
import glob
import json
import math
import os
import subprocess
import sys

import fits
import keras
import numpy as np
import psutil
import pytest
import tensorflow as tf
from fits import SIZE, STEPS, Weights, callback, fit, small
from tensorflow.python.eager import context

import tfeval
from tfeval import cli
from tfeval.utils.errors import UserError

# Of the model, on the folder of noise.
RUN = 'small+noise0+squash'


@pytest.fixture(scope='module')
def real(tmp_path_factory):
  path = tmp_path_factory.mktemp('real') / 'real.json'
  path.write_text(
    json.dumps([list(range(i)) if i < 10 else [0] for i in range(50_000)])
  )
  return path


def values(metrics):
  return {
    ('val_' if entry['labels'] == 'original' else 'val_real_') + entry['name']: entry[
      'value'
    ]
    for entry in metrics
  }


@pytest.mark.slow
def test_callback_evaluate_and_command_count_the_same(noise, real, tmp_path):
  model, found = small(), callback(noise, real_labels=real, batch_size=3)
  history = fit(model, found, epochs=2)
  run = tfeval.evaluate(
    model,
    f'folder:{noise}',
    preprocess='tf',
    batch_size=5,
    preflight='off',
    real_labels=real,
    protocol='squash',
  )
  model.save(tmp_path / 'small.keras')
  assert (
    cli.main(
      [
        'evaluate',
        f'--model={tmp_path}/small.keras',
        '--name=small.keras',
        '--preprocess=tf',
        f'--dataset=folder:{noise}',
        '--preflight=off',
        f'--real_labels={real}',
        '--protocol=squash',
        f'--output_dir={tmp_path}/runs',
      ]
    )
    == 0
  )
  command = tfeval.load_run(tmp_path / 'runs/small.keras')
  counts = {
    key: [entry['correct'], entry['count']]
    for key, entry in zip(values(run.metrics), run.metrics, strict=True)
  }
  assert counts == found.history[-1]['counts']
  assert run.metrics == command.metrics
  assert {key: history[key][-1] for key in counts} == values(command.metrics)
  assert list(counts) == ['val_top1', 'val_top5', 'val_real_top1', 'val_real_top5']
  assert counts['val_real_top5'][1] == 9  # The first image has no ReaL label.


def test_epochs_and_steps(noise):
  found = callback(noise, every_epochs=2, every_steps=3)
  history = fit(small(), found, epochs=5)
  assert [(one['epoch'], one['step']) for one in found.history] == [
    (1, 3),
    (1, 4),
    (2, 6),
    (3, 8),
    (4, 9),
  ]
  # Each epoch but the first has an evaluation.
  assert len(history['val_top1']) == 4 and len(history['loss']) == 5
  # An evaluation after the last step of an epoch is that of the epoch.
  found = callback(noise, every_epochs=1, every_steps=2)
  assert len(fit(small(), found, epochs=2)['val_top1']) == 2
  assert [one['step'] for one in found.history] == [2, 4]
  found = callback(noise, every_steps=1)
  assert len(fit(small(), found)['val_top1']) == 1
  assert len(found.history) == 2


def test_a_dozen_calls_trace_and_make_pipelines_once(noise):
  found = callback(noise)
  fit(small(), found, epochs=12)
  assert len(found.history) == 12
  evaluator = found._evaluator
  assert evaluator._forward._step._call.experimental_get_tracing_count() == 1
  assert len(evaluator._runtime.pipelines) == 1
  fit(found.model, found)  # Nor in another fit.
  assert found._evaluator is evaluator
  assert evaluator._forward._step._call.experimental_get_tracing_count() == 1


def test_the_best_run_is_kept_and_the_history_goes_on(noise, tmp_path):
  labels = tmp_path / 'real.json'
  directory = tmp_path / 'out'
  arguments = {'output_dir': directory, 'real_labels': labels, 'every_steps': 1}
  # Right is whatever the untrained model answers, which it unlearns.
  model = small()
  run = tfeval.evaluate(
    model, f'folder:{noise}', preprocess='tf', preflight='off', protocol='squash'
  )
  first = run.to_arrow(['id', 'classes']).sort_by('id')['classes'].to_pylist()
  sets = [[answer[0]] for answer in first] + [[0]] * 49_990
  labels.write_text(json.dumps(sets))
  found = callback(
    noise, best_by='real_top1', metrics=['top1', 'real_top1'], **arguments
  )
  fit(model, found, epochs=2)
  hits = [one['counts']['val_real_top1'][0] for one in found.history]
  best = hits.index(max(hits)) + 1
  kept = [path.name for path in directory.iterdir() if path.name.startswith('step')]
  assert kept == [f'step-{best:08d}'] and len(hits) == 4
  assert [one['run'] for one in found.history if one['run']] == [kept[0] + '/' + RUN]
  stored = tfeval.load_run(directory / kept[0] / RUN)
  assert stored.result == found.best.result
  assert values(stored.metrics)['val_real_top1'] == max(hits) / 10
  again = callback(
    noise, best_by='real_top1', metrics=['top1', 'real_top1'], **arguments
  )
  fit(model, again, epochs=3, initial_epoch=2)
  assert [one['step'] for one in again.history] == [1, 2, 3, 4, 5, 6]
  assert again.history[:4] == found.history[:4]
  assert again.best.path.is_dir()
  with pytest.raises(UserError, match='another evaluation: metrics is .*real_top1'):
    fit(model, callback(noise, **arguments))


def test_temporary_runs_but_the_best_are_gone(noise, tmp_path, monkeypatch):
  monkeypatch.setattr('tempfile.tempdir', str(tmp_path))
  found = callback(noise)
  fit(small(), found, epochs=3)
  assert [path.parent for path in (found.best.path,)] == list(tmp_path.glob('tfeval-*'))


def event_scalars(directory):
  """Reads scalars without TensorBoard: records of `Event` messages."""
  files = sorted(glob.glob(f'{directory}/events.out.tfevents.*'))
  found = []
  for record in tf.data.TFRecordDataset(files):
    event = tf.compat.v1.Event.FromString(record.numpy())
    for value in event.summary.value:
      assert value.metadata.plugin_data.plugin_name == 'scalars'
      found.append((value.tag, event.step, float(tf.make_ndarray(value.tensor))))
  return found


@pytest.mark.slow
def test_event_files(noise, tmp_path):
  found = callback(
    noise, every_steps=1, log_dir=tmp_path, metrics=['nll', 'top1'], best_by='top1'
  )
  fit(small(), found, epochs=2)
  expected = [
    (name, entry['step'], np.float32(value))
    for entry in found.history
    for name, value in entry['metrics'].items()
  ]
  assert len(expected) == 8 and event_scalars(tmp_path) == expected


def test_event_files_as_tensorboard_reads_them(noise, tmp_path):
  reader = pytest.importorskip('tensorboard.backend.event_processing.event_accumulator')
  found = callback(noise, every_steps=1, log_dir=tmp_path)
  fit(small(), found, epochs=2)
  events = reader.EventAccumulator(str(tmp_path)).Reload()
  assert sorted(events.Tags()['tensors']) == ['val_top1', 'val_top5']
  assert [
    (one.step, float(tf.make_ndarray(one.tensor_proto)))
    for one in events.Tensors('val_top5')
  ] == [
    (entry['step'], np.float32(entry['metrics']['val_top5'])) for entry in found.history
  ]


def averages(model):
  """Returns a copy of a model whose trainable weights are the averages."""
  copy = keras.models.clone_model(model)
  copy.set_weights(model.get_weights())
  for weight, average in zip(
    copy.trainable_variables,
    model.optimizer._model_variables_moving_average,
    strict=True,
  ):
    weight.assign(average.numpy())
  return copy


@pytest.mark.parametrize(
  'mirrored', [pytest.param(False, marks=pytest.mark.slow), True]
)
def test_ema_is_evaluated_and_weights_come_back(noise, mirrored):
  strategy = (
    tf.distribute.MirroredStrategy(['CPU:0'])
    if mirrored
    else tf.distribute.get_strategy()
  )
  with strategy.scope():
    model = small(use_ema=True, ema_momentum=0.5)
  before, found, after = (
    Weights(),
    callback(noise, ema=True, store_logits=True),
    (Weights()),
  )
  copies = []
  copy = keras.callbacks.LambdaCallback(
    on_epoch_end=lambda epoch, logs: copies.append(averages(model))
  )
  fit(model, before, found, after, copy)
  for one, other in zip(before.weights[0], after.weights[0], strict=True):
    np.testing.assert_array_equal(one, other)
  expected = tfeval.evaluate(
    copies[0],
    f'folder:{noise}',
    preprocess='tf',
    preflight='off',
    batch_size=4,
    store_logits=True,
    protocol='squash',
  )
  np.testing.assert_allclose(
    found.best.to_arrow()['logits'].to_pylist(),
    expected.to_arrow()['logits'].to_pylist(),
    rtol=0,
    atol=1e-6,
  )
  assert (
    found.best.result['model']['values_sha256']
    == (expected.result['model']['values_sha256'])
  )


def test_weights_come_back_after_an_error(noise, monkeypatch):
  model = small(use_ema=True, ema_momentum=0.5)
  found, kept = callback(noise, ema=True), []

  def fail(*_):
    kept.append(model.get_weights())
    raise UserError('full')

  def on_epoch_end(epoch, logs):
    kept.append(model.get_weights())
    monkeypatch.setattr(found._evaluator, 'evaluate', fail)

  with pytest.raises(UserError, match='full'):
    fit(model, keras.callbacks.LambdaCallback(on_epoch_end=on_epoch_end), found)
  trained, averaged = kept
  assert not all(map(np.array_equal, trained, averaged))
  assert all(map(np.array_equal, trained, model.get_weights()))


def test_what_rows_do_not_give_is_not_logged(noise, caplog):
  found = callback(noise, metrics=['top1', 'auroc'])
  history = fit(small(), found)  # At chance all are wrong.
  assert 'val_auroc' not in history and 'val_top1' in history
  assert found.history[0]['metrics'].keys() == {'val_top1'}
  assert (
    'val_auroc is not logged at step 2: needs both right and wrong answers'
  ) in caplog.messages


@pytest.mark.parametrize(
  'arguments, words',
  [
    ({'metrics': ['top_1']}, "unknown metric 'top_1'"),
    ({'metrics': ['real_accuracy']}, "unknown metric 'accuracy'"),
    ({'metrics': 'top1'}, "metrics is 'top1', expected a list"),
    ({'metrics': []}, 'metrics is empty'),
    ({'metrics': [1]}, 'metrics has 1'),
    ({'metrics': ['top1', 'brier']}, 'metric brier needs all outputs'),
    ({'metrics': ['top21']}, 'metric top21 needs all outputs'),
    ({'metrics': ['nll', 'top1']}, 'nll is no such metric: give best_by'),
    ({'metrics': ['top1'], 'best_by': 'top5'}, "unknown best_by 'top5'"),
    ({'every_epochs': 0}, 'every_epochs is 0'),
    ({'every_steps': 1.5}, 'every_steps is 1.5'),
    (
      {'batchsize': 3},
      "unknown keyword of EvaluateCallback 'batchsize': did you mean batch_size",
    ),
    ({'overwrite': True}, 'unknown keyword'),
  ],
)
def test_bad_arguments_are_one_line_before_a_fit(noise, arguments, words):
  with pytest.raises(UserError, match=words) as caught:
    callback(noise, **arguments)
  assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
  'use',
  [
    lambda model, found: model.evaluate(
      np.zeros((1, SIZE, SIZE, 3)), np.zeros(1), verbose=0, callbacks=[found]
    ),
    lambda model, found: model.predict(
      np.zeros((1, SIZE, SIZE, 3)), verbose=0, callbacks=[found]
    ),
    lambda model, found: found.on_epoch_end(0, {}),
    lambda model, found: found.on_train_batch_end(0),
  ],
)
def test_outside_of_fit(noise, use):
  with pytest.raises(
    UserError, match='inside of model.fit only: elsewhere call tfeval.evaluate'
  ):
    use(small(), callback(noise))


def test_what_a_fit_cannot_be_evaluated_with(noise, tmp_path):
  with pytest.raises(UserError, match='give it use_ema=True'):
    fit(small(), callback(noise, ema=True))
  with pytest.raises(UserError, match='metric real_top1: folder:.* has no ReaL labels'):
    fit(small(), callback(noise, metrics=['top1', 'real_top1']))
  with pytest.raises(UserError, match='give `preprocess='):
    fit(small(), callback(noise, preprocess=None))
  (tmp_path / 'history.json').write_text(
    '{"version": 1, "of": {}, "evaluations": [{'
    '"step": 1, "metrics": {}, "run": "../x"}]}'
  )
  with pytest.raises(UserError, match='is not what this tfeval writes'):
    fit(small(), callback(noise, output_dir=tmp_path))


def test_a_best_run_stays_until_there_is_a_better_one(noise, real, tmp_path):
  def kept():
    (entry,) = [
      one
      for one in json.loads((tmp_path / 'history.json').read_text())['evaluations']
      if one['run']
    ]
    run = tfeval.load_run(tmp_path / entry['run'])
    counts = [[m['correct'], m['count']] for m in run.metrics if m['rule'] == 'all']
    assert counts == list(entry['counts'].values())
    return entry['counts']['val_real_top1'], entry['run']

  found = callback(noise, real_labels=real, output_dir=tmp_path, best_by='real_top1')
  fit(small(), found)
  best = found.best.metrics[2]['correct']
  for bias, expected in ((0, best), (1e9, 9), (0, 9)):
    # Each time from the first step on, with the same steps.
    model = small()
    model.layers[-1].bias.assign([bias] + [0] * 999)  # All but one have class 0.
    again = callback(noise, real_labels=real, output_dir=tmp_path, best_by='real_top1')
    fit(model, again, epochs=1)
    assert kept()[0] == [expected, 9] and again.best.metrics[2]['correct'] == expected
  assert len(list(tmp_path.glob('step-*'))) == 1
  with pytest.raises(UserError, match='returns NaN'):
    model = small()
    model.layers[-1].bias.assign([np.nan] * 1000)
    fit(
      model, callback(noise, real_labels=real, output_dir=tmp_path, best_by='real_top1')
    )
  assert kept()[0] == [9, 9]
  with pytest.raises(UserError, match='model.preprocess is tf there and caffe here'):
    fit(
      small(),
      callback(
        noise,
        real_labels=real,
        output_dir=tmp_path,
        best_by='real_top1',
        preprocess='caffe',
      ),
    )


def test_what_is_not_its_own_is_not_removed(noise, tmp_path):
  mine = tmp_path / f'step-{STEPS:08d}/mine'
  mine.parent.mkdir()
  mine.write_text('x')
  with pytest.raises(UserError, match='holds something else than runs'):
    fit(small(), callback(noise, output_dir=tmp_path))
  assert mine.is_file()


def test_layers_that_change_between_fits(noise):
  keras.utils.set_random_seed(0)
  normalise = keras.layers.Normalization(mean=None)
  normalise.adapt(np.zeros((2, SIZE, SIZE, 3)) + [[[[0, 1, 2]]]])
  model = keras.Sequential(
    [
      keras.Input((SIZE, SIZE, 3)),
      normalise,
      keras.layers.Conv2D(3, 3),
      keras.layers.GlobalAveragePooling2D(),
      keras.layers.Dense(1000),
    ]
  )
  model.compile(
    keras.optimizers.SGD(0.0),
    keras.losses.SparseCategoricalCrossentropy(from_logits=True),
  )
  found = callback(noise, preprocess='identity', output='logits', store_logits=True)

  def check():
    fit(model, found)
    run = tfeval.evaluate(
      model,
      f'folder:{noise}',
      preprocess='identity',
      output='logits',
      store_logits=True,
      preflight='off',
      batch_size=4,
      protocol='squash',
    )
    logits = [
      one.to_arrow(['id', 'logits']).sort_by('id')['logits'].to_pylist()
      for one in (found._evaluator.evaluate(), run)
    ]
    np.testing.assert_allclose(logits[0], logits[1], rtol=1e-6)
    return logits[0]

  first = check()
  normalise.adapt(np.random.default_rng(0).integers(0, 256, (4, SIZE, SIZE, 3)))
  second = check()
  model.pop()
  model.add(keras.layers.Dense(1000))
  third = check()
  assert not np.allclose(first, second) and not np.allclose(second, third)


def test_at_a_url(noise):
  for epochs in (2, 1):
    found = callback(noise, output_dir='ram://callback', log_dir='ram://callback/log')
    fit(small(), found, epochs=epochs)
  assert len(found.history) == 3
  assert tfeval.load_run(str(found.best.path)).metrics == found.best.metrics


def test_a_log_dir_that_cannot_be_written(noise, tmp_path):
  (tmp_path / 'file').touch()
  with pytest.raises(UserError, match='file cannot be written .*log_dir'):
    fit(small(), callback(noise, log_dir=tmp_path / 'file'))


def test_after_a_fit_that_failed(noise):
  class Broken(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
      raise RuntimeError('broken')

  model, found = small(), callback(noise)
  with pytest.raises(RuntimeError):
    fit(model, found, Broken())
  for call in (
    lambda: model.evaluate(
      np.zeros((1, SIZE, SIZE, 3)), np.zeros(1), verbose=0, callbacks=[found]
    ),
    lambda: found.on_epoch_end(0, {}),
    callback(noise).on_train_begin,
  ):
    with pytest.raises(UserError, match='inside of model.fit only'):
      call()
  assert 'val_top1' in fit(model, found)


@pytest.mark.slow
def test_a_hundred_calls_grow_nothing(noise):
  process, seen = psutil.Process(), []

  class Seen(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
      gc.collect()
      seen.append(
        (
          process.memory_info().rss / 2**20,
          len(context.context().list_function_names()),
        )
      )

  found = callback(noise)
  fit(small(), found, Seen(), epochs=120)
  assert seen[-1][1] == seen[19][1]
  assert seen[-1][0] - seen[19][0] < 40  # MiB: less than 0.4 of each call stay.
  assert found._evaluator._forward._step._call.experimental_get_tracing_count() == 1


def test_mirrored_fit(noise):
  with tf.distribute.MirroredStrategy(['CPU:0']).scope():
    model = small()
  found = callback(noise, every_steps=1, every_epochs=1)
  assert len(fit(model, found, epochs=2)['val_top1']) == 2
  assert [one['step'] for one in found.history] == [1, 2, 3, 4]
  assert found.best.result['compute']['strategy'] == 'MirroredStrategy'
  assert not math.isnan(found.history[-1]['metrics']['val_top1'])


def test_multi_worker_is_refused(noise, monkeypatch):
  monkeypatch.delenv('TF_CONFIG', raising=False)
  with tf.distribute.MultiWorkerMirroredStrategy().scope():
    model = small()
  with pytest.raises(UserError, match='fit fails under MultiWorkerMirroredStrategy'):
    keras.callbacks.CallbackList([callback(noise)], model=model)


TWO = """
import sys
import tensorflow as tf
cpu, = tf.config.list_physical_devices('CPU')
tf.config.set_logical_device_configuration(
    cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
sys.path.insert(0, sys.argv[2])
import tfeval
from fits import callback, fit, small
with tf.distribute.MirroredStrategy(['CPU:0', 'CPU:1']).scope():
  model = small(use_ema=True)
found = callback(sys.argv[1], every_steps=1, every_epochs=1, ema=True)
after = tfeval.keras.EvaluateCallback(
    'folder:' + sys.argv[1], preprocess='tf', batch_size=4, protocol='squash',
    prefix='val_after_')
fit(model, found, after, epochs=2)
direct = tfeval.evaluate(model, 'folder:' + sys.argv[1], preprocess='tf',
                         preflight='off', protocol='squash')
assert found._evaluator._forward._step._call.experimental_get_tracing_count() == 1
print(len(found.history), found.best.result['compute']['replicas'],
      [m['correct'] for m in direct.metrics],
      [hits for hits, _ in after.history[-1]['counts'].values()])
"""


@pytest.mark.slow
def test_fit_on_two_replicas(noise):
  done = subprocess.run(
    [sys.executable, '-c', TWO, noise, os.path.dirname(fits.__file__)],
    capture_output=True,
    text=True,
    timeout=250,
  )
  words = done.stdout.split(' ', 2)
  assert words[:2] == ['4', '2'], done.stderr[-2000:]
  direct, last = words[2].strip()[1:-1].split('] [')
  assert direct == last
