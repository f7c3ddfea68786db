"""Forward passes: padding, and outputs that cannot be right."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext

from tfeval.datasets import open_dataset
from tfeval.datasets.labels import imagenet
from tfeval.engine import batches as reading
from tfeval.engine import forward as predict
from tfeval.engine import strategies
from tfeval.models import fitting, loading
from tfeval.models import model as model_lib
from tfeval.models.keras.backend import FunctionBackend
from tfeval.preprocess import protocol
from tfeval.utils.errors import UserError


def model_of(function, output='logits'):
  """Returns a function of preprocessed images as a model."""
  return model_lib.Model(
    name='fixture',
    function=function,
    preprocess=lambda x: x,
    preprocess_name='identity',
    input_size=32,
    output=output,
    weights='none',
    weights_sha256=None,
    parameters=0,
    backend=FunctionBackend(function),
  )


def predict_with(function, folder, output='logits'):
  """Runs a function of preprocessed images over a folder."""
  model = fitting.fit(model_of(function, output), imagenet.label_space())
  forward = predict.ForwardPass(model, strategies.make_strategy('default'), 8)
  return [
    (batch.ids, predict.predict_batch(forward, batch))
    for batch in reading.read_batches(
      open_dataset(f'folder:{folder}'), protocol.resolve('opencv', 32), 8
    )
  ]


def forward(function, pixels, jit):
  """Runs one batch of 8."""
  return predict.ForwardPass(
    model_of(function), strategies.make_strategy('default'), 8, jit
  )(pixels)


@pytest.fixture(scope='module')
def pixels():
  return tf.constant(
    np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), np.uint8)
  )


def constant(value, classes=1000):
  def function(images):
    return keras.ops.zeros((images.shape[0], classes)) + value

  return function


def test_padding_is_not_stored(photos):
  batches = predict_with(constant(0.0), photos)
  assert [len(ids) for ids, _ in batches] == [8, 4]
  assert [scores.shape for _, scores in batches] == [(8, 1000), (4, 1000)]


def test_non_finite_outputs_name_the_example(photos):
  broken = sorted(p.name for p in photos.iterdir())[0]
  with pytest.raises(UserError, match=f'NaN or infinity for example {broken}'):
    predict_with(constant(np.nan), photos)


def test_wrong_width_is_refused(photos):
  with pytest.raises(UserError, match=r'returns \(8, 1001\), expected \(8, 1000\)'):
    predict_with(constant(0.0, classes=1001), photos)


def test_logits_declared_as_probabilities_are_refused(photos):
  with pytest.raises(UserError, match='not probabilities: give `output=logits`'):
    predict_with(constant(1.0), photos, output='probabilities')
  assert predict_with(constant(1e-3), photos, output='probabilities')


def test_jit_compiles_the_model(pixels):
  keras.utils.set_random_seed(0)
  model = keras.Sequential(
    [
      keras.Input((32, 32, 3)),
      keras.layers.Rescaling(1 / 255),
      keras.layers.Conv2D(8, 3, strides=2, activation='relu'),
      keras.layers.GlobalAveragePooling2D(),
      keras.layers.Dense(1000),
    ]
  )
  compiled = []

  def function(images):
    compiled.append(GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph()))
    return model(images)

  plain, jit = (forward(function, pixels, jit) for jit in (False, True))
  assert compiled == [False, True]
  assert jit.shape == (5, 1000)
  np.testing.assert_allclose(jit, plain, atol=1e-5)
  np.testing.assert_allclose(jit, model(tf.cast(pixels, tf.float32)), atol=1e-5)


def test_what_xla_cannot_compile_is_refused(pixels):
  def in_python(images):
    outputs = tf.py_function(lambda x: tf.reduce_mean(x, 3), [images], tf.float32)
    return tf.reshape(outputs, (8, 1024))[:, :1000]

  assert forward(in_python, pixels, jit=False).shape == (5, 1000)
  with pytest.raises(
    UserError,
    match='fixture cannot be compiled by XLA: leave `jit` out: [^\n]*EagerPyFunc',
  ):
    forward(in_python, pixels, jit=True)
  with pytest.raises(UserError, match='fixture cannot run on images'):
    forward(lambda images: tf.reshape(images, (7, 1000)), pixels, jit=True)


SMALL = [
  'EfficientNetB0',
  'MobileNetV2',
  'MobileNetV3Small',
  'NASNetMobile',
  'DenseNet121',
  'EfficientNetLite0',
  'EfficientNetLite1',
  'EfficientNetLite2',
]


@pytest.mark.slow
@pytest.mark.parametrize(
  'name, weights',
  [
    ('MobileNet:alpha=0.25', 'imagenet'),
    *((name, 'imagenet' if 'Lite' in name else 'none') for name in SMALL),
  ],
)
def test_jit_moves_logits_by_rounding(shared_data, photos, name, weights):
  del shared_data  # Where the weights are.
  keras.utils.set_random_seed(0)
  model = loading.load_model(name, weights)
  batch = next(
    reading.read_batches(
      open_dataset(f'folder:{photos}', limit=8),
      protocol.resolve('opencv', model.input_size),
      8,
    )
  )
  plain, jit = (
    predict.ForwardPass(model, strategies.make_strategy('default'), 8, jit)(
      batch.pixels
    )
    for jit in (False, True)
  )
  assert plain.argmax(1).tolist() == jit.argmax(1).tolist()
  np.testing.assert_allclose(jit, plain, atol=1e-4 * np.abs(plain).max())
