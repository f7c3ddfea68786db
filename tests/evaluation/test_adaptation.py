"""Models adapted to a target, against Keras in training and NumPy by hand."""

import hashlib
import json
import pathlib

import cv2
import keras
import numpy as np
import pytest

import tfeval
from tfeval import cli
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
      variable.assign(abs(noise) + 0.5 if 'var' in variable.name else noise)
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


@pytest.mark.parametrize(('n', 'source'), [(10, 16), (10, 0), (23, 5)])
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
