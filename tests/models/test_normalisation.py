"""Normalisation by value: what is stated is computed, to the last bit."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfeval.models import normalisation
from tfeval.models.model import preprocessing
from tfeval.utils.errors import UserError

MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)
CAFFE = np.array([103.939, 116.779, 123.68], np.float32)
# By NumPy, an operation after another, as PyTorch computes them too.
EXPECTED = {
  'unit': lambda x: x / np.float32(255),
  'imagenet': lambda x: (x / np.float32(255) - MEAN) / STD,
  'mean=0.485,0.456,0.406:std=0.229,0.224,0.225': lambda x: (
    (x / np.float32(255) - MEAN) / STD
  ),
  'inception': lambda x: (x / np.float32(255) - np.float32(0.5)) / np.float32(0.5),
  'scale=0.0078125:offset=-1': lambda x: x * np.float32(0.0078125) - np.float32(1),
  'bgr': lambda x: x[..., ::-1],
  'bgr:mean255=103.939,116.779,123.68': lambda x: x[..., ::-1] - CAFFE,
  'mean255=127.5:std=128': lambda x: (x - np.float32(127.5)) / np.float32(128),
  'mean=0.485,0.456,0.406:std=0.47853944,0.4732864,0.47434163:std2=0.3': lambda x: (
    (x / np.float32(255) - MEAN)
    / np.array([0.47853944, 0.4732864, 0.47434163], np.float32)
    / np.float32(0.3)
  ),
  'scale=1/127.5:offset=-1': lambda x: x / np.float32(127.5) - np.float32(1),
  **{
    mode: lambda x, mode=mode: keras.applications.imagenet_utils.preprocess_input(
      x.copy(), 'channels_last', mode
    )
    for mode in ('caffe', 'tf', 'torch')
  },
}


@pytest.fixture(scope='module')
def images():
  random = np.random.default_rng(0)
  every = np.arange(256, dtype=np.float32).repeat(3).reshape(1, 16, 16, 3)
  return np.concatenate([every, random.uniform(-9, 280, (9, 16, 16, 3))]).astype('f')


@pytest.mark.parametrize('text', EXPECTED)
def test_no_value_differs_in_a_graph_or_outside(text, images):
  function, expected = preprocessing(text), EXPECTED[text](images)
  np.testing.assert_array_equal(function(images), expected)
  # There Grappler may write other operations for these.
  np.testing.assert_array_equal(tf.function(function)(images), expected)
  pixels = images[:1].astype(np.uint8)
  cast = tf.function(lambda x: function(tf.cast(x, tf.float32)))
  np.testing.assert_array_equal(cast(pixels), expected[:1])


def test_a_graph_would_round_otherwise(images):
  """What the operations are kept from; should it not happen any more, they can go."""
  naive = tf.function(lambda x: (x / 255.0 - MEAN) / STD)(images)
  assert np.mean(naive != EXPECTED['imagenet'](images)) > 0.1


def test_every_name_is_one():
  for name in normalisation.names():
    normalisation.Normalisation.parse(name)
    assert normalisation.is_value(name)
    assert preprocessing(name)(np.ones((1, 1, 1, 3), np.float32)).shape == (1, 1, 1, 3)


@pytest.mark.parametrize(
  ('text', 'words'),
  [
    ('mean=1,2', 'is for 2 channels, images have 3'),
    ('mean=0.5:std=0', 'a std of 0 or less'),
    ('std=0.5', 'a std without a mean'),
    ('mean=0.5:std=1:std2=0', 'a std of 0 or less'),
    ('mean=0.5:std2=1', 'a std2 without a std'),
    ('offset=1', 'an offset without a scale'),
    ('scale=0', 'a scale of 0'),
    ('scale=1/0', 'a scale of 0'),
    ('scale=1,2', "'1,2' is not a number"),
    ('mean=a', "'a' is not a number"),
    ('mean=__import__("os")', 'is not a number'),
    ('mean=1:mean=2', 'has mean twice'),
    ('mean=1:scale=2', 'several of scale, mean'),
    ('mean=nan:std=1', "'nan' is not a number"),
    ('scale=2:shift=1', "'shift=1' is none of unit, mean="),
    ('bgr=1', 'unknown preprocessing'),
    ('imagenett', 'did you mean imagenet'),
  ],
)
def test_what_is_none_is_refused_in_a_line(text, words):
  with pytest.raises(UserError, match=words) as caught:
    preprocessing(text)(np.zeros((1, 2, 2, 3), np.float32))
  assert '\n' not in str(caught.value)
