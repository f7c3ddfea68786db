"""A small model and small datasets for those who call tfeval from Python."""

import keras
import numpy as np
import pytest

import tfeval

SIZE = 32


def small(seed=0, classes=1000, activation=None):
  """A functional model with batch normalisation and dropout, trained by no one."""
  keras.utils.set_random_seed(seed)
  inputs = keras.Input((SIZE, SIZE, 3))
  x = keras.layers.Conv2D(4, 3, strides=2)(inputs)
  x = keras.layers.BatchNormalization()(x)
  x = keras.layers.GlobalAveragePooling2D()(x)
  x = keras.layers.Dropout(0.5)(x)
  outputs = keras.layers.Dense(classes, activation=activation)(x)
  return keras.Model(inputs, outputs, name='small')


def evaluate(model, folder, **arguments):
  return tfeval.evaluate(
    model,
    f'folder:{folder}',
    **{'preprocess': 'tf', 'preflight': 'off', 'batch_size': 4, **arguments},
  )


def counts(run):
  return [(m['labels'], m['name'], m['correct'], m['count']) for m in run.metrics]


def classes(run):
  rows = run.to_arrow(['id', 'classes']).sort_by('id')
  return rows['classes'].to_pylist()


def build(folder, **arguments):
  quick = 'slim:rounding=nearest'  # To be traced.
  return tfeval.build_dataset(
    f'folder:{folder}',
    **{'batch_size': 4, 'input_size': SIZE, 'protocol': quick, **arguments},
  )


def noise_pixels(noise):
  """Images as OpenCV makes them, float32 in [0, 255]."""
  cv2 = pytest.importorskip('cv2')
  cv2.ipp.setUseIPP(False)
  images = []
  for path in sorted(noise.iterdir()):
    image = cv2.imread(str(path))
    h, w = image.shape[:2]
    short = int(SIZE / 0.875)
    h, w = h * short // min(h, w), w * short // min(h, w)
    image = cv2.resize(image, (w, h), interpolation=cv2.INTER_CUBIC)
    top, left = (h - SIZE) // 2, (w - SIZE) // 2
    images.append(image[top : top + SIZE, left : left + SIZE, ::-1])
  return np.stack(images).astype(np.float32)
