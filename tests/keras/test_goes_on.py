"""A fit that goes on after another one, in the steps of its history."""

import json

import colours
import keras
import pytest
from colours import callback, fit, layers, loss

from tfeval.utils.errors import UserError


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  return colours.write_folder(tmp_path_factory.mktemp('colours'), per_class=2)


def model(width=4, name='tuned'):
  first, convolve, pool, last = layers()
  convolve = keras.layers.Conv2D(width, 3, strides=4)
  found = keras.Sequential(
    [keras.Input((32, 32, 3)), first, convolve, pool, last], name=name
  )
  return compiled(found)


def compiled(found):
  found.compile(keras.optimizers.SGD(0.1), loss())
  return found


def steps(found):
  return [entry['step'] for entry in found.history]


def test_two_phases_with_an_optimizer_each(folder, tmp_path):
  one, found = model(), callback(folder, output_dir=tmp_path, every_steps=3)
  one.layers[1].trainable = False
  fit(one, found)
  one.layers[1].trainable = True
  compiled(one)  # Its optimizer counts from 0.
  fit(one, found, epochs=1)
  assert steps(found) == [3, 6, 9, 12]
  # In another process, from the beginning.
  again = callback(folder, output_dir=tmp_path, log_dir=tmp_path / 'log')
  fit(model(), again)
  assert steps(again) == [3, 6, 9, 12, 16, 20]
  written = json.loads((tmp_path / 'history.json').read_text())['evaluations']
  assert [entry['step'] for entry in written] == steps(again)


def test_an_optimizer_that_has_counted_more_tells_the_step(folder):
  one = model()
  fit(one, epochs=1)
  found = callback(folder)
  fit(one, found, epochs=1)
  one.optimizer.iterations.assign(2)  # As where an older state is loaded.
  fit(one, found, epochs=1)
  assert steps(found) == [8, 12]


def test_another_architecture_of_the_same_name(folder, tmp_path):
  fit(model(), callback(folder, output_dir=tmp_path), epochs=1)
  before = (tmp_path / 'history.json').read_bytes()
  other = model(width=5)
  with pytest.raises(UserError, match='had other layers or sizes .*another output_dir'):
    fit(other, callback(folder, output_dir=tmp_path), epochs=1)
  assert int(other.optimizer.iterations) == 0
  # One that its first batch builds is looked at there.
  unbuilt = compiled(keras.Sequential(layers()[1:], name='tuned'))
  with pytest.raises(UserError, match='had other layers'):
    fit(unbuilt, callback(folder, output_dir=tmp_path), epochs=1)
  assert (tmp_path / 'history.json').read_bytes() == before
  # Names that Keras gives are no part of it, nor what is trained of it.
  same = model()
  assert same.layers[0].name != other.layers[0].name
  same.layers[1].trainable = False
  fit(compiled(same), callback(folder, output_dir=tmp_path), epochs=1)
