"""A function is known by what it does, in every process the same."""

import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from cells import cell

from tfeval.models.graph_digest import graph_digest
from tfeval.models.keras import architecture

SIDE = 8


def of(function, side=SIDE):
  images = tf.TensorSpec((None, side, side, 3), tf.float32)
  return graph_digest(
    tf.function(function, autograph=False).get_concrete_function(images)
  )


def control_flow(times, scale):
  """Loops, branches and functions, whose names count up in a process."""

  @tf.function
  def scaled(x):
    return x * scale

  def function(x):
    x = tf.while_loop(lambda i, x: i < times, lambda i, x: (i + 1, x + 1), [0, x])[1]
    x = tf.map_fn(tf.image.per_image_standardization, x)
    return tf.cond(tf.reduce_sum(x) > 0, lambda: scaled(x), lambda: x)

  return function


class Scale(keras.layers.Layer):
  """Tells nothing of its number."""

  def __init__(self, by):
    super().__init__()
    self.by = by

  def get_config(self):
    raise NotImplementedError

  def call(self, x):
    return x * self.by


def some():
  """Digests of each kind, as another process has to find them."""
  tables = np.random.RandomState(0).uniform(size=(SIDE, SIDE, 3)).astype(np.float32)
  normalization = keras.layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[1.0] * 3)
  normalization.build((None, SIDE, SIDE, 3))
  numpy = lambda x: tf.numpy_function(lambda a: a - tables, [x], tf.float32)  # noqa: E731
  return [
    of(control_flow(2, tf.Variable(2.0))).sha256,
    of(keras.applications.resnet.preprocess_input).sha256,
    of(keras.Sequential([keras.layers.Rescaling(1 / 255), normalization])).sha256,
    of(lambda x: x - tables).sha256,
    of(numpy).sha256,
    architecture.architecture_sha256(network()),
  ]


def network(by=2, activation='relu'):
  inputs = keras.Input((SIDE, SIDE, 3))
  x = keras.layers.Conv2D(2, 3, activation=lambda x: x / by)(inputs) * 3
  x = Scale(by)(keras.layers.RandomFlip()(x))
  x = keras.layers.Lambda(lambda x: x - by)(x)
  return keras.Model(inputs, keras.layers.Activation(activation)(x))


def test_another_process_finds_the_same():
  here = some()
  assert len({*here}) == len(here)
  code = (
    'import test_graph_digest as test, keras\n'
    'keras.layers.Dense(1), keras.Sequential()\n'  # Names count on.
    'test.tf.function(lambda x: x)(1)\n'
    'print(*test.some())'
  )
  folder = pathlib.Path(__file__).parent
  path = os.pathsep.join([str(folder), str(folder.parent / 'support'), *sys.path])
  environment = {**os.environ, 'PYTHONPATH': path, 'PYTHONHASHSEED': '7'}
  there = subprocess.run(
    [sys.executable, '-c', code], env=environment, capture_output=True, text=True
  )
  assert there.stdout.split() == here, there.stderr[-2000:]


def test_what_it_does_counts():
  variable = tf.Variable(2.0)
  function = control_flow(2, variable)
  first = of(function).sha256
  assert of(control_flow(3, variable)).sha256 != first
  variable.assign(3.0)
  assert of(function).sha256 != first
  variable.assign(2.0)
  assert of(function).sha256 == first
  assert of(tf.image.rot90).sha256 != of(tf.image.flip_up_down).sha256


@pytest.mark.parametrize('gather', [tf.gather, tf.gather_nd])
def test_a_table_in_a_variable_counts(gather):
  def curve(values):
    table = tf.Variable(values)
    return of(lambda x: gather(table, tf.cast(x[..., None], tf.int32)))

  first = curve(tf.range(256.0))
  assert first == curve(tf.range(256.0)) and first.changing == ()
  assert first != curve(tf.range(256.0)[::-1])


@pytest.mark.parametrize('name', ['SCALE', 'scale'])
def test_a_cell_that_was_edited_is_another_function(name):
  source = f'def preprocess(x): return x / {name}'
  assert of(cell(source, **{name: 2.0})) == of(cell(source, **{name: 2.0}))
  assert of(cell(source, **{name: 2.0})) != of(cell(source, **{name: 3.0}))


@pytest.mark.parametrize('edit', ['a * 2', 'a + OTHER[0]'])
def test_python_in_a_graph_counts(edit):
  source = """
import tensorflow as tf
def preprocess(x): return tf.numpy_function(lambda a: a * 3, [x], tf.float32)
"""
  known = {'OTHER': np.ones(1, np.float32)}
  first = of(cell(source, **known))
  assert first == of(cell(source, **known)) and first.changing == ()
  assert of(cell(source.replace('a * 3', edit), **known)).sha256 != first.sha256


def test_what_python_reads_counts(tmp_path):
  np.save(tmp_path / 'mean.npy', np.float32(2))

  def function(x):
    reads = lambda a: a - np.load(tmp_path / 'mean.npy')  # noqa: E731
    return tf.numpy_function(reads, [x], tf.float32)

  first = of(function).sha256
  np.save(tmp_path / 'mean.npy', np.float32(3))
  assert of(function).sha256 != first


@pytest.mark.parametrize(
  ('function', 'operation'),
  [
    (lambda x: x + tf.random.uniform((), seed=1), 'RandomUniform'),
    (tf.image.random_flip_left_right, 'RandomUniform'),
    (keras.layers.RandomFlip(seed=1), None),
    (
      lambda x: tf.numpy_function(
        lambda a: a * np.random.default_rng().random(dtype=np.float32), [x], tf.float32
      ),
      'PyFunc',
    ),
  ],
)
def test_what_does_something_else_each_time_is_told(function, operation):
  call = function
  if operation is None:
    call = lambda x: function(x, training=True)  # noqa: E731
    function.build((None, SIDE, SIDE, 3))
    operation = 'AssignVariableOp'
  assert of(call).changing == (operation,)


def test_random_numbers_of_a_seed_are_always_the_same():
  noise = lambda x: x + tf.random.stateless_uniform((), (1, 2))  # noqa: E731
  assert of(noise).changing == ()


def test_what_a_network_computes_counts():
  first = architecture.architecture_sha256(network())
  assert architecture.architecture_sha256(network()) == first
  assert architecture.architecture_sha256(network(by=3)) != first
  assert architecture.architecture_sha256(network(activation='tanh')) != first


class Config:
  """What people hand their layers."""

  def __init__(self, by):
    self.by = by


def test_an_object_that_a_layer_keeps_counts():
  def of_config(by):
    return architecture.architecture_sha256(keras.Sequential([Scale(Config(by))]))

  assert of_config(2) == of_config(2) != of_config(3)


@pytest.mark.parametrize('norm', [True, False])
def test_names_that_count_on_are_no_part_of_an_architecture(norm):
  def made(side=3):
    inputs = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.Conv2D(2, side)(inputs)
    if norm:
      x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Concatenate()([x, x * 2])
    return keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(x)))

  first = architecture.architecture_sha256(made())
  assert architecture.architecture_sha256(made()) == first
  assert architecture.architecture_sha256(made(2)) != first


def test_training_changes_no_architecture():
  model = network()
  first = architecture.architecture_sha256(model)
  model.compile('sgd', 'mse')
  images = np.zeros((2, SIDE, SIDE, 3), np.float32)
  model.fit(images, model.predict(images, verbose=0), verbose=0)
  assert architecture.architecture_sha256(model) == first
