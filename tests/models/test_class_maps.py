"""Heads in other orders, with a background class, several of them: the same answers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfeval.datasets.labels import imagenet
from tfeval.models import class_maps
from tfeval.models.loading import load_model as load
from tfeval.utils.errors import UserError

SIZE = 32
IDENTITY = {'preprocess': 'identity', 'output': 'logits'}


@pytest.fixture(scope='module')
def images():
  return tf.constant(
    np.random.default_rng(0).uniform(0, 255, (5, SIZE, SIZE, 3)).astype(np.float32)
  )


def base():
  """1000 logits in the order of the sorted wnids, the same wherever it is built."""
  inputs = keras.Input((SIZE, SIZE, 3))
  x = keras.layers.Rescaling(1 / 255)(inputs)
  x = keras.layers.AveragePooling2D(8)(x)
  x = keras.layers.Flatten()(x)
  initializer = keras.initializers.RandomNormal(seed=1)
  return keras.Model(
    inputs, keras.layers.Dense(1000, kernel_initializer=initializer, name='classes')(x)
  )


class Columns(keras.layers.Layer):
  """Output j is column `columns[j]` of the input; -1 is a constant."""

  def __init__(self, columns, **keywords):
    super().__init__(**keywords)
    self.columns = columns

  def call(self, x):
    background = keras.ops.ones_like(x[:, :1]) * 0.5
    return keras.ops.take(
      keras.ops.concatenate([x, background], -1),
      [c if c >= 0 else 1000 for c in self.columns],
      -1,
    )


def headed(order: str, softmax: bool = False):
  """The base with its outputs in an order that the development kit's files give."""
  ids, names = imagenet.ilsvrc_ids(), imagenet.label_space().class_names
  by = {
    'background_first': [-1, *range(1000)],
    'background_last': [*range(1000), -1],
    # Sorted by what stands in the table, not by what heads.py makes of it.
    'ilsvrc_id': sorted(range(1000), key=ids.__getitem__),
    'name': sorted(range(1000), key=lambda c: (names[c], c)),
    'reversed': [-1, -1, *range(999, -1, -1)],
  }[order]
  model = base()
  x = Columns(by)(model.output)
  return keras.Model(model.input, keras.layers.Softmax()(x) if softmax else x)


@pytest.mark.parametrize('order', class_maps.CLASS_MAPS)
def test_class_maps(images, order):
  expected = base()(images).numpy()
  model = load(f'{__name__}:headed:order={order}', class_map=order, **IDENTITY)
  np.testing.assert_array_equal(model.function(images).numpy(), expected)
  assert model.describe()['class_map'] == order


def test_class_map_from_a_file(images, tmp_path):
  path = tmp_path / 'classes.txt'
  path.write_text(
    '\n'.join(['background', '-', *reversed(imagenet.label_space().class_ids)])
  )
  model = load(f'{__name__}:headed:order=reversed', class_map=str(path), **IDENTITY)
  np.testing.assert_array_equal(model.function(images).numpy(), base()(images).numpy())
  assert model.describe()['class_map'].startswith('sha256:')


def test_probabilities_without_the_background_sum_to_one(images):
  model = load(
    f'{__name__}:headed:order=background_first,softmax=true',
    preprocess='identity',
    output='probabilities',
    class_map='background_first',
  )
  expected = keras.ops.softmax(base()(images)).numpy()
  np.testing.assert_allclose(model.function(images).numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize(
  'content, words',
  [
    ('n01440764\n', 'lacks 999 of the 1000 wnids, such as n01443537'),
    ('', 'lacks 1000 of the 1000 wnids'),
    (
      '\n'.join([*imagenet.label_space().class_ids, 'n01440764']),
      'has twice 1 of the 1000 wnids, such as n01440764',
    ),
    (b'\xff\xfe', 'cannot read class map'),
  ],
)
def test_class_map_files_that_are_none(tmp_path, content, words):
  path = tmp_path / 'classes.txt'
  path.write_bytes(content if isinstance(content, bytes) else content.encode())
  with pytest.raises(UserError, match=words):
    load(f'{__name__}:base', class_map=str(path), **IDENTITY)


def test_unknown_class_map():
  with pytest.raises(UserError, match="unknown class map 'backround_first': did you"):
    load(f'{__name__}:base', class_map='backround_first', **IDENTITY)


def test_class_map_for_another_number_of_outputs():
  with pytest.raises(
    UserError, match='returns 1000 outputs, `class_map=background_first` is for 1001'
  ):
    load(f'{__name__}:base', class_map='background_first', **IDENTITY)


def two_heads(kind: str):
  model = base()
  other = keras.layers.Dense(10, name='other')(model.layers[-2].output)
  outputs = [other, model.output]
  if kind == 'dict':
    outputs = {'other': other, 'classes': model.output}
  return keras.Model(model.input, outputs)


@pytest.mark.parametrize('kind', ['list', 'dict'])
def test_one_of_several_outputs(images, kind):
  name = f'{__name__}:two_heads:kind={kind}'
  model = load(name, output_name='classes', **IDENTITY)
  assert model.function(images).shape == (5, 1000)
  assert load(name, output_name='classes', preprocess='identity').output == 'logits'
  with pytest.raises(UserError, match='give `output_name`'):
    load(name, **IDENTITY)
  with pytest.raises(UserError, match="'clases': did you mean classes"):
    load(name, output_name='clases', **IDENTITY)


def test_saved_model_with_several_outputs(images, tmp_path):
  two_heads('dict').export(str(tmp_path / 'saved'), verbose=False)
  model = load(
    str(tmp_path / 'saved'), output_name='classes', input_size=SIZE, **IDENTITY
  )
  np.testing.assert_allclose(
    model.function(images).numpy(), base()(images).numpy(), atol=1e-5
  )


@pytest.mark.parametrize('dtype', ['mixed_bfloat16', 'mixed_float16'])
def test_dtype(images, dtype):
  model = load(f'{__name__}:base', dtype=dtype, **IDENTITY)
  assert dtype.removeprefix('mixed_') in model.dtype
  scores = tf.cast(model.function(images), tf.float32).numpy()
  expected = base()(images).numpy()
  assert not np.array_equal(scores, expected)
  np.testing.assert_allclose(scores, expected, atol=0.05)
  assert keras.config.dtype_policy().name == 'float32'


def test_files_keep_their_dtype(tmp_path):
  base().save(tmp_path / 'm.keras')
  with pytest.raises(UserError, match='leave out `dtype=mixed_bfloat16`'):
    load(str(tmp_path / 'm.keras'), dtype='mixed_bfloat16', **IDENTITY)


@pytest.mark.parametrize('hint', ['class_map', 'output_name'])
def test_applications_have_one_head_in_our_order(hint):
  with pytest.raises(UserError, match=f'`{hint}` is known for MobileNet: leave it out'):
    load('MobileNet', 'none', **{hint: 'background_first'})
