"""Forward passes: padding, and outputs that cannot be right."""

import keras
import numpy as np
import pytest

from tfeval.datasets import open_dataset
from tfeval.engine import predict, reading, strategy
from tfeval.errors import UserError
from tfeval.models import model as model_lib
from tfeval.preprocess import protocol as protocol_lib


def predict_with(function, folder, output='logits'):
  """Runs the loop on a function of preprocessed images."""
  model = model_lib.Model(
      name='fixture', function=function, preprocess=lambda x: x,
      preprocess_name='identity', input_size=32, output=output, weights='none',
      weights_sha256=None, parameters=0)
  forward = predict.Forward(model, strategy.make_strategy('default'), 8)
  return [(batch.ids, predict.checked_scores(forward, batch)) for batch in reading.read(
      open_dataset(f'folder:{folder}'), protocol_lib.resolve('opencv', 32), 8)]


def constant(value, classes=1000):
  def function(images):
    return keras.ops.zeros((images.shape[0], classes)) + value
  return function


def test_padding_is_not_stored(photos):
  batches = predict_with(constant(0.), photos)
  assert [len(ids) for ids, _ in batches] == [8, 4]
  assert [scores.shape for _, scores in batches] == [(8, 1000), (4, 1000)]


def test_non_finite_outputs_name_the_example(photos):
  broken = sorted(p.name for p in photos.iterdir())[0]
  with pytest.raises(UserError, match=f'NaN or infinity for example {broken}'):
    predict_with(constant(np.nan), photos)


def test_wrong_width_is_refused(photos):
  with pytest.raises(UserError, match=r'returns \(8, 1001\), expected \(8, 1000\)'):
    predict_with(constant(0., classes=1001), photos)


def test_logits_declared_as_probabilities_are_refused(photos):
  with pytest.raises(UserError, match='not probabilities: give --output=logits'):
    predict_with(constant(1.), photos, output='probabilities')
  assert predict_with(constant(1e-3), photos, output='probabilities')
