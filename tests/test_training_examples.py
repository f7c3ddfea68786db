"""Networks that are really trained: what tfeval counts of them rises.

On the photos that lie beside the repository, or on images of one colour each.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
import two_workers

import tfeval
from tfeval import labels
from tfeval.keras import EvaluateCallback

CONFIGS = pathlib.Path(__file__).resolve().parents[1] / 'configs'
LOOP = CONFIGS / 'custom_loop.py'
IMAGES = 24


@pytest.fixture(scope='module')
def coloured(tmp_path_factory):
  """A folder of classes with an image each, of a colour of its own."""
  folder, random = tmp_path_factory.mktemp('coloured'), np.random.default_rng(0)
  for wnid in labels.classes().wnids[:IMAGES]:
    pixels = np.broadcast_to(random.integers(0, 256, 3, np.uint8), (48, 48, 3))
    (folder / wnid).mkdir()
    (folder / wnid / 'image.JPEG').write_bytes(tf.io.encode_jpeg(pixels).numpy())
  return folder


@pytest.fixture(scope='module')
def images(coloured, tmp_path_factory):
  """A folder of classes with a photo each."""
  photos = pathlib.Path(__file__).resolve().parents[2] / 'shared/data/images'
  if not photos.is_dir():
    return coloured
  folder = tmp_path_factory.mktemp('photos')
  for photo in sorted(photos.glob('n*.JPEG'))[:IMAGES]:
    (folder / photo.name[:9]).mkdir()
    shutil.copy(photo, folder / photo.name[:9])
  return folder


def trained(folder, callback, epochs, learning_rate=.001):
  """Trains a network on a folder with `fit`; returns the history."""
  keras.utils.set_random_seed(0)
  model = keras.Sequential([
      keras.Input((32, 32, 3)), keras.layers.Rescaling(1 / 127.5, -1),
      keras.layers.Conv2D(32, 3, strides=4, activation='relu'),
      keras.layers.Flatten(), keras.layers.Dense(1000)], name='network')
  model.compile(keras.optimizers.Adam(learning_rate),
                keras.losses.SparseCategoricalCrossentropy(from_logits=True))
  dataset = tfeval.build_dataset(f'folder:{folder}', input_size=32, batch_size=8)
  return model.fit(dataset.map(lambda one: (one['pixels'], one['label'])), verbose=0,
                   epochs=epochs, callbacks=[callback]).history


def callback_for(folder, **arguments):
  return EvaluateCallback(f'folder:{folder}', preprocess='identity', output='logits',
                          **arguments)


def test_a_small_fit(coloured):
  history = trained(coloured, callback_for(coloured, metrics=['top5']), epochs=4)
  assert history['val_top5'][-1] > max(history['val_top5'][0], .3)


@pytest.mark.slow
def test_fit_with_the_callback(images, tmp_path):
  found = callback_for(images, output_dir=tmp_path / 'runs')
  history = trained(images, found, epochs=12)
  assert history['val_top1'][-1] > history['val_top1'][0] + .5
  assert found.best.metrics[0]['correct'] == round(IMAGES * max(history['val_top1']))


def of_loop(images, output, *flags):
  return [sys.executable, LOOP, f'--train=folder:{images}', f'--output={output}',
          *flags]


@pytest.mark.slow
def test_custom_loop(images, tmp_path):
  command = of_loop(images, tmp_path, '--epochs=3', '--evaluate_every=1')
  first = subprocess.run(command, check=True, capture_output=True, text=True,
                         timeout=200, env=environment())
  counts = correct(first.stdout)
  assert len(counts) == 3 and counts[-1] > counts[0]
  # It goes on where it was.
  again = subprocess.run([*command, '--epochs=4'], check=True, capture_output=True,
                         text=True, timeout=200, env=environment())
  assert again.stdout.startswith('epoch 4: ')
  assert correct(again.stdout)[0] >= counts[-1]


@pytest.mark.slow
def test_custom_loop_of_two_workers(images, tmp_path):
  code = ('import runpy, sys\n'
          'sys.argv = sys.argv[1:]\n'
          'runpy.run_path(sys.argv[0], run_name="__main__")')
  first, second = two_workers.run(
      code, *of_loop(images, tmp_path, '--epochs=2', '--evaluate_every=1')[1:])
  assert first == second and len(correct(first)) == 2
  assert correct(first)[1] > correct(first)[0]
  assert (tmp_path / 'checkpoints/ckpt-2.index').is_file()


@pytest.mark.slow
def test_watcher_of_a_training_that_runs(images, tmp_path):
  loop = subprocess.Popen(
      of_loop(images, tmp_path, '--epochs=4', '--evaluate_every=0'),
      stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
  try:
    watch = subprocess.run(
        [sys.executable, '-m', 'tfeval', 'watch', tmp_path / 'checkpoints',
         '--model=custom_loop:build', f'--dataset=folder:{images}', '--json',
         '--final_step=4', '--timeout=100', '--poll_seconds=.1',
         f'--output_dir={tmp_path}/runs'],
        capture_output=True, text=True, timeout=200, env=environment())
    _, errors = loop.communicate(timeout=100)
  finally:
    loop.kill()
  assert (loop.returncode, watch.returncode) == (0, 0), errors + watch.stderr
  entries = [json.loads(line) for line in watch.stdout.splitlines()]
  assert [entry['step'] for entry in entries] == [1, 2, 3, 4]
  counts = [entry['counts']['val_top1'] for entry in entries]
  assert {count for _, count in counts} == {IMAGES}
  assert counts[-1][0] > counts[0][0]


def environment():
  return {**os.environ, 'PYTHONPATH': os.pathsep.join(
      [str(CONFIGS), *filter(None, [os.environ.get('PYTHONPATH')])])}


def correct(printed):
  """Returns how many are right after each evaluation that a loop tells of."""
  return [int(count) for count in re.findall(rf'original top1 (\d+)/{IMAGES}', printed)]
