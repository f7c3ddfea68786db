"""tfeval watch, on checkpoints as Keras and TensorFlow write them."""

import importlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import keras
import kills
import numpy as np
import pytest
import tensorflow as tf
from evaluations import run_content

import tfeval as tfeval_lib
from tfeval.utils import locks

SIZE = 32
MODULE = """
import keras

def build():
  return keras.Sequential([
      keras.Input((32, 32, 3)), keras.layers.Conv2D(4, 3, strides=2, name='conv'),
      keras.layers.BatchNormalization(name='norm'),
      keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(1000, name='dense')],
      name='small')
"""


@pytest.fixture
def build(tmp_path, monkeypatch):
  """A factory of models with other values at each call."""
  (tmp_path / 'of_watch.py').write_text(MODULE)
  monkeypatch.syspath_prepend(str(tmp_path))
  import of_watch

  def made(seed):
    keras.utils.set_random_seed(seed)
    model = of_watch.build()
    model.get_layer('norm').moving_mean.assign(np.random.random(4))
    return model

  return made


@pytest.fixture
def watch(tfeval, noise, tmp_path):
  """Watches tmp_path/training; returns the exit code, the entries and stderr."""

  def run(*flags):
    code, out, err = tfeval(
      'watch',
      tmp_path / 'training',
      f'--dataset=folder:{noise}',
      '--preprocess=tf',
      '--batch_size=4',
      '--protocol=squash',
      '--poll_seconds=.05',
      f'--output_dir={tmp_path}/runs',
      '--json',
      *flags,
    )
    return code, [json.loads(line) for line in out.splitlines()], err

  (tmp_path / 'training').mkdir()
  return run


def counts(model, noise):
  run = tfeval_lib.evaluate(
    model,
    f'folder:{noise}',
    preprocess='tf',
    batch_size=5,
    preflight='off',
    protocol='squash',
  )
  shown = [m for m in run.metrics if not run.classes.is_partner(m.rule)]
  return [[m['correct'], m['count']] for m in shown], answers(run)


def answers(run):
  return run.to_arrow(['id', 'classes', 'log_probs']).sort_by('id')


def found(entry, tmp_path):
  run = tfeval_lib.load_run(tmp_path / 'runs' / entry['run'])
  return list(entry['counts'].values()), answers(run)


def save(model, folder, number):
  """Writes one of the kinds; returns its name."""
  if number % 3 == 0:
    model.save(folder / f'{number}.keras')
  elif number % 3 == 1:
    model.save_weights(folder / f'{number}.weights.h5')
  else:
    optimizer = keras.optimizers.Adam()
    optimizer.build(model.trainable_variables)
    tf.train.Checkpoint(optimizer=optimizer, model=model).write(
      str(folder / f'ckpt-{number}')
    )


@pytest.mark.slow
def test_each_kind_once_in_order(watch, build, noise, tmp_path):
  models = {number: build(number) for number in (11, 9, 10)}
  for number, model in models.items():
    save(model, tmp_path / 'training', number)
  flags = '--model=of_watch:build', '--final_step=11'
  code, entries, err = watch(*flags)
  assert code == 0, err
  assert [entry['checkpoint'] for entry in entries] == [
    '9.keras',
    '10.weights.h5',
    'ckpt-11',
  ]
  for entry in entries:
    expected = counts(models[entry['step']], noise)
    assert found(entry, tmp_path) == expected
  assert watch(*flags)[:2] == (0, [])  # Known from watched.json.
  (tmp_path / 'training/9.keras').unlink()
  tf.train.Checkpoint(build(12)).write(str(tmp_path / 'training/root-12'))
  save(build(13), tmp_path / 'training', 13)
  code, entries, _ = watch(*flags, '--order=newest')
  assert code == 0 and [entry['step'] for entry in entries] == [13, 12]
  _check_scalars(tmp_path / 'runs/tensorboard', tmp_path / 'runs/watched.json')


