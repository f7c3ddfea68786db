"""Several models on one reading of the images: what each would have had alone."""

import collections
import dataclasses
import gc
import json
import os
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf
from evaluations import content, make_inputs

from tfeval import cli, datasets
from tfeval.evaluation import model_loading
from tfeval.evaluation.config import EvaluationConfig
from tfeval.evaluation.plans import requests
from tfeval.models import loading

IMAGES = 20
OF_ONE_SIZE = 'a.keras', 'b.keras', 'c.keras'


def small_model(seed, side=32):
  keras.utils.set_random_seed(seed)
  return keras.Sequential(
    [
      keras.Input((side, side, 3)),
      keras.layers.Rescaling(1 / 255),
      keras.layers.Conv2D(4, 3, strides=2, activation='relu'),
      keras.layers.GlobalAveragePooling2D(),
      keras.layers.Dense(1000),
    ]
  )


@pytest.fixture(scope='module')
def inputs(tmp_path_factory):
  """Returns the paths of models, one of another size, and flags for all of them."""
  directory = tmp_path_factory.mktemp('inputs')
  _, _, _, *flags = make_inputs(directory, IMAGES)
  for name, seed, side in (('a', 1, 32), ('b', 2, 32), ('c', 3, 32), ('big', 4, 48)):
    small_model(seed, side).save(directory / f'{name}.keras')
  flags = ['--preprocess=identity', *flags, '--batch_size=4', '--rows_per_part=8']
  return directory, flags


def evaluate(inputs, output, *names, more=()):
  directory, flags = inputs
  return cli.main(
    [
      'evaluate',
      *(f'--model={directory / name}.keras' for name in names),
      *(f'--name={name}.keras' for name in names),
      *flags,
      f'--output_dir={output}',
      *more,
    ]
  )


def run_of(output, name):
  """Returns the files of one run of several in a directory."""
  alone = output.parent / f'{output.name}-{name}'
  alone.mkdir()
  os.symlink(output / name, alone / name)
  return content(alone)


def runs(output):
  """Returns the files of each run in a directory."""
  return {
    directory.name: run_of(output, directory.name) for directory in output.iterdir()
  }


@pytest.fixture(scope='module')
def alone(inputs, tmp_path_factory):
  """Returns the files of runs that had the images for themselves."""
  output = tmp_path_factory.mktemp('alone') / 'runs'
  for name in ('a', 'b', 'c', 'big'):
    assert evaluate(inputs, output, name) == 0
  return runs(output)


@pytest.fixture
def reads(monkeypatch):
  """Counts how often each image of a dataset is read."""
  counts = collections.Counter()
  original = datasets.open_dataset

  def count(name):
    counts[name.numpy()] += 1
    return name

  def counted(example):
    name = tf.py_function(count, [example['id']], tf.string)
    return {**example, 'id': tf.ensure_shape(name, [])}

  def open_dataset(*args, **kwargs):
    found = original(*args, **kwargs)
    return dataclasses.replace(
      found, examples=lambda *which: found.examples(*which).map(counted)
    )

  monkeypatch.setattr(datasets, 'open_dataset', open_dataset)
  return counts


def test_each_run_is_that_of_the_model_alone(inputs, alone, tmp_path, reads):
  output = tmp_path / 'runs'
  assert evaluate(inputs, output, 'a', 'big', 'b', 'c') == 0
  assert runs(output) == alone
  # Once for the three of one size, once for the other.
  assert len(reads) == IMAGES and set(reads.values()) == {2}


def test_results_come_in_the_order_of_the_models(inputs, tmp_path, capsys):
  assert evaluate(inputs, tmp_path / 'runs', 'b', 'big', 'a', more=['--json']) == 0
  assert [
    one['model']['name'].rpartition('/')[2]
    for one in json.loads(capsys.readouterr().out)
  ] == ['b.keras', 'big.keras', 'a.keras']


@pytest.mark.parametrize(
  'most, readings',
  [(2, 2), *(pytest.param(*one, marks=pytest.mark.slow) for one in ((1, 3), (3, 1)))],
)
def test_no_more_models_than_allowed_are_loaded(
  inputs, alone, tmp_path, reads, monkeypatch, most, readings
):
  loaded, largest = weakref.WeakSet(), 0
  original = loading.load

  def load(*args, **kwargs):
    nonlocal largest
    gc.collect()
    largest = max(largest, len(loaded) + 1)
    model = original(*args, **kwargs)
    loaded.add(model.backend.model)
    return model

  monkeypatch.setattr(loading, 'load', load)
  output = tmp_path / 'runs'
  assert (
    evaluate(inputs, output, 'a', 'b', 'c', more=[f'--max_loaded_models={most}']) == 0
  )
  assert largest == most
  assert set(reads.values()) == {readings}
  # Nor where all of them are there already.
  loaded.clear()
  largest = 0
  assert (
    evaluate(inputs, output, 'a', 'b', 'c', more=[f'--max_loaded_models={most}']) == 0
  )
  assert largest <= most
  assert runs(output) == {name: alone[name] for name in OF_ONE_SIZE}


