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


def test_every_float_is_rounded_as_std_round_does(child):
  """Against float64, in which |x| + 0.5 is exact: all near halves, many others."""
  tensors = child('tensors')
  halves = np.arange(-70000, 70000, dtype=np.float64).astype(np.float32) + np.float32(
    0.5
  )
  below = np.nextafter(halves, np.float32(-np.inf))
  above = np.nextafter(halves, np.float32(np.inf))
  bits = np.random.default_rng(0).integers(0, 2**32, 2_000_000, np.uint32)
  any_bits = bits.view(np.float32)
  any_bits = any_bits[np.isfinite(any_bits)]
  large = np.arange(2**23 - 300, 2**23 + 300, dtype=np.float32)
  values = np.concatenate([halves, below, above, any_bits, large, -large, [0.0, -0.0]])
  values = values.astype(np.float32)
  whole = np.trunc(np.abs(values.astype(np.float64)) + 0.5)
  whole = np.copysign(whole, values)
  for dtype, zero in (('uint8', 0), ('uint8', 131), ('int8', -3), ('int16', 0)):
    limits = np.iinfo(dtype)
    expected = np.clip(whole + zero, limits.min, limits.max).astype(dtype)
    np.testing.assert_array_equal(
      tensors.integers(values[None], dtype, 1.0, zero)[0], expected
    )
  for dtype in ('int32', 'int64', 'uint32', 'uint64'):
    limits = np.iinfo(dtype)
    inside = (whole >= limits.min) & (whole <= min(limits.max, 2**53))
    inside &= whole >= -(2**53)
    expected = whole[inside].astype(dtype)
    np.testing.assert_array_equal(
      tensors.integers(values[None, inside], dtype)[0], expected
    )
    assert tensors.integers(np.float32([[-np.inf]]), dtype)[0, 0] <= 0
  assert tensors.integers(np.float32([[0.49999997]]), 'uint8')[0, 0] == 0


def converted_function(function, path, *signature, optional=lambda converter: None):
  concrete = tf.function(function, input_signature=signature).get_concrete_function()
  converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
  optional(converter)
  path.write_bytes(converter.convert())
  return path


WEIGHTS = np.random.default_rng(1).normal(size=(3, 5)).astype(np.float32)
PIXELS = np.random.default_rng(2).integers(0, 256, (5, 16, 16, 3), np.uint8)


def scores(images, axes=(1, 2)):
  return tf.reduce_mean(tf.cast(images, tf.float32), axes) @ WEIGHTS


@pytest.mark.parametrize(
  ('shape', 'option', 'size'),
  [
    ((None, 3, 16, 16), '', None),
    ((None, 3, 16, 16), ':layout=nchw', None),
    ((2, 16, 16, 3), '', None),
    ((None, 16, 16, 3), ':layout=nhwc,threads=2', None),
    ((None, None, None, None), ':layout=nhwc', 16),
  ],
)
def test_layouts(shape, option, size, tmp_path):
  axes = (2, 3) if shape[1] == 3 else (1, 2)
  path = converted_function(
    lambda x: scores(tf.nn.avg_pool(x, 4, 4, 'VALID') if size else x, axes),
    tmp_path / 'a.tflite',
    tf.TensorSpec(shape),
  )
  known = {'preprocess': 'unit', 'output': 'logits', 'input_size': size}
  found = loading.load_model(f'{path}{option}', **known)(PIXELS)
  expected = (PIXELS / np.float32(255)).mean((1, 2)) @ WEIGHTS
  np.testing.assert_allclose(found, expected, atol=1e-5)
  if shape[1] is None:
    with pytest.raises(UserError, match='does not tell where the channels are: give'):
      loading.load_model(path, **known)
  with pytest.raises(UserError, match='no option size: known: layout, threads'):
    loading.load_model(f'{path}:size=3', **known)


@pytest.mark.parametrize('dtype', ['uint8', 'int32', 'int64'])
def test_integers_without_a_scale(dtype, tmp_path):
  path = converted_function(
    scores, tmp_path / 'a.tflite', tf.TensorSpec((None, 16, 16, 3), dtype)
  )
  found = loading.load_model(path, preprocess='identity', output='logits')(PIXELS)
  expected = PIXELS.astype(np.float32).mean((1, 2)) @ WEIGHTS
  np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-3)
  for preprocess in ('unit', 'imagenet', 'tf'):
    with pytest.raises(UserError, match=f'takes whole numbers .{dtype}.*=identity`'):
      loading.load_model(path, preprocess=preprocess, output='logits')


def in_int8(converter):
  converter.optimizations = [tf.lite.Optimize.DEFAULT]
  sample = PIXELS.astype(np.float32) / 255
  converter.representative_dataset = lambda: ([one[None]] for one in sample)
  converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
  converter.inference_input_type = converter.inference_output_type = tf.int8


@pytest.mark.parametrize('optional', [lambda _: None, in_int8], ids=['float', 'int8'])
@pytest.mark.parametrize('activation', [tf.nn.softmax, tf.nn.sigmoid, tf.identity])
def test_what_a_file_ends_in(activation, optional, tmp_path):
  path = converted_function(
    lambda x: tf.reshape(activation(scores(x)), (-1, 1, 1, 5)),
    tmp_path / 'a.tflite',
    tf.TensorSpec((1, 16, 16, 3)),
    optional=optional,
  )
  if activation is tf.identity:
    with pytest.raises(UserError, match='logits or probabilities cannot be known'):
      loading.load_model(path, preprocess='unit')
    assert loading.load_model(path, preprocess='unit', output='logits')
    return
  kind = {'softmax': 'probabilities', 'sigmoid': 'sigmoid'}[activation.__name__[:7]]
  assert loading.load_model(path, preprocess='unit').output == kind
  with pytest.raises(UserError, match='ends in a (softmax|sigmoid), so it returns pro'):
    loading.load_model(path, preprocess='unit', output='logits')


def test_an_operator_that_is_lacking(tmp_path):
  def with_flex(converter):
    ops = tf.lite.OpsSet
    converter.target_spec.supported_ops = [ops.TFLITE_BUILTINS, ops.SELECT_TF_OPS]

  path = converted_function(
    lambda x: tf.linalg.qr(scores(x))[0],
    tmp_path / 'a.tflite',
    tf.TensorSpec((1, 16, 16, 3)),
    optional=with_flex,
  )
  with pytest.raises(UserError, match='LiteRT lacks its operator FlexQr: convert'):
    loading.load_model(path, preprocess='unit', output='logits')
