"""Networks that are really trained: what tfeval counts of them rises.

On the photos that lie beside the repository, and on a TFDS dataset of images of
sixteen squares each.
"""

import csv
import io
import json
import os
import pathlib
import re
import runpy
import shutil
import subprocess
import sys
import tarfile

import numpy as np
import pytest
import tensorflow as tf
import two_workers

import tfeval
from tfeval.datasets.labels import imagenet

CONFIGS = pathlib.Path(__file__).resolve().parents[1] / 'configs'
IMAGES = 24


@pytest.fixture(scope='module')
def synthetic(tmp_path_factory):
  """Flags of a TFDS dataset of images of squares of random colours."""
  directory = tmp_path_factory.mktemp('synthetic')
  random = np.random.default_rng(0)
  with tarfile.open(directory / 'ILSVRC2012_img_val.tar', 'w') as tar:
    for number in range(1, IMAGES + 1):
      squares = random.integers(0, 256, (4, 4, 3), np.uint8)
      pixels = squares.repeat(12, axis=0).repeat(12, axis=1)
      content = tf.io.encode_jpeg(pixels).numpy()
      member = tarfile.TarInfo(imagenet.validation_name(number))
      member.size = len(content)
      tar.addfile(member, io.BytesIO(content))
  flags = {'manual_dir': directory, 'data_dir': directory / 'tfds'}
  tfeval.build_dataset('imagenet2012', **flags)  # Which prepares it.
  return ['--train=imagenet2012', f'--data_dir={flags["data_dir"]}']


@pytest.fixture(scope='module', params=['photos', 'synthetic'])
def images(request, tmp_path_factory):
  """Flags of a dataset to train on."""
  if request.param == 'synthetic':
    return request.getfixturevalue('synthetic')
  shared_data = request.getfixturevalue('shared_data')
  folder = tmp_path_factory.mktemp('photos')
  for photo in sorted((shared_data / 'images').glob('n*.JPEG'))[:IMAGES]:
    (folder / photo.name[:9]).mkdir()
    shutil.copy(photo, folder / photo.name[:9])
  return [f'--train=folder:{folder}']


def run(command):
  found = subprocess.run(
    command, capture_output=True, text=True, timeout=300, env=environment()
  )
  assert found.returncode == 0, found.stderr[-3000:]
  return found.stdout


def fit(images, output, epochs, run=run):
  """Runs the example of `fit`; returns the correct answers after each epoch."""
  run(
    [
      sys.executable,
      CONFIGS / 'fit.py',
      *images,
      f'--output={output}',
      f'--epochs={epochs}',
    ]
  )
  with open(output / 'history.csv', newline='') as file:
    return [round(IMAGES * float(row['val_top1'])) for row in csv.DictReader(file)]


@pytest.mark.slow
def test_fit_on_synthetic_images(synthetic, tmp_path, monkeypatch):
  def run_here(command):
    monkeypatch.setattr(sys, 'argv', [str(part) for part in command[1:]])
    runpy.run_path(sys.argv[0], run_name='__main__')

  hits = fit(synthetic, tmp_path, epochs=3, run=run_here)
  assert hits[-1] > hits[0]


@pytest.mark.slow
def test_fit_with_the_callback(images, tmp_path):
  hits = fit(images, tmp_path, epochs=15)
  assert hits[-1] > hits[0] + IMAGES / 3
  (best,) = (tmp_path / 'evaluations').glob('step-*/network*')
  assert tfeval.load_run(best).metrics[0]['correct'] == max(hits)
  # The checkpoint that Keras took for the best answers the same.
  again = tfeval.evaluate(
    tfeval.load_model(tmp_path / 'best.keras', preprocess='identity', output='logits'),
    **dataset_of(images),
    preflight='off',
  )
  assert again.metrics[0]['correct'] == max(hits)


def dataset_of(flags):
  values = dict(flag.removeprefix('--').split('=') for flag in flags)
  return {'dataset': values.pop('train'), **values}


def of_loop(images, output, *flags):
  return [
    sys.executable,
    CONFIGS / 'custom_loop.py',
    *images,
    f'--output={output}',
    *flags,
  ]


@pytest.mark.slow
def test_custom_loop(images, tmp_path):
  command = of_loop(images, tmp_path, '--epochs=20', '--evaluate_every=5')
  hits = correct(run(command))
  assert len(hits) == 4 and hits[-1] > hits[0]
  # It goes on where it was.
  again = run([*command, '--epochs=25'])
  assert again.startswith('epoch 21: ') and correct(again)[0] >= hits[-1]


@pytest.mark.slow
def test_custom_loop_that_was_killed_between(images, tmp_path):
  command = of_loop(images, tmp_path, '--evaluate_every=5')
  run([*command, '--epochs=5'])
  # As if it had been ended after the checkpoint and before the evaluation was done.
  (result,) = (tmp_path / 'evaluations/epoch-0005').glob('*/result.json')
  hits = json.loads(result.read_text())['metrics'][0]['correct']
  result.unlink()
  again = run([*command, '--epochs=6'])
  assert correct(again) == [hits] and '\nepoch 6: ' in again
  # And as if in the middle of training: nothing is evaluated twice.
  assert correct(run([*command, '--epochs=6'])) == []


@pytest.mark.slow
def test_custom_loop_of_two_workers(images, tmp_path):
  code = (
    'import runpy, sys\n'
    'sys.argv = sys.argv[1:]\n'
    'runpy.run_path(sys.argv[0], run_name="__main__")'
  )
  first, second = two_workers.run(
    code, *of_loop(images, tmp_path, '--epochs=10', '--evaluate_every=5')[1:]
  )
  assert first == second and len(correct(first)) == 2
  assert correct(first)[1] > correct(first)[0]
  assert (tmp_path / 'checkpoints/ckpt-10.index').is_file()


@pytest.mark.slow
def test_watcher_of_a_training_that_runs(images, tmp_path):
  loop = subprocess.Popen(
    of_loop(images, tmp_path, '--epochs=15', '--evaluate_every=0'),
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
    env=environment(),
  )
  try:
    watched = run(
      [
        sys.executable,
        '-m',
        'tfeval',
        'watch',
        tmp_path / 'checkpoints',
        '--model=custom_loop:build',
        '--json',
        '--final_step=15',
        '--timeout=100',
        '--poll_seconds=.1',
        f'--output_dir={tmp_path}/runs',
        *(flag.replace('--train', '--dataset') for flag in images),
      ]
    )
    _, errors = loop.communicate(timeout=100)
  finally:
    loop.kill()
  assert loop.returncode == 0, errors
  entries = [json.loads(line) for line in watched.splitlines()]
  assert [entry['step'] for entry in entries] == list(range(1, 16))
  counts = [entry['counts']['val_top1'] for entry in entries]
  assert {count for _, count in counts} == {IMAGES}
  assert counts[-1][0] > counts[0][0]


def environment():
  return {
    **os.environ,
    'PYTHONPATH': os.pathsep.join(
      [str(CONFIGS), *filter(None, [os.environ.get('PYTHONPATH')])]
    ),
  }


def correct(printed):
  """Returns how many are right after each evaluation that a loop tells of."""
  return [int(count) for count in re.findall(rf'original top1 (\d+)/{IMAGES}', printed)]