def test_one_that_fails_does_not_stop_the_others(inputs, alone, tmp_path, capsys):
  directory, _ = inputs
  # Finite for dark images only: it fails in the middle.
  images = sorted((directory / 'images').iterdir())
  middle = tf.io.decode_jpeg(images[9].read_bytes()).numpy().mean()
  broken = keras.Sequential(
    [
      keras.Input((32, 32, 3)),
      keras.layers.GlobalAveragePooling2D(),
      keras.layers.Dense(1000, kernel_initializer='zeros'),
    ]
  )
  weights = np.full((3, 1000), np.nan if middle < 0 else 3e38 / middle, np.float32)
  broken.layers[-1].set_weights([weights, np.zeros(1000, np.float32)])
  broken.save(directory / 'broken.keras')
  narrow = keras.Sequential(
    [keras.Input((32, 32, 3)), keras.layers.Flatten(), keras.layers.Dense(7)]
  )
  narrow.save(directory / 'narrow.keras')
  output = tmp_path / 'runs'
  assert evaluate(inputs, output, 'a', 'broken', 'narrow', 'c') == 2
  out = ' '.join(capsys.readouterr().out.split())
  assert 'broken.keras' in out and 'NaN or infinity' in out
  assert 'narrow.keras' in out
  assert {name: run_of(output, name) for name in ('a.keras', 'c.keras')} == {
    name: alone[name] for name in ('a.keras', 'c.keras')
  }
  assert not (output / 'broken.keras' / 'result.json').exists()


RAISES = """
import keras
class Raises(keras.Model):
  def __init__(self):
    super().__init__()
    self.head = keras.layers.Dense(1000)
  def call(self, images):
    if images.shape[0] == 4:
      raise AttributeError('planted')
    return self.head(keras.ops.mean(images, (1, 2)))
def build():
  model = Raises()
  model(keras.ops.zeros((1, 32, 32, 3)))
  return {'model': model, 'preprocess': 'identity', 'input_size': 32,
          'output': 'logits'}
"""


def test_whatever_a_model_raises_is_its_own_fault(
  inputs, alone, tmp_path, capsys, monkeypatch
):
  monkeypatch.syspath_prepend(tmp_path)
  (tmp_path / 'raises_together.py').write_text(RAISES)
  directory, flags = inputs
  output = tmp_path / 'runs'
  assert (
    cli.main(
      [
        'evaluate',
        '--model=raises_together:build',
        f'--model={directory / "a"}.keras',
        '--name=raises',
        '--name=a.keras',
        *flags,
        f'--output_dir={output}',
      ]
    )
    == 2
  )
  said = ' '.join(capsys.readouterr().out.split())
  assert 'cannot run on images of (4, 32, 32, 3)' in said and 'planted' in said
  assert run_of(output, 'a.keras') == alone['a.keras']


def test_models_go_on_from_where_each_of_them_was(inputs, alone, tmp_path, reads):
  output = tmp_path / 'runs'
  for name, rows in (('a', 0), ('b', 8), ('c', 16)):
    assert evaluate(inputs, output, name) == 0
    (output / f'{name}.keras' / 'result.json').unlink()
    index = output / f'{name}.keras' / 'predictions/index.json'
    listed = json.loads(index.read_text())
    listed['parts'] = listed['parts'][: rows // 8]
    index.write_text(json.dumps(listed))
  reads.clear()
  assert evaluate(inputs, output, 'a', 'b', 'c') == 0
  assert len(reads) == IMAGES
  # Beside that those that are there already are looked at.
  assert reads.total() == IMAGES + 8 + 16
  assert runs(output) == {name: alone[name] for name in OF_ONE_SIZE}


def test_models_of_one_size_stand_together():
  requested = requests(
    [
      'ResNet50',
      'InceptionV3',
      'VGG16',
      'Xception',
      'MobileNet:input_shape=[96,96,3]',
      'DenseNet121',
    ],
    ['none'],
  )
  ordered = model_loading.order_by_pixels(requested, EvaluationConfig())
  assert [one.spec.target for one in ordered] == [
    'ResNet50',
    'VGG16',
    'DenseNet121',
    'InceptionV3',
    'Xception',
    'MobileNet',
  ]
