"""Runs, weights and models at URLs of tf.io.gfile: the same bytes as on a disk."""

import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import keras
import numpy as np
import pytest
import tensorflow as tf
from evaluations import content, make_inputs, without_compute

from tfeval import datasets
from tfeval.datasets.labels import imagenet
from tfeval.evaluation.config import EvaluationConfig
from tfeval.evaluation.plans import directory_name, flagfile, requests
from tfeval.models import class_maps, loading
from tfeval.utils import files, paths
from tfeval.utils.errors import UserError

IMAGES = 20


@pytest.fixture(scope='module')
def inputs(tmp_path_factory):
  directory = tmp_path_factory.mktemp('inputs')
  return [*make_inputs(directory, IMAGES), '--batch_size=4', '--rows_per_part=8']


@pytest.fixture
def remote(tmp_path):
  yield (root := f'ram://{tmp_path.name}')
  with contextlib.suppress(tf.errors.NotFoundError):
    tf.io.gfile.rmtree(root)


@pytest.fixture(scope='module')
def whole(inputs, tmp_path_factory):
  from tfeval import cli

  output = tmp_path_factory.mktemp('whole')
  assert cli.main([*inputs, f'--output_dir={output}']) == 0
  return output


def remote_content(output):
  """Returns the files of a run at a URL, timing aside."""
  with paths.local_copy(paths.path(output)) as copy:
    return content(copy)


def last_line(text):
  return text.splitlines()[-1]


def test_an_evaluation_with_a_model_at_a_url(inputs, whole, remote, tfeval):
  model = next(f for f in inputs if f.startswith('--model=')).removeprefix('--model=')
  tf.io.gfile.makedirs(remote)
  tf.io.gfile.copy(model, f'{remote}/small.keras')
  there = [f'--model={remote}/small.keras' if '--model=' in f else f for f in inputs]
  assert tfeval(*there, f'--output_dir={remote}/out')[0] == 0
  found, wanted = remote_content(f'{remote}/out'), content(whole)
  # All but the model's name.
  for name in wanted.keys() - {'manifest.json', 'result.json', 'flags.txt'}:
    assert found[name] == wanted[name]
  for key in ('metrics', 'dataset', 'protocol', 'compute'):
    assert found['result.json'][key] == wanted['result.json'][key]
  assert found['result.json']['model'] == {
    **wanted['result.json']['model'],
    'weights': f'{remote}/small.keras',
  }
  assert f'--model={remote}/small.keras'.encode() in found['flags.txt'].splitlines()
  # The model that was fetched is gone, and what is complete is known again.
  assert not [*pathlib.Path(tempfile.gettempdir()).glob('tfeval-*/small.keras')]
  code, _, err = tfeval(*there, f'--output_dir={remote}/out')
  assert code == 0 and f'{remote}/out/small.keras is complete' in err


@pytest.mark.parametrize('step', [5, pytest.param(8, marks=pytest.mark.slow)])
def test_interrupted(inputs, whole, remote, tfeval, monkeypatch, step):
  write, calls = files.write_atomically, []

  def interrupt(path, data, *flag):
    calls.append(path)
    if len(calls) == step:
      raise KeyboardInterrupt
    write(path, data, *flag)

  with monkeypatch.context() as patched:
    patched.setattr(files, 'write_atomically', interrupt)
    assert tfeval(*inputs, f'--output_dir={remote}')[0] == 130
  code, _, err = tfeval(*inputs, f'--output_dir={remote}')
  assert code == 0 and 'goes on after' in err
  assert remote_content(remote) == content(whole)


def test_hosts(inputs, whole, remote, tfeval):
  hosts = [*inputs, f'--output_dir={remote}', '--num_hosts=2', '--host_timeout=1']
  assert 'host 1 (nothing' in last_line(tfeval(*hosts, '--host_index=0')[2])
  assert tfeval(*hosts, '--host_index=1')[0] == 0
  assert tfeval(*hosts, '--host_index=0')[0] == 0
  assert without_compute(remote_content(remote)) == without_compute(content(whole))


def test_commands_that_read_runs(whole, remote, tfeval):
  run = whole / 'small.keras'
  for place in (f'{remote}/a', f'{remote}/b'):
    for path in run.rglob('*'):
      if path.is_file():
        there = paths.path(f'{place}/{path.relative_to(run)}')
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_bytes(path.read_bytes())
  for command in ('score', 'verify'):
    _, here, _ = tfeval(command, run)
    code, there, _ = tfeval(command, f'{remote}/a')
    assert code == 0 and there.replace(f'{remote}/a', str(run)) == here
  code, out, _ = tfeval('compare', f'{remote}/a', f'{remote}/b')
  assert code == 0 and f'small.keras ({remote}/a)' in ' '.join(out.split())
  assert tfeval('leaderboard', remote)[0] == 0
  assert 'given twice' in last_line(tfeval('compare', remote, f'{remote}/a/')[2])
  for command in ('score', 'verify'):  # A folder of runs: each of them.
    code, out, _ = tfeval(command, remote)
    assert code == 0 and out.count('small.keras' if command == 'score' else remote) >= 2
  missing = last_line(tfeval('score', f'{remote}/nothing')[2])
  assert 'is not a run directory' in missing
  assert 'No such file' in last_line(tfeval('compare', f'{remote}/c')[2])


