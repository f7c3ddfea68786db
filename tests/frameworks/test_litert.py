"""LiteRT files, quantised ones too, against the interpreter in a plain loop."""

import math

import frameworks
import numpy as np
import pytest
import tensorflow as tf

from tfeval.models import loading
from tfeval.utils.errors import UserError

pytestmark = frameworks.needs('ai_edge_litert')


@pytest.fixture(scope='module')
def mobilenet(shared_data):
  return loading.load_model('MobileNet:alpha=0.25')


@pytest.fixture(scope='module')
def photos(shared_data):
  paths = sorted((shared_data / 'images').glob('n*.JPEG'))[:40]
  images = [tf.io.decode_jpeg(path.read_bytes(), 3) for path in paths]
  return np.stack(
    [tf.cast(tf.image.resize(one, (224, 224)), tf.uint8) for one in images]
  )


@pytest.fixture(scope='module', params=['float', 'dynamic', 'int8'])
def converted(request, mobilenet, photos, tmp_path_factory):
  converter = tf.lite.TFLiteConverter.from_keras_model(mobilenet.backend.model)
  if request.param != 'float':
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
  if request.param == 'int8':
    scaled = photos[:16].astype(np.float32) / 127.5 - 1
    converter.representative_dataset = lambda: ([one[None]] for one in scaled)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.uint8
  path = tmp_path_factory.mktemp('litert') / f'{request.param}.tflite'
  path.write_bytes(converter.convert())
  return path


def test_scores_are_those_of_the_interpreter(converted, photos, mobilenet):
  from ai_edge_litert.interpreter import Interpreter

  model = loading.load_model(converted, preprocess='tf', output='logits')
  scores = model(photos).numpy()
  interpreter = Interpreter(str(converted))
  interpreter.allocate_tensors()
  (given,), (made,) = (
    interpreter.get_input_details(),
    interpreter.get_output_details(),
  )
  for image, found in zip(photos, scores, strict=True):
    batch = image[None].astype(np.float32) / np.float32(127.5) - 1
    if given['dtype'] == np.uint8:
      scale, zero = given['quantization']
      # As its own quantisation rounds: halves away from zero.
      scaled = (batch / np.float32(scale)).ravel().tolist()
      whole = [math.copysign(math.floor(abs(one) + 0.5), one) + zero for one in scaled]
      batch = np.clip(whole, 0, 255).astype(np.uint8).reshape(batch.shape)
    interpreter.set_tensor(given['index'], batch)
    interpreter.invoke()
    expected = interpreter.get_tensor(made['index'])[0]
    if expected.dtype == np.uint8:
      scale, zero = made['quantization']
      expected = (expected.astype(np.float32) - zero) * np.float32(scale)
    # A batch of one and a batch of many may add up in another order.
    np.testing.assert_allclose(found, expected, atol=1e-4)
  # They are still the same model, more or less.
  same = scores.argmax(1) == mobilenet(photos).numpy().argmax(1)
  assert same.mean() > (0.98 if converted.stem == 'float' else 0.6)


def test_files_that_are_none(tmp_path):
  (tmp_path / 'a.tflite').write_bytes(b'abcdTFL3 and no more')
  with pytest.raises(UserError, match='it cannot be loaded') as caught:
    loading.load_model(tmp_path / 'a.tflite', preprocess='unit', output='logits')
  assert '\n' not in str(caught.value)
  (tmp_path / 'b.tflite').write_bytes(b'\x89HDF\r\n\x1a\n')
  with pytest.raises(UserError, match='is no .tflite file, it begins with'):
    loading.load_model(tmp_path / 'b.tflite', preprocess='unit', output='logits')
