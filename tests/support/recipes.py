"""Runs the scripts of the guide of recipes; counts by OpenCV and `model.predict`."""

import pathlib
import re
import runpy

import cv2
import documents
import keras
import numpy as np

CLASSES = ('bird', 'cat', 'dog')
PHOTOS = 7  # Of each class.


def run(heading, directory, monkeypatch, seed=0):
  """Runs the script below a heading; returns its names.

  The seed is one by which the model says several classes: one alone proves little.
  """
  (guide,) = (path for path in documents.GUIDES if path.stem == 'recipes')
  script = scripts(guide.read_text('utf-8'))[heading]
  script = script.replace("weights='imagenet'", 'weights=None')  # No download.
  monkeypatch.chdir(directory)
  write_photos(pathlib.Path('photos'))
  keras.utils.set_random_seed(seed)
  pathlib.Path('recipe.py').write_text(script, 'utf-8')
  policy = keras.config.dtype_policy()
  try:
    return runpy.run_path('recipe.py')
  finally:
    keras.config.set_dtype_policy(policy)


def scripts(text):
  """Returns the scripts of the guide by their headings."""
  parts = re.findall(r'\n## (.*?)\n.*?```python\n(.*?)```', text, re.DOTALL)
  return dict(parts)


def write_photos(directory, side=64):
  """Writes a colour and noise for each, which networks tell apart from the first."""
  random = np.random.default_rng(0)
  for split in ('train', 'val'):
    for name in CLASSES:
      (directory / split / name).mkdir(parents=True)
      for photo in range(PHOTOS):
        noise = random.integers(0, 56, (side, side, 3))
        pixels = random.integers(0, 200, 3) + noise
        cv2.imwrite(f'{directory}/{split}/{name}/{photo}.png', pixels)


def hits(model, side=64):
  """Returns how many photos a model is right about, and how many there are."""
  images, labels = [], []
  for number, name in enumerate(CLASSES):
    for path in sorted(pathlib.Path('photos/val', name).iterdir()):
      pixels = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
      images.append(cv2.resize(pixels.astype(np.float32), (side, side)))
      labels.append(number)
  scores = model.predict(np.stack(images), verbose=0)
  assert len(set(scores.argmax(1))) > 1
  return [int((scores.argmax(1) == labels).sum()), len(labels)]
