"""Applications by name: the same numbers, or one clear line."""

import pytest
import tensorflow as tf
from small_models import NAME, load, refused

from tfeval.datasets.labels import imagenet


def test_application_is_described():
  model = load(NAME, 'none')
  assert model.describe() == {
    'name': NAME,
    'weights': 'none',
    'weights_sha256': None,
    'parameters': 475544,
    'input_size': 224,
    'preprocess': 'tf',
    'output': 'logits',
    'class_map': None,
    'output_name': None,
  }
  assert load(f'{NAME},input_shape=[128,128,3]', 'none').input_size == 128


@pytest.mark.parametrize(
  'options, words',
  [
    ('alpha=7', 'alpha'),
    ('alpha=0.3', 'no published weights .*alpha=0.3.*models `filter=MobileNet` '),
    ('input_shape=[100,100,3]', 'no published weights .*should be .224, 224, 3'),
    ('alpha=-1', 'no published weights for MobileNet:alpha=-1'),
    ('alpha=wide', 'no published weights for MobileNet:alpha=wide'),
    ('alpha=1e999', 'no published weights for MobileNet:alpha=1e999'),
    ('aplha=0.25', "unknown argument of MobileNet 'aplha': did you mean alpha"),
    ('input_shape=224', r'input_shape is 224, expected .*\[224,224,3\]'),
    ('input_shape=[224,192,3]', 'no published weights'),
    ('classes=10', 'classes'),
    ('weights=none', 'weights is set by tfeval: give `weights'),
    ('include_top=false', 'include_top is set by tfeval'),
    ('classifier_activation=softmax', 'classifier_activation is set by tfeval'),
  ],
)
def test_bad_arguments_of_an_application(keras_home, options, words):
  del keras_home
  refused(words, f'MobileNet:{options}')


def test_alpha_without_published_weights_can_still_be_built(mobilenet):
  del mobilenet
  assert load('MobileNet:alpha=0.3', 'none').parameters > 0


def test_applications_of_other_classes():
  loaded = load(f'{NAME},classes=10', 'none')
  assert (loaded.outputs, loaded.label_space) == (10, None)
  assert load(NAME, 'none').label_space is imagenet.label_space()


def test_rectangular_application():
  refused('224 x 192, expected a square', f'{NAME},input_shape=[224,192,3]', 'none')


def test_application_at_another_size():
  loaded = load(NAME, 'none', input_size=160)
  assert loaded.input_size == 160
  assert loaded.function(tf.zeros([1, 160, 160, 3])).shape == (1, 1000)
  refused(
    'input_shape and an input size of 160 were both given',
    f'{NAME},input_shape=[128,128,3]',
    'none',
    input_size=160,
  )


def test_application_that_leaves_its_size_open():
  name = 'MobileNetV3Small:minimalistic=true'
  assert load(name, 'none').input_size == 224
  assert load(name, 'none', input_size=160).input_size == 160
  assert load(f'{name},input_shape=[96,96,3]', 'none').input_size == 96


@pytest.mark.parametrize('hint', [{'preprocess': 'tf'}, {'output': 'logits'}])
def test_hints_are_not_for_applications(hint):
  refused(
    f'`{next(iter(hint))}` is known for MobileNet: leave it out', NAME, 'none', **hint
  )
