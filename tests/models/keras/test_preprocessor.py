"""Models whose `fit` and `predict` preprocess, as the tasks of keras-hub do."""

import colours
import keras
import numpy as np
import pytest
import tensorflow as tf
from colours import callback, fit, hits, layers, loss

import tfeval
from tfeval.models.keras.preprocessor import preprocessor_of, with_preprocessor
from tfeval.models.options import ModelOptions
from tfeval.utils.errors import UserError


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  return colours.write_folder(tmp_path_factory.mktemp('colours'))


class Resized(keras.layers.Layer):
  """Makes images of 16 pixels with values about 0, as converters of keras-hub do."""

  def __init__(self):
    super().__init__()
    self.resize = keras.layers.Resizing(16, 16)

  def call(self, images):
    return (self.resize(images) - 120) / 60


class Task(keras.Model):
  """Preprocesses in `fit` and `predict` as `keras_hub.models.Task` does."""

  def __init__(self, preprocessor, side=16):
    inputs = keras.Input((side, side, 3))
    outputs = inputs
    for layer in layers()[1:]:
      outputs = layer(outputs)
    super().__init__(inputs, outputs, name='task')
    self.preprocessor = preprocessor
    self.compile(keras.optimizers.Adam(0.05), loss())

  def _prepared(self, images):
    return images if self.preprocessor is None else self.preprocessor(images)

  def fit(self, x, y, **arguments):
    return super().fit(np.asarray(self._prepared(x)), y, **arguments)

  def predict(self, x, **arguments):
    return super().predict(np.asarray(self._prepared(x)), **arguments)


@pytest.mark.parametrize('side', [48, 56, 224])
def test_the_size_is_the_one_it_makes(side):
  known = with_preprocessor(
    Task(keras.layers.Resizing(side, side), side=None), 'task', ModelOptions()
  )
  assert known.input_size == side
  plain = with_preprocessor(Task(lambda x: x / 255), 'task', ModelOptions())
  assert plain.input_size is None


def count(run):
  return [run.metrics[0]['correct'], run.metrics[0]['count']]


def evaluate(model, folder, **arguments):
  return tfeval.evaluate(
    model,
    f'folder:{folder}',
    **{'protocol': 'squash', 'preflight': 'error', 'output': 'logits', **arguments},
  )


def test_it_is_used_as_predict_uses_it(folder, tmp_path):
  keras.utils.set_random_seed(0)
  model, found = Task(Resized()), callback(folder, protocol='squash', input_size=32)
  fit(model, found, epochs=3)
  expected = hits(model, folder)
  assert expected[0] > 12
  assert found.history[-1]['counts']['val_top1'] == expected
  for arguments in ({}, {'preprocess': 'identity'}, {'preprocess': model.preprocessor}):
    run = evaluate(model, folder, input_size=32, **arguments)
    assert count(run) == expected
  assert run.result['model']['preprocess'].endswith(':Resized')
  assert run.result['model']['input_size'] == 32
  # Of its own size, where none is given.
  run = evaluate(model, folder, protocol='squash')
  assert run.result['model']['input_size'] == 16
  # A dataset in memory goes through it too.
  images, labels = colours.pixels(6, 1)
  data = tf.data.Dataset.from_tensor_slices((images, labels))
  run = tfeval.evaluate(model, data, classes=4, preflight='off')
  assert count(run) == expected


def test_without_one_nothing_is_added(folder):
  keras.utils.set_random_seed(0)
  model = Task(Resized())
  fit(model, epochs=1)
  prepared = model.preprocessor
  model.preprocessor = None
  run = evaluate(model, folder, preprocess=prepared, protocol='squash', input_size=16)
  # Images are 16 pixels before it.
  assert run.result['model']['preprocess_sha256']
  assert preprocessor_of(model) is None

  class Inside(keras.Model):
    """Uses it in `call`, and predicts as all models do."""

    def __init__(self):
      super().__init__()
      self.preprocessor = keras.layers.Rescaling(1 / 255)

  assert preprocessor_of(Inside()) is None


@pytest.mark.parametrize(
  'preprocessor, arguments, words',
  [
    (Resized(), {'preprocess': 'tf'}, 'preprocess=tf` images would be .* twice'),
    (Resized(), {'preprocess': lambda x: x / 255}, 'lambda.* images would be .* twice'),
    (lambda x: {'images': x, 'mask': x}, {}, "returns {'images'.*expected images"),
    (lambda x, words: x, {}, 'cannot take images alone .*words'),
    (lambda x: np.asarray(x) / 255, {}, 'cannot run on a float32 tensor'),
  ],
)
def test_what_cannot_be_used_is_refused_with_the_way(
  folder, preprocessor, arguments, words
):
  with pytest.raises(UserError, match=words) as caught:
    evaluate(Task(preprocessor), folder, input_size=32, **arguments)
  assert '\n' not in str(caught.value)
