"""The first evaluation above chance looks at how a model is fed."""

import colours
import keras
import numpy as np
import pytest
from colours import callback, layers, loss

from tfeval.datasets.labels import imagenet
from tfeval.keras import first_look


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  return colours.write_folder(tmp_path_factory.mktemp('colours'), per_class=16)


def small(normalises=False):
  keras.utils.set_random_seed(0)
  _, *rest = layers()
  if normalises:
    rest.insert(1, keras.layers.BatchNormalization(momentum=0.5))
  found = keras.Sequential([keras.Input((32, 32, 3)), *rest], name='small')
  found.compile(keras.optimizers.Adam(0.05), loss())
  return found


def train(model, found, epochs, prepare):
  images, labels = colours.pixels(16, 0)
  return model.fit(
    prepare(images.astype(np.float32)),
    labels,
    batch_size=16,
    epochs=epochs,
    verbose=0,
    callbacks=[found],
  ).history


def scaled(images):
  return images / 127.5 - 1


def test_what_is_little_trained_is_not_looked_at(folder, monkeypatch):
  looked = []
  model, found = small(), callback(folder, preprocess='tf')
  monkeypatch.setattr(
    'tfeval.evaluation.waiting.WaitingEvaluator.look', lambda self: looked.append(1)
  )
  model.optimizer.learning_rate = 0.0
  train(model, found, 2, scaled)  # At chance.
  assert not looked
  model.optimizer.learning_rate = 0.05
  values = train(model, found, 4, scaled)['val_top1']
  assert max(values) > 0.5 and looked == [1]
  # Its statistics are half of what they began with, after each step.
  model, found = small(normalises=True), callback(folder, preprocess='tf')
  assert first_look.steps_of_statistics(model) == 7
  train(model, found, 1, scaled)
  assert looked == [1]
  train(model, found, 3, scaled)
  assert looked == [1, 1]
  # Asked for otherwise, it is left out.
  train(small(), callback(folder, preprocess='tf', preflight='off'), 4, scaled)
  assert looked == [1, 1]


@pytest.mark.parametrize('preprocess', ['tf', 'torch'])
def test_another_preprocessing_than_that_of_the_training_is_told(
  folder, caplog, preprocess
):
  def as_torch(images):
    return keras.applications.imagenet_utils.preprocess_input(images, mode='torch')

  model, found = small(normalises=True), callback(folder, preprocess=preprocess)
  values = train(model, found, 6, as_torch)['val_top1']
  assert max(values) > 0.5
  told = [record.getMessage() for record in caplog.records]
  if preprocess == 'torch':
    assert told == []
  else:
    (line,) = told
    assert line.startswith('small: normalisation: preprocessing tf, expected the prep')
    assert 'give `preprocess=torch` (of PyTorch imagenet, ' in line


def test_a_model_of_more_classes_than_the_folder_is_looked_at(tmp_path, caplog):
  folder = colours.write_folder(tmp_path / 'colours', per_class=16)
  for letter, wnid in zip('abcd', imagenet.label_space().class_ids, strict=False):
    (folder / letter).rename(folder / wnid)
  inputs, *rest, _ = small(normalises=True).layers
  model = keras.Sequential([keras.Input((32, 32, 3)), inputs, *rest], name='small')
  model.add(keras.layers.Dense(1000))
  model.compile(keras.optimizers.Adam(0.05), loss())
  found = callback(folder, preprocess='tf')
  train(model, found, 6, scaled)
  assert found.history[-1]['counts']['val_top1'][1] == 64
  assert not found._first_look._is_due and not caplog.records
