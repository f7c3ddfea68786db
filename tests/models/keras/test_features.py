"""Features of layers, beside models of Keras that return them."""

import threading

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tfeval.models.keras import features, wrap
from tfeval.models.options import ModelOptions
from tfeval.utils.errors import UserError

SIDE = 16
PIXELS = np.random.default_rng(0).uniform(0, 255, (3, SIDE, SIDE, 3)).astype('float32')


def body(channels=6):
  return keras.Sequential(
    [
      keras.Input((SIDE, SIDE, 3)),
      layers.Conv2D(channels, 3, activation='relu', name='last_conv'),
      layers.BatchNormalization(),
    ],
    name='body',
  )


class Subclassed(keras.Model):
  """A model without a graph, whose layers are called in another order than made."""

  def __init__(self):
    super().__init__(name='subclassed')
    self.head, self.inner = layers.Dense(5), body()

  def call(self, x, training=False):
    pooled = keras.ops.mean(self.inner(x, training=training), (1, 2))
    return self.head(inputs=pooled)


def dense():
  inputs = keras.Input((SIDE, SIDE, 3))
  inner = body()
  pooled = layers.GlobalAveragePooling2D()(inner(inputs))
  x = layers.Dense(5)(layers.Dropout(0.5)(pooled))
  return keras.Model(inputs, layers.Softmax()(x)), keras.Model(inputs, pooled)


def nested():
  """The whole classifier is a layer of another model."""
  whole, pooled = dense()
  return (
    keras.Sequential([keras.Input((SIDE, SIDE, 3)), layers.ReLU(), whole]),
    pooled,
  )


def subclassed():
  model = Subclassed()
  model(PIXELS)
  return model, lambda x: keras.ops.mean(model.inner(x), (1, 2))


def convolution():
  """As SqueezeNet ends: classes by place, which are averaged."""
  inputs = keras.Input((SIDE, SIDE, 3))
  places = body()(inputs)
  x = layers.GlobalAveragePooling2D()(layers.Conv2D(5, 1, activation='relu')(places))
  return keras.Model(inputs, x), lambda x: np.mean(
    keras.Model(inputs, places)(x), axis=(1, 2), dtype=np.float64
  )


def pooled_convolution():
  """As MobileNet ends: a convolution of one place."""
  inputs = keras.Input((SIDE, SIDE, 3))
  pooled = layers.GlobalAveragePooling2D(keepdims=True)(body()(inputs))
  x = layers.Reshape((5,))(layers.Conv2D(5, 1)(layers.Dropout(0.1)(pooled)))
  return keras.Model(inputs, x), keras.Model(inputs, layers.Flatten()(pooled))


def wrapped(model, **known):
  return wrap.wrap(
    model,
    None,
    ModelOptions(
      **{'preprocess': 'identity', 'output': None, 'input_size': SIDE, **known}
    ),
  )


def taken(model, layer=None):
  """Returns outputs and features as a compiled step takes them."""
  tap = features.tap_of(model, layer)
  step = tf.function(lambda x: tap.during(lambda: model(x)))
  outputs, found = step(PIXELS)
  assert found.shape == (len(PIXELS), tap.dimension) and found.dtype == tf.float32
  return outputs.numpy(), found.numpy()


@pytest.mark.parametrize(
  'make', [dense, nested, subclassed, convolution, pooled_convolution]
)
def test_penultimate_is_what_the_classifier_is_fed(make):
  model, reference = make()
  before = {id(one): {*vars(one)} for one in model._flatten_layers()}
  known = wrapped(model, output=None if make in (dense, nested) else 'logits')
  outputs, found = taken(known)
  np.testing.assert_allclose(found, np.asarray(reference(PIXELS)), rtol=1e-5, atol=1e-4)
  np.testing.assert_allclose(
    outputs, model(PIXELS, training=False), rtol=1e-5, atol=1e-4
  )
  # Nothing of the model is changed.
  assert {id(one): {*vars(one)} for one in model._flatten_layers()} == before


def test_a_layer_by_name_is_averaged_over_space():
  model, _ = dense()
  inner = model.get_layer('body')
  _, found = taken(wrapped(model), 'last_conv')
  places = keras.Model(inner.inputs, inner.get_layer('last_conv').output)(PIXELS)
  np.testing.assert_allclose(found, np.mean(places, (1, 2)), rtol=1e-5)
  _, of_model = taken(wrapped(model), 'body')
  np.testing.assert_allclose(of_model, np.mean(inner(PIXELS), (1, 2)), rtol=1e-5)


def refused(words, model, layer=None, **known):
  with pytest.raises(UserError, match=words) as caught:
    features.tap_of(wrapped(model, **known), layer)
  assert '\n' not in str(caught.value) and 'store_features' in str(caught.value)


def test_refusals():
  model, _ = dense()
  with pytest.raises(UserError, match='unknown layer .*did you mean last_conv'):
    features.tap_of(wrapped(model), 'last_con')
  refused('is none', lambda x: tf.reduce_mean(x, (1, 2)), output='logits')
  inputs = keras.Input((SIDE, SIDE, 3))
  pooled = layers.GlobalAveragePooling2D()(inputs)
  one = layers.Dense(4, name='one')
  refused('no Dense layer', keras.Model(inputs, layers.ReLU()(pooled)), output='logits')
  twice = keras.Model(inputs, one(one(layers.Dense(4)(pooled))))
  refused('computes 2 times', twice)
  refused('computes 0 times', model, model.layers[0].name)  # An input.
  several = keras.Model(
    inputs, {'a': one(layers.Dense(4)(pooled)), 'b': layers.Dense(4)(pooled)}
  )
  refused('has the outputs a, b', several, output_name='b')
  assert taken(wrapped(several, output_name='b'), 'one')[1].shape == (3, 4)
  patches = layers.Lambda(lambda x: tf.reshape(x, (-1, SIDE, 3)), name='rows')(inputs)
  x = layers.Lambda(lambda x: tf.reduce_mean(tf.reshape(x, (-1, SIDE, SIDE, 3)), 1))
  by_row = keras.Model(inputs, layers.Dense(4)(layers.Flatten()(x(patches))))
  refused(r'rows .* makes \(32, 3\) of 2 images', by_row, 'rows')


def test_two_threads_hear_each_its_own():
  """Replicas are traced beside each other; the last to end gives `call` back."""
  layer = layers.Dense(2)
  x = np.ones((1, 3), 'float32')
  with features._listening([layer]) as outer:
    with features._listening([layer]) as inner:
      layer(x)
    layer(x)
    other = threading.Thread(target=layer, args=(x,))
    other.start()
    other.join()
  assert len(inner) == 1 and len(outer) == 2 and 'call' not in vars(layer)