def _check_scalars(log_dir, watched):
  accumulator = pytest.importorskip(
    'tensorboard.backend.event_processing.event_accumulator'
  )
  reader = accumulator.EventAccumulator(str(log_dir))
  reader.Reload()
  by_step = {}
  for event in reader.Tensors('val_top1'):
    by_step[event.step] = float(tf.make_ndarray(event.tensor_proto))
  stored = json.loads(watched.read_text())['evaluations']
  assert by_step == {
    entry['step']: np.float32(entry['metrics']['val_top1']) for entry in stored
  }


def test_what_is_awaited_is_said_at_once_and_is_an_error_when_none_came(
  watch, build, tmp_path
):
  flags = '--model=of_watch:build', '--timeout=0.1'
  code, entries, err = watch(*flags)
  assert (code, entries) == (2, [])
  first, *_, last = err.splitlines()
  assert first.startswith('tfeval: waiting for 0.1 s at most for a checkpoint in ')
  assert 'training (.keras, .weights.h5, ' in first
  assert 'no checkpoint came into' in last and '--timeout=0.1 seconds' in last
  (tmp_path / 'training').rmdir()
  code, entries, err = watch(*flags)
  assert (code, entries) == (2, [])
  assert 'for the folder' in err.splitlines()[0]
  assert 'which is not there yet' in err.splitlines()[0]