@pytest.fixture
def saved(remote, tmp_path):
  """A path in the URL that holds what a function saves at the local path it gets."""

  def save(name, write):
    write(tmp_path / name)
    files_ = [path for path in (tmp_path / name).rglob('*') if path.is_file()]
    for path in files_ or [tmp_path / name]:
      there = paths.path(f'{remote}/{path.relative_to(tmp_path)}')
      there.parent.mkdir(parents=True, exist_ok=True)
      there.write_bytes(path.read_bytes())
    return tmp_path / name, f'{remote}/{name}'

  return save


def same_model(here, there):
  pixels = tf.random.stateless_uniform((2, *[here.input_size] * 2, 3), (1, 2), 0, 255)
  assert here.weights_sha256 == there.weights_sha256
  np.testing.assert_array_equal(here(pixels), there(pixels))


def test_weights_at_a_url(saved):
  model = keras.applications.MobileNet(alpha=0.25, weights=None)
  here, there = saved('w.weights.h5', model.save_weights)
  same_model(
    *(loading.load_model('MobileNet:alpha=0.25', place) for place in (here, there))
  )


def test_a_saved_model_at_a_url(saved):
  model = keras.Sequential(
    [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(1000)]
  )
  here, there = saved('model', lambda path: model.export(path, verbose=False))
  same_model(
    *(
      loading.load_model(place, preprocess='identity', output='logits')
      for place in (here, there)
    )
  )


def test_class_maps_and_labels_at_a_url(saved, shared_data):
  wnids = imagenet.label_space().class_ids
  _, there = saved('map.txt', lambda path: path.write_text('\n'.join(wnids[::-1])))
  found = class_maps.label_map(there)
  order, outputs = found.indices, found.outputs
  assert (order.tolist(), outputs) == ([*range(999, -1, -1)], 1000)
  real = shared_data / 'real/real.json'
  here, there = saved('real.json', lambda path: path.write_bytes(real.read_bytes()))
  assert imagenet.load_real_labels(there) == imagenet.load_real_labels(here)


@pytest.mark.parametrize(
  'text, words',
  [
    ('not HDF5', 'weights {} are not HDF5 but text'),
    (None, 'weights file {} does not exist'),
  ],
)
def test_wrong_weights_at_a_url(saved, text, words):
  _, there = saved('w.h5', lambda path: path.write_text(text or ''))
  if text is None:
    tf.io.gfile.remove(there)
  with pytest.raises(UserError, match=words.format(there)):
    loading.load_model('MobileNet:alpha=0.25', there)


def test_a_model_that_is_not_there(remote, tfeval):
  code, _, err = tfeval(
    'evaluate', f'--model={remote}/m.keras', '--dataset=sample', '--preprocess=identity'
  )
  assert (code, last_line(err)) == (
    2,
    f'tfeval: model file {remote}/m.keras does not exist',
  )


def test_the_flagfile_repeats_urls(remote):
  (request,) = requests([f'{remote}/m.keras'], [f'{remote}/w.h5'])
  assert directory_name(request, EvaluationConfig()) == 'm.keras@w.h5'
  lines = flagfile(
    request,
    EvaluationConfig.of(data_dir='gs://bucket/tfds', real_labels=f'{remote}/real.json'),
  ).splitlines()
  assert {
    f'--model={remote}/m.keras',
    f'--weights={remote}/w.h5',
    '--data_dir=gs://bucket/tfds',
    f'--real_labels={remote}/real.json',
  } <= {*lines}


@pytest.mark.parametrize('flag', ['data_dir', 'manual_dir'])
def test_where_tfds_cannot_read(flag):
  with pytest.raises(UserError, match=f'^`{flag}=ram://x`: TFDS reads gs://') as caught:
    datasets.open_dataset('imagenet2012', **{flag: 'ram://x'})
  assert '\n' not in str(caught.value)


def test_a_file_system_that_is_not_known(inputs, tfeval):
  started = time.monotonic()
  code, _, err = tfeval(*inputs, '--output_dir=foo://x')
  assert code == 2 and len(err.splitlines()) == 1 and time.monotonic() - started < 5
  assert 'cannot read foo://x: TensorFlow has no file system for foo://, only' in err


@pytest.mark.slow
def test_an_object_store_that_does_not_answer():
  """In a process of its own: TensorFlow reads these variables once."""
  nobody = 'http://127.0.0.1:9'
  process = subprocess.run(
    [sys.executable, '-m', 'tfeval', 'score', 'gs://bucket/run'],
    text=True,
    capture_output=True,
    timeout=120,
    env={
      **os.environ,
      'GCS_RETRY_CONFIG_MAX_RETRIES': '0',
      'NO_GCE_CHECK': 'true',
      'https_proxy': nobody,
      'http_proxy': nobody,
    },
  )
  (said,) = process.stderr.splitlines()
  assert process.returncode == 2
  assert said.startswith('tfeval: cannot read gs://bucket/run/result.json: ')
  assert 'connect to server' in said
