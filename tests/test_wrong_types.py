"""What is given in Python of a wrong type: one line that names the parameter."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfeval
from tfeval.utils.errors import UserError

ODD = (3.5, {1: 2}, b'x', object(), np.array([1, 2]), [3], ('a', 3), object)


@pytest.fixture(scope='module')
def model():
  layers = [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(3)]
  return keras.Sequential(layers)


@pytest.fixture(scope='module')
def dataset():
  images, labels = np.zeros((6, 8, 8, 3), np.float32), np.arange(6) % 3
  return tf.data.Dataset.from_tensor_slices((images, labels))


@pytest.fixture(scope='module')
def run(model, dataset, tmp_path_factory):
  where = tmp_path_factory.mktemp('runs')
  return tfeval.evaluate(model, dataset, preflight='off', output_dir=where)


def refused(name, call):
  with pytest.raises(UserError, match=name) as caught:
    call()
  message = str(caught.value)
  assert '\n' not in message and len(message) < 400, message
  return message


@pytest.mark.parametrize('value', ODD, ids=lambda value: type(value).__name__)
def test_values_of_another_type(model, dataset, run, value):
  application = 'MobileNet:alpha=0.25'
  refused('target is .* expected the name of a model', lambda: tfeval.load_model(value))
  refused(
    "weights is .* expected 'imagenet', 'none' or a path",
    lambda: tfeval.load_model(application, weights=value),
  )
  for name in ('output', 'class_map', 'output_name', 'dtype', 'input_size', 'tags'):
    refused(name, lambda name=name: tfeval.load_model(application, **{name: value}))
  refused('path is .* expected the path of a run', lambda: tfeval.load_run(value))
  refused('labels (is|has) .* expected .original', lambda: run.score(labels=value))
  refused('metrics (is|has) .* expected names', lambda: run.score(metrics=value))
  refused('subset is ', lambda: run.score(subset=value))
  refused('labels (is|has) .* expected opened', lambda: run.summary(value))
  for read in (run.to_arrow, run.to_pandas, lambda one: list(run.parts(one))):
    refused('columns (is|has) .* expected a list', lambda read=read: read(value))
  evaluator = tfeval.Evaluator(model, dataset, preflight='off')
  refused('output_dir is .* expected a path', lambda: evaluator.evaluate(value))
  for metric in (tfeval.keras.TopK, tfeval.keras.RealTopK, tfeval.keras.RealTop1):
    refused('name is ', lambda metric=metric: metric(name=value))


@pytest.mark.parametrize('value', ODD, ids=lambda value: type(value).__name__)
def test_every_keyword(model, dataset, value):
  for name in inspect.signature(tfeval.evaluate).parameters:
    if name not in ('model', 'dataset', 'preprocess'):
      refused(name, lambda name=name: tfeval.evaluate(model, dataset, **{name: value}))
  for name in inspect.signature(tfeval.build_dataset).parameters:
    refused(name, lambda name=name: tfeval.build_dataset(**{name: value}))
  for name in inspect.signature(tfeval.keras.EvaluateCallback).parameters:
    if name not in ('dataset', 'how'):
      words = name.removesuffix('s')  # "unknown metric 'a'"
      refused(words, lambda name=name: tfeval.keras.EvaluateCallback(**{name: value}))


def test_texts_that_are_no_lists_and_paths_that_are_empty(model, dataset, run):
  message = refused('columns', lambda: run.to_arrow('id'))
  assert message == "columns is 'id', expected a list of names of columns"
  refused('nothing', lambda: run.to_arrow(['nothing']))
  refused('labels is 3, expected', lambda: run.score(labels=3))
  for call in (
    lambda: tfeval.evaluate(model, dataset, output_dir=''),
    lambda: tfeval.Evaluator(model, dataset, preflight='off').evaluate(''),
    lambda: tfeval.keras.EvaluateCallback(dataset, output_dir=''),
  ):
    assert refused('output_dir', call) == "output_dir is '', expected a path"
  refused('log_dir', lambda: tfeval.keras.EvaluateCallback(dataset, log_dir=''))
  refused('cache_dir', lambda: tfeval.evaluate(model, dataset, cache_dir=''))
  refused(
    'classes is .., expected', lambda: tfeval.evaluate(model, dataset, classes=[])
  )
  refused('classes is 0', lambda: tfeval.evaluate(model, dataset, classes=0))
  loaded = tfeval.load_model('MobileNet:alpha=0.25', weights='none')
  for value in ('', None, {}, ['a', 3], object()):
    refused('takes images', lambda value=value: loaded(value))