@pytest.mark.slow
def test_models_by_themselves_written_over_and_half_written(
  watch, build, noise, tmp_path
):
  best, later = build(0), build(1)
  path = tmp_path / 'training/best.keras'
  best.save(path)
  code, entries, err = watch('--timeout=0')
  assert code == 0 and [e['step'] for e in entries] == [0], err
  later.save(tmp_path / 'later.keras')
  whole = (tmp_path / 'later.keras').read_bytes()
  path.write_bytes(whole[: len(whole) // 2])

  def finish():
    while not (tmp_path / 'seen').exists():
      time.sleep(0.02)
    shutil.move(tmp_path / 'later.keras', path)

  thread = threading.Thread(target=finish, daemon=True)
  thread.start()
  threading.Timer(0.5, (tmp_path / 'seen').touch).start()
  code, entries, err = watch('--timeout=4')
  thread.join()
  (entry,) = entries
  assert entry['run'].startswith('best.keras') and entry['run'].endswith('.2'), err
  assert 'warning: best.keras ' in err
  assert found(entries[0], tmp_path) == counts(later, noise)


@pytest.mark.parametrize('content', [b'', b'PK\x03\x04half', b'\x89HDF\r\n\x1a\nhalf'])
def test_damaged_ones_are_left_out(watch, build, tmp_path, content):
  for name in ('1.keras', '2.weights.h5', 'ckpt-3.index'):
    (tmp_path / 'training' / name).write_bytes(content)
  save(build(4), tmp_path / 'training', 4)
  code, entries, err = watch('--model=of_watch:build', '--final_step=4')
  assert code == 2 and [entry['step'] for entry in entries] == [4]
  for name in ('1.keras', '2.weights.h5', 'ckpt-3'):
    assert f'{name} is left out after 3 tries' in err
  assert err.splitlines()[-1].startswith('tfeval: 3 checkpoints could not be evaluated')


def test_of_another_model(watch, build, tmp_path):
  other = keras.Sequential(
    [keras.Input((SIZE, SIZE, 3)), keras.layers.Flatten(), keras.layers.Dense(1000)]
  )
  for number in (9, 10, 11):
    save(other, tmp_path / 'training', number)
  code, entries, err = watch('--model=of_watch:build', '--final_step=11')
  # They are whole: waiting does not help.
  assert (code, entries) == (2, []) and err.count('is left out: ') == 3
  assert 'trying again' not in err


def test_a_factory_that_was_edited_does_not_go_on(watch, build, tmp_path):
  save(build(1), tmp_path / 'training', 1)
  flags = '--model=of_watch:build', '--protocol=slim:rounding=nearest'
  assert watch(*flags, '--final_step=1')[0] == 0
  save(build(4), tmp_path / 'training', 4)

  def edited(source):
    (tmp_path / 'of_watch.py').write_text(source)
    sys.modules.pop('of_watch', None)
    importlib.invalidate_caches()

  edited(MODULE.replace('strides=2', 'strides=2, activation="relu"'))
  code, entries, err = watch(*flags, '--final_step=4')
  assert (code, entries) == (2, []) and 'computed something else' in err
  # Written before there were digests, or with another comment, it goes on.
  edited('# The same.\n' + MODULE)
  path = tmp_path / 'runs/watched.json'
  written = json.loads(path.read_text())
  assert written['of'].pop('architecture_sha256')
  path.write_text(json.dumps(written))
  code, entries, err = watch(*flags, '--final_step=4')
  assert code == 0 and [entry['step'] for entry in entries] == [4], err


def test_what_only_trust_would_load_is_tried_once(watch, build, tmp_path):
  inputs = keras.Input((SIZE, SIZE, 3))
  outputs = keras.layers.Lambda(lambda x: x)(build(0)(inputs))
  keras.Model(inputs, outputs).save(tmp_path / 'training/1.keras')
  code, entries, err = watch('--final_step=1')
  assert (code, entries) == (2, []) and 'trying again' not in err
  assert '1.keras is left out: ' in err and 'a Lambda layer' in err


def test_a_checkpoint_calls_its_model_as_it_likes(watch, build, noise, tmp_path):
  models, nested = [build(n) for n in range(4)], tf.Module()
  nested.net = models[3]
  optimizer = keras.optimizers.SGD(momentum=0.9)
  optimizer.build(models[0].trainable_variables)
  roots = [
    {'step': tf.Variable(1), 'optimizer': optimizer, 'net': models[0]},
    {'student': models[1], 'step': tf.Variable(1)},
    {'trainer': tf.train.Checkpoint(net=models[2])},
    {'trainer': nested},
  ]
  for step, root in enumerate(roots):
    tf.train.Checkpoint(**root).write(str(tmp_path / f'training/ckpt-{step}'))
  code, entries, err = watch('--model=of_watch:build', '--final_step=3')
  assert code == 0, err
  for entry, model in zip(entries, models, strict=True):
    assert found(entry, tmp_path) == counts(model, noise)


def test_of_several_models_one_is_named(watch, build, noise, tmp_path):
  models = {'net': build(1), 'average': build(2)}
  tf.train.Checkpoint(**models).write(str(tmp_path / 'training/ckpt-1'))
  flags = '--model=of_watch:build', '--final_step=1'
  code, entries, err = watch(*flags)
  assert (code, entries) == (2, [])
  assert 'could be any of average, net: give --checkpoint_object=average' in err
  code, _, err = watch(*flags, '--checkpoint_object=other')
  assert code == 2 and "no object 'other'" in err and 'average, net' in err
  code, entries, err = watch(*flags, '--checkpoint_object=net')
  assert code == 0, err
  assert found(entries[0], tmp_path) == counts(models['net'], noise)


@pytest.fixture
def watcher(build, noise, tmp_path):
  """Makes what watches tmp_path, of a model or of models by themselves."""
  from tfeval.evaluation import config, plans
  from tfeval.evaluation.watch import watcher as watching
  from tfeval.utils import progress

  def make(model=None):
    request = model and plans.requests([model], ['imagenet'])[0]
    return watching.Watcher(
      tmp_path,
      request,
      config.EvaluationConfig.of(
        dataset=f'folder:{noise}',
        preprocess='tf',
        protocol='squash',
        output='logits',
        preflight='off',
        output_dir=str(tmp_path / 'runs'),
      ),
      None,
      progress.hidden,
    )

  return make


@pytest.mark.parametrize('at', ['before', 'hashed', 'loaded'])
def test_deleted_while_it_is_read(watcher, build, tmp_path, caplog, monkeypatch, at):
  from tfeval.evaluation.watch import watcher as watching
  from tfeval.models.keras import checkpoint_values, checkpoints

  save(build(0), tmp_path, 10)
  found = watcher('of_watch:build')
  (checkpoint,) = checkpoints.find_checkpoints(tmp_path)
  load = checkpoint_values.load

  def delete_and_load(*arguments):
    if at == 'loaded':
      load(*arguments)
    checkpoint.path.unlink()
    if at == 'hashed':
      load(*arguments)

  if at == 'before':
    checkpoint.path.unlink()
  else:
    monkeypatch.setattr(checkpoint_values, 'load', delete_and_load)
  assert found._try(checkpoint) is None and found.failed == {}
  assert 'was deleted before it was evaluated: left out' in caplog.text
  assert list(found.watch(watching.Schedule(timeout=0))) == []
  assert not list((tmp_path / 'runs').glob('*@*'))


def test_models_of_the_same_layers_are_traced_once(watcher, build, noise, tmp_path):
  from tfeval.evaluation.watch import watcher as watching

  models = [build(0)]
  for step in range(3):
    models[-1].save(tmp_path / f'{step}.keras')
    models.append(keras.saving.load_model(tmp_path / f'{step}.keras'))
    models[-1].get_layer('dense').kernel.assign(np.random.random((4, 1000)))
  other = keras.Sequential(
    [keras.Input((SIZE, SIZE, 3)), keras.layers.Flatten(), keras.layers.Dense(1000)]
  )
  other.save(tmp_path / '3.keras')
  found, forwards = watcher(), []
  for entry in found.watch(watching.Schedule(timeout=0)):
    run = tfeval_lib.load_run(tmp_path / 'runs' / entry['run'])
    assert answers(run) == counts([*models[:3], other][entry['step']], noise)[1]
    assert run.result['model']['name'].endswith(entry['checkpoint'])
    forwards.append(found._model._forward)
  assert forwards[0] is forwards[1] is forwards[2] is not forwards[3]
  assert forwards[0]._step._call.experimental_get_tracing_count() == 1


NORMALISED = """
import keras

def build():
  return keras.Sequential([
      keras.Input((32, 32, 3)), keras.layers.Normalization(name='normalise'),
      keras.layers.Conv2D(3, 3, name='conv'), keras.layers.GlobalAveragePooling2D(),
      keras.layers.Dense(1000, name='dense')], name='small')
"""


@pytest.mark.parametrize('kind', ['.keras', '.weights.h5', 'tensorflow', 'alone'])
def test_layers_that_derive_state_of_their_values(
  watch, tmp_path, monkeypatch, noise, kind
):
  (tmp_path / 'normalised.py').write_text(NORMALISED)
  monkeypatch.syspath_prepend(str(tmp_path))
  import normalised

  model, expected = normalised.build(), []
  for step in range(2):
    model.get_layer('normalise').adapt(
      np.random.default_rng(step).normal(step, 1 + step, (4, SIZE, SIZE, 3))
    )
    expected.append(counts(model, noise))
    path = str(tmp_path / f'training/{step}')
    if kind == 'tensorflow':
      tf.train.Checkpoint(model=model).write(path)
    elif kind == '.weights.h5':
      model.save_weights(path + kind)
    else:
      model.save(path + '.keras')
  code, entries, err = watch(
    '--final_step=1', *['--model=normalised:build'] * (kind != 'alone')
  )
  assert code == 0, err
  assert [found(entry, tmp_path) for entry in entries] == expected
  assert expected[0] != expected[1]


def test_one_run_directory_for_each(watch, build, noise, tmp_path):
  models = [build(0), build(1)]
  for name, model in zip(('a b.1.keras', 'a_b.1.keras'), models, strict=True):
    model.save(tmp_path / 'training' / name)
  code, entries, err = watch('--model=of_watch:build', '--final_step=1')
  assert code == 0 and len({entry['run'] for entry in entries}) == 2, err
  for entry in entries:
    assert found(entry, tmp_path) == counts(models['_' in entry['checkpoint']], noise)


def test_an_attribute_that_is_called_model(watch, tmp_path, monkeypatch, noise):
  (tmp_path / 'wrapped.py').write_text(
    MODULE
    + """
class Wrapped(keras.Model):
  def __init__(self):
    super().__init__()
    self.model = build()

  def call(self, x, training=False):
    return self.model(x, training=training)

def wrapped():
  found = Wrapped()
  found(keras.ops.zeros((1, 32, 32, 3)))
  return {'model': found, 'input_size': 32, 'output': 'logits'}
"""
  )
  monkeypatch.syspath_prepend(str(tmp_path))
  import wrapped

  model = wrapped.wrapped()['model']
  tf.train.Checkpoint(model).write(str(tmp_path / 'training/ckpt-1'))
  code, entries, err = watch('--model=wrapped:wrapped', '--final_step=1')
  assert code == 0, err
  assert found(entries[0], tmp_path) == counts(model.model, noise)


def test_what_fails_until_the_timeout_is_told(watch, build, tmp_path):
  (tmp_path / 'training/1.keras').write_bytes(b'PK half')
  code, entries, err = watch('--model=of_watch:build', '--timeout=0')
  assert (code, entries) == (2, [])
  assert err.splitlines()[-1].endswith('could not be evaluated, as was said: 1.keras')


def test_another_preprocessing_is_another_curve(watch, build, tmp_path):
  save(build(9), tmp_path / 'training', 9)
  assert watch('--final_step=9', '--preprocess=torch')[0] == 0
  code, _, err = watch('--final_step=9')
  assert code == 2 and 'preprocess is torch there and tf here' in err


@pytest.mark.parametrize('flag', ['--log_dir', '--output_dir'])
def test_what_cannot_be_written(watch, build, tmp_path, flag):
  (tmp_path / 'file').touch()
  save(build(9), tmp_path / 'training', 9)
  code, _, err = watch('--final_step=9', f'{flag}={tmp_path}/file')
  assert code == 2 and 'Traceback' not in err and str(tmp_path / 'file') in err


def test_a_directory_has_one_watcher(watch, build, tmp_path):
  build(1).save(tmp_path / 'training/1.keras')
  with locks.locked(tmp_path / 'runs'):
    code, entries, err = watch('--timeout=0')
  said = err.splitlines()[-1]
  assert (code, entries) == (2, []) and 'runs is being written by another' in said
  assert not (tmp_path / 'runs').exists()


def command_to_watch(noise, tmp_path, output_dir, last):
  """Returns a command and what its environment has for it."""
  command = [
    'watch',
    str(tmp_path / 'training'),
    '--model=of_watch:build',
    f'--dataset=folder:{noise}',
    '--preprocess=tf',
    '--protocol=squash',
    '--batch_size=1',
    f'--output_dir={output_dir}',
    '--json',
    f'--final_step={last}',
  ]
  path = [str(tmp_path), *filter(None, [os.environ.get('PYTHONPATH')])]
  return command, {'PYTHONPATH': os.pathsep.join(path)}


@pytest.mark.slow
def test_killed_at_twenty_steps(build, noise, tmp_path):
  (tmp_path / 'training').mkdir()
  for step in range(1, 13):
    build(step).save_weights(tmp_path / f'training/{step}.weights.h5')

  def content(output_dir):
    watched = (output_dir / 'watched.json').read_bytes()
    runs = {one.name: run_content(one) for one in output_dir.glob('*@*')}
    assert {one.name for one in output_dir.iterdir()} == {
      'tensorboard',
      'watched.json',
      *runs,
    }
    return watched, runs

  found = []
  for name, steps in (
    ('whole', []),
    ('killed', [*range(13), 16, 19, 22, 25, 28, 31, 34]),
  ):
    output_dir = tmp_path / name
    command, environment = command_to_watch(noise, tmp_path, output_dir, 12)
    died = kills.kill_again_and_again(command, steps, output_dir, **environment)
    assert died == len(steps)
    subprocess.run(
      [sys.executable, '-m', 'tfeval', *command],
      check=True,
      capture_output=True,
      timeout=200,
      env={**os.environ, **environment},
    )
    found.append(content(output_dir))
  assert found[0] == found[1] and len(found[0][1]) == 12


@pytest.mark.slow
@pytest.mark.parametrize(
  'number, code', [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -9)]
)
def test_interrupted_and_started_again(build, noise, tmp_path, number, code):
  (tmp_path / 'training').mkdir()
  for step in range(1, 13):
    build(step).save_weights(tmp_path / f'training/{step}.weights.h5')
  command, more = command_to_watch(noise, tmp_path, tmp_path / 'runs', 12)
  command, environment = [sys.executable, '-m', 'tfeval', *command], os.environ | more
  with subprocess.Popen(
    command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
  ) as first:
    lines = [first.stdout.readline() for _ in range(3)]
    first.send_signal(number)
    rest, err = first.communicate(timeout=100)
  assert first.returncode == code and 'Traceback' not in err, err
  again = subprocess.run(
    command, check=True, capture_output=True, text=True, timeout=200, env=environment
  )
  entries = [
    json.loads(line)
    for line in [*lines, *rest.splitlines(), *again.stdout.splitlines()]
  ]
  # What was evaluated and not told before is told by watched.json alone.
  assert len({entry['step'] for entry in entries}) == len(entries) >= 11
  stored = json.loads((tmp_path / 'runs/watched.json').read_text())['evaluations']
  assert [entry['step'] for entry in stored] == list(range(1, 13))
  for entry in stored[::4]:
    assert found(entry, tmp_path) == counts(build(entry['step']), noise)


@pytest.mark.parametrize(
  'flags, words',
  [
    (['--model=a:b', '--model=c:d'], 'give one --model'),
    (['--weights=none'], 'nknown command line flag'),
    (['--model=EfficientNetB0'], 'known for applications'),
    (['training'], '2 folders were given'),
    (['--num_hosts=2', '--host_index=0'], 'Unknown command line flag|unknown command'),
  ],
)
def test_flags_that_cannot_be(watch, flags, words):
  code, entries, err = watch(*flags)
  assert (code, entries) == (2, []) and re.search(words, err), err


def test_a_url_cannot_be_watched(tfeval, noise, tmp_path):
  code, _, err = tfeval(
    'watch',
    'gs://bucket/training',
    f'--dataset=folder:{noise}',
    f'--output_dir={tmp_path}/runs',
  )
  assert code == 2 and 'gs://bucket/training is a URL, which cannot be watched' in err


@pytest.mark.slow
def test_orbax(watch, build, noise, tmp_path):
  pytest.importorskip('orbax.checkpoint')
  model = build(0)
  model.compile('sgd', 'sparse_categorical_crossentropy')
  shutil.rmtree(tmp_path / 'training')
  model.fit(
    np.zeros((4, SIZE, SIZE, 3)),
    np.zeros(4),
    epochs=2,
    verbose=0,
    callbacks=[
      keras.callbacks.OrbaxCheckpoint(str(tmp_path / 'training'), max_to_keep=2)
    ],
  )
  code, entries, err = watch('--model=of_watch:build', '--final_step=1')
  assert code == 0 and [entry['step'] for entry in entries] == [0, 1], err
  assert found(entries[1], tmp_path) == counts(model, noise)
