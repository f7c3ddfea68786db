"""Images of four classes that a small model learns in a few steps."""

import cv2
import keras
import numpy as np

from tfeval.keras import EvaluateCallback

SIZE, CLASSES = 32, 4
# Of the classes, in RGB.
_COLOURS = np.array([[200, 60, 60], [60, 200, 60], [60, 60, 200], [160, 160, 60]])


def pixels(per_class, seed):
  """Returns noisy images, uint8 [n, 32, 32, 3], and their labels."""
  random = np.random.default_rng(seed)
  labels = np.repeat(np.arange(CLASSES), per_class)
  noise = random.normal(0, 40, (len(labels), SIZE, SIZE, 3))
  tint = random.normal(0, 25, (len(labels), 1, 1, 3))
  images = _COLOURS[labels][:, None, None] + noise + tint
  return np.clip(images, 0, 255).astype(np.uint8), labels


def write_folder(directory, per_class=6):
  """Writes images that no training has seen, a folder for each class."""
  for number, (image, label) in enumerate(zip(*pixels(per_class, 1), strict=True)):
    folder = directory / 'abcd'[label]
    folder.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(folder / f'{number}.png'), image[..., ::-1])
  return directory


def hits(model, directory, prepare=lambda images: images):
  """Returns how many images of a folder `model.predict` gets right, and how many."""
  paths = sorted(directory.glob('*/*.png'))
  images = np.stack([cv2.imread(str(path))[..., ::-1] for path in paths])
  labels = np.array(['abcd'.index(path.parent.name) for path in paths])
  scores = model.predict(prepare(images.astype(np.float32)), batch_size=5, verbose=0)
  return [int((scores.argmax(1) == labels).sum()), len(labels)]


def loss():
  return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def layers():
  return [
    keras.layers.Rescaling(1 / 255),
    keras.layers.Conv2D(4, 3, strides=4),
    keras.layers.GlobalAveragePooling2D(),
    keras.layers.Dense(CLASSES),
  ]


class Subclass(keras.Model):
  """A classifier that is built by its first batch."""

  def __init__(self, name='subclass'):
    super().__init__(name=name)
    self.rescale, self.convolve, self.pool, self.classify = layers()

  def call(self, images):
    return self.classify(self.pool(self.convolve(self.rescale(images))))


def callback(directory, **arguments):
  return EvaluateCallback(
    f'folder:{directory}',
    **{
      'preprocess': 'identity',
      'protocol': 'squash',
      'batch_size': 8,
      'output': 'logits',
      **arguments,
    },
  )


def fit(model, *callbacks, epochs=2, **arguments):
  images, labels = pixels(8, 0)
  return model.fit(
    images.astype(np.float32),
    labels,
    batch_size=8,
    epochs=epochs,
    verbose=0,
    callbacks=list(callbacks),
    **arguments,
  ).history
