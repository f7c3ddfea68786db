"""Factories that return a model together with what has to be known of it."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfeval.models.loading import load_model
from tfeval.utils.errors import UserError

SIZE = 16
TOLD = {'preprocess': 'tf', 'input_size': SIZE, 'output': 'logits'}


def base():
  """Takes images of any size and does not tell whether it returns logits."""
  inputs = keras.Input((None, None, 3))
  x = keras.layers.GlobalAveragePooling2D()(inputs)
  x = keras.layers.Dense(
    1000, kernel_initializer=keras.initializers.RandomNormal(seed=1)
  )(x)
  return keras.Model(inputs, keras.ops.multiply(x, 2.0))


def halved(images, by=2.0):
  return images / by


def through_numpy(images):
  return np.asarray(images) / 2


def nothing(images):
  del images


def misspelt(images):
  return images.shap


class Half:
  def __call__(self, images):
    return images / 2.0


FUNCTIONS = {
  'function': (halved, f'{__name__}:halved'),
  'lambda': (lambda x: x / 2.0, f'{__name__}:<lambda>'),
  'partial': (functools.partial(halved, by=2.0), f'{__name__}:halved'),
  'compiled': (tf.function(halved), f'{__name__}:halved'),
  'object': (Half(), f'{__name__}:Half'),
  'layer': (keras.layers.Rescaling(1 / 2), 'Rescaling'),
}
RETURNED = {
  'whole': lambda model: {'model': model, **TOLD},
  'part': lambda model: {'model': model, 'preprocess': 'tf', 'output': None},
  'misspelt': lambda model: {'model': model, 'preproces': 'tf'},
  'odd': lambda model: {'model': model, 3: 'tf'},
  'no_model': lambda model: dict(TOLD),
  'strange_model': lambda model: {'model': base, **TOLD},
  'size': lambda model: {'model': model, **TOLD, 'input_size': '224'},
  'no_size': lambda model: {'model': model, **TOLD, 'input_size': 0},
  'numpy_size': lambda model: {'model': model, **TOLD, 'input_size': np.int64(SIZE)},
  'output': lambda model: {'model': model, **TOLD, 'output': 'logit'},
  'name': lambda model: {'model': model, **TOLD, 'preprocess': 'caffee'},
  'number': lambda model: {'model': model, **TOLD, 'preprocess': 255},
  'through_numpy': lambda model: {
    'model': model,
    'preprocess': through_numpy,
    'input_size': SIZE,
    'output': 'logits',
  },
  'nothing': lambda model: {'model': model, **TOLD, 'preprocess': nothing},
  'misspelt_function': lambda model: {'model': model, **TOLD, 'preprocess': misspelt},
  **{
    f'by_{name}': lambda model, function=function: {
      'model': model,
      **TOLD,
      'preprocess': function,
    }
    for name, (function, _) in FUNCTIONS.items()
  },
}


def factory(kind):
  return RETURNED[kind](base())


def load(kind, **hints):
  return load_model(f'{__name__}:factory:kind={kind}', **hints)


@pytest.fixture(scope='module')
def pixels():
  return np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE, 3), np.uint8)


def test_everything_is_told(pixels):
  model = load('whole')
  assert model.describe() | {'name': ''} == {
    'name': '',
    'weights': 'model',
    'weights_sha256': None,
    'parameters': 4000,
    'input_size': SIZE,
    'preprocess': 'tf',
    'output': 'logits',
    'class_map': None,
    'output_name': None,
  }
  expected = base()(pixels / np.float32(127.5) - 1)
  np.testing.assert_allclose(model(pixels), expected, atol=1e-4)


@pytest.mark.parametrize('kind', FUNCTIONS)
def test_preprocessing_by_a_function(pixels, kind):
  model = load(f'by_{kind}')
  assert model.preprocess_name.endswith(FUNCTIONS[kind][1])
  np.testing.assert_allclose(model(pixels), base()(pixels / np.float32(2)), atol=1e-3)


def test_flags_tell_the_rest():
  model = load('part', input_size=SIZE, output='probabilities')
  assert (model.preprocess_name, model.input_size, model.output) == (
    'tf',
    SIZE,
    'probabilities',
  )
  with pytest.raises(UserError, match='give `input_size`'):
    load('part', output='logits')
  with pytest.raises(UserError, match='give `output='):
    load('part', input_size=SIZE)


def test_flags_may_repeat_what_is_told():
  assert load('whole', **TOLD).describe() == load('whole').describe()
  size = load('numpy_size').input_size
  assert (size, type(size)) == (SIZE, int)


@pytest.mark.parametrize(
  'kind, hints, words',
  [
    (
      'whole',
      {'preprocess': 'torch'},
      '^`preprocess` says torch, .*:factory returned the preprocess tf: leave one out$',
    ),
    (
      'by_function',
      {'preprocess': 'tf'},
      f'`preprocess` says tf, .* returned the preprocess {__name__}:halved: leave',
    ),
    (
      'whole',
      {'input_size': 32},
      '`input_size` or `protocol` says 32, .* returned the input_size 16: leave',
    ),
    (
      'whole',
      {'output': 'probabilities'},
      '`output` says probabilities, .* returned the output logits: leave',
    ),
    ('misspelt', {}, "unknown key of what .* returned 'preproces': did you mean pre"),
    ('odd', {}, "unknown key of what .* returned '3': known: model, preprocess, inp"),
    ('no_model', {}, 'returned a dict without the key model, expected model, preproc'),
    ('strange_model', {}, 'returned as its model function, expected a keras.Model$'),
    ('size', {}, "what .* returned: input_size is '224', expected a number"),
    ('no_size', {}, 'input_size is 0, expected a number of pixels'),
    ('output', {}, "returned: unknown output 'logit': did you mean logits"),
    ('name', {}, "returned: unknown preprocessing 'caffee': did you mean caffe"),
    ('name', {}, "returned: unknown preprocessing 'caffee': did you mean caffe"),
    ('number', {}, 'returned: preprocessing is 255, expected a name or a function'),
    (
      'through_numpy',
      {},
      f'the preprocessing {__name__}:through_numpy of .* cannot '
      r'run on a float32 tensor \[n, 16, 16, 3\]',
    ),
    ('misspelt_function', {}, 'cannot run on a float32 tensor .*shap'),
  ],
)
def test_what_cannot_be(kind, hints, words):
  with pytest.raises(UserError, match=words) as caught:
    load(kind, **hints)
  assert '\n' not in str(caught.value)
