"""Heads in other orders, with a background class, several of them: the same answers."""

import dataclasses
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfeval.datasets.labels import class_lists, imagenet
from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.models import fitting, options
from tfeval.models.loading import load_model as load
from tfeval.models.worker import told_classes
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


@pytest.mark.parametrize('order', options.CLASS_MAPS)
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
    ('', 'names no class: expected one for each output'),
    ('-\nbackground\n', 'names no class: expected one for each output'),
    (
      '\n'.join([*imagenet.label_space().class_ids, 'n01440764']),
      'has 1 classes twice, such as n01440764',
    ),
    ('cat\ndog\ncat', 'has 1 classes twice, such as cat'),
    (b'\xff\xfe', 'cannot read class map'),
  ],
)
def test_class_map_files_that_are_none(tmp_path, content, words):
  path = tmp_path / 'classes.txt'
  path.write_bytes(content if isinstance(content, bytes) else content.encode())
  with pytest.raises(UserError, match=words):
    load(f'{__name__}:base', class_map=str(path), **IDENTITY)


@pytest.mark.parametrize(
  'name, content, words',
  [
    (
      'map.json',
      '{"0": "cat", "2": "dog"}',
      'has gaps: 2 outputs are named, and output 1',
    ),
    ('map.json', '{"cat": "a"}', 'expected a list, or an object of output numbers'),
    ('map.json', '{"0": "cat", "0": "dog"}', "gives '0' twice"),
    ('map.json', '{"cat": 0, "dog": 0}', 'has output 0 twice'),
    ('map.txt', '1: cat\n2: dog', 'numbers classes from 1 on: expected from 0 on'),
    ('map.csv', 'id,name\n2,cat\n1,dog', 'numbers in another order than its lines'),
    ('map.csv', 'id,class,idx\n1,cat,0\n0,dog,1', 'numbers in another order'),
    ('map.json', '[1, 2]', 'expected a text for each output'),
    ('map.csv', 'a,b\n1,2', 'has the columns a, b: expected one of id, wnid'),
    ('map.csv', 'index,name\n0,cat\n0,dog', 'has output 0 twice'),
    ('map.csv', 'index,name\nx,cat', "index 'x' of line 2 is no number"),
  ],
)
def test_maps_of_other_forms_that_are_none(tmp_path, name, content, words):
  path = tmp_path / name
  path.write_text(content)
  with pytest.raises(UserError, match=words):
    class_lists.read_class_map(path)


@pytest.mark.parametrize(
  'name, content',
  [
    ('map.txt', 'dog\ncat\n-\nold tree'),
    ('map.txt', '\ufeffdog\r\ncat\r\n-\r\nold tree\r\n\r\n'),
    ('map.txt', '1: cat\n0: dog\n3: old tree\n2: -'),
    ('map.csv', 'index,name\n3,old tree\n1,cat\n2,\n0,dog'),
    ('map.csv', 'Index; Name\n3;old tree\n1;cat\n2;-\n0;dog'),
    ('map.csv', 'id,name\n3,old tree\n1,cat\n2,-\n0,dog'),
    ('map.csv', ',class\n3,old tree\n1,cat\n2,-\n0,dog'),
    ('map.csv', 'class,label\nold tree,3\ncat,1\n-,2\ndog,0'),
    ('map.tsv', 'id\nname\ndog\ncat\n-\nold tree'.replace('id\nname', 'id')),
    ('map.json', '["dog", "cat", "-", "old tree"]'),
    ('map.json', '{"1": "cat", "0": "dog", "3": "old tree", "2": ""}'),
    ('class_indices.json', '\ufeff{"cat": 1, "dog": 0, "old tree": 3, "-": 2}'),
    (
      'index.json',
      '{"1": ["cat", "c"], "0": ["dog", "d"], "3": ["old tree", "t"], "2": ["", ""]}',
    ),
    (
      'config.json',
      '{"id2label": {"0": "dog", "1": "cat", "2": "-", "3": "old tree"}}',
    ),
  ],
)
def test_forms_of_maps(tmp_path, name, content):
  path = tmp_path / name
  path.write_text(content)
  found = class_lists.read_class_map(path)
  assert found.outputs == 4
  assert found.classes.class_ids == ('dog', 'cat', 'old tree')
  assert found.indices.tolist() == [0, 1, 3]


def test_imagenet_by_its_readable_names(tmp_path):
  """As Hugging Face's configs have them: several names for a class, in capitals."""
  names = [
    f'{n.replace("_", " ").upper()}, other' for n in imagenet.label_space().class_names
  ]
  path = tmp_path / 'config.json'
  path.write_text(json.dumps({'id2label': dict(enumerate(names))}))
  found = class_lists.read_class_map(path)
  assert found.classes is imagenet.label_space()
  assert found.indices.tolist() == list(range(1000))


def space(*ids):
  return LabelSpace('test', ids, ids)


@pytest.mark.parametrize(
  'outputs, classes, expected',
  [
    # One that agrees as it stands is no reason to leave out the others.
    (space('ant', 'dog', 'ZEBRA'), space('Dog', 'ant', 'zebra'), [1, 0, 2]),
    (space('Cardigan', 'cardigan'), space('Cardigan'), [0, -1]),
    # A dog, of which the other name is what the garment is called.
    (
      space('Cardigan, Cardigan Welsh corgi', 'cardigan'),
      LabelSpace('t', ('n1', 'n2'), ('Cardigan', 'cardigan')),
      [0, 1],
    ),
    (space('Red, Small', 'RED, LARGE'), space('red, large', 'red, small'), [1, 0]),
    (space('crane', 'crane'), LabelSpace('t', ('a', 'b'), ('crane', 'crane')), [0, 1]),
    (space('N01440764'), space('n01440764'), [0]),
    # A class of another id is another class, whatever it is called.
    (
      LabelSpace('t', ('n1', 'n2'), ('crane', 'tench')),
      LabelSpace('t', ('n1', 'n3'), ('crane', 'tench')),
      [0, -1],
    ),
  ],
)
def test_outputs_and_classes_that_are_the_same(outputs, classes, expected):
  assert class_lists.match(outputs, classes) == expected


def test_outputs_behind_the_classes_and_classes_without_one():
  model = load(f'{__name__}:base', **IDENTITY)
  named = space('tree', 'dog', 'cat', 'house')
  columns = tf.constant([[1.0, 2.0, 3.0, 4.0]])
  model = dataclasses.replace(
    model, label_space=named, outputs=4, function=lambda _: columns
  )
  fitted = fitting.fit(model, space('bird', 'cat', 'dog'))
  assert fitted.label_space.class_ids == ('bird', 'cat', 'dog', 'tree', 'house')
  assert fitted.said.tolist() == [1, 2, 3, 4]
  assert fitted.function(None).numpy().tolist() == [[3.0, 2.0, 1.0, 4.0]]
  assert (fitted.outputs, fitted.matched) == (4, 'class')


def told(model, names):
  return told_classes.named(model, list(names), None)


def test_classes_that_a_framework_tells(images):
  """As an explicit map of the same names; where they are equal nothing is done."""
  expected = base()(images).numpy()
  names = imagenet.label_space().class_names
  plain = load(f'{__name__}:base', **IDENTITY)
  equal = told(plain, (f'{one.upper()}, other' for one in names))
  fitted = fitting.fit(equal, imagenet.label_space())
  assert (fitted.matched, fitted.as_returned) == (None, None)
  np.testing.assert_array_equal(fitted.function(images), expected)
  turned = load(f'{__name__}:headed:order=background_last', **IDENTITY)
  turned = told(turned, [*names, 'background'])
  np.testing.assert_array_equal(
    fitting.fit(turned, imagenet.label_space()).function(images), expected
  )
  # By another order, of which the outputs say no more than their names.
  by = np.roll(np.arange(1000), -100)
  rolled = dataclasses.replace(
    plain, function=lambda x: tf.gather(plain.function(x), by, axis=-1)
  )
  fitted = fitting.fit(told(rolled, (names[i] for i in by)), imagenet.label_space())
  np.testing.assert_array_equal(fitted.function(images), expected)
  assert fitted.matched == 'class'
  assert [int(i) for i in fitted.as_returned.classes] == by.tolist()


def test_other_words_for_the_same_classes():
  """Most by their names, all in order: they are the same. In another they may not."""
  model = load(f'{__name__}:base', **IDENTITY)
  model = dataclasses.replace(model, outputs=3)
  classes = space('cat', 'dog', 'great white shark')
  fitted = fitting.fit(told(model, ['cat', 'dog', 'a fish']), classes)
  assert fitted.label_space is classes and fitted.matched is None
  words = r'tells 3 classes in another order .* and 1 .* \(a fish\), .* 1 others \(gre'
  with pytest.raises(UserError, match=words):
    fitting.fit(told(model, ['dog', 'cat', 'a fish']), classes)
  # A map is of the user, who knows what is none of them.
  model = dataclasses.replace(model, label_space=space('dog', 'cat', 'a fish'))
  model.backend.output_space = None
  assert fitting.fit(model, classes).label_space.class_ids[-1] == 'a fish'


@pytest.mark.parametrize(
  'names, words',
  [
    (['cat'], 'tells 1 classes and returns 1000 outputs'),
    (['cat', 7], 'tells classes that are no list of texts'),
    (['cat', 'cat'], 'tells 1 classes twice, such as cat'),
    (['-', ''], 'tells no class of its outputs'),
  ],
)
def test_told_classes_that_are_none(names, words):
  with pytest.raises(UserError, match=words):
    told(load(f'{__name__}:base', **IDENTITY), names)


@pytest.mark.parametrize(
  'named, words',
  [
    (space('tree', 'house', 'car'), 'no output means one of these'),
    (None, r'returns \(None, 1000\), expected \(None, 2\): the dataset has 2 classes'),
  ],
)
def test_models_that_do_not_fit(named, words):
  model = load(f'{__name__}:base', **IDENTITY)
  model = dataclasses.replace(model, label_space=named)
  with pytest.raises(UserError, match=words):
    fitting.fit(model, space('cat', 'dog'))


@pytest.mark.parametrize(
  'named, words',
  [
    (space('tree', 'house', 'car'), 'whose classes are called by wnids'),
    (None, 'or save MobileNet:alpha=0.25 with its weights as a .keras file'),
  ],
)
def test_applications_are_told_of_no_class_map_that_they_refuse(named, words):
  model = load(f'{__name__}:base', **IDENTITY)
  model = dataclasses.replace(model, name='MobileNet:alpha=0.25', label_space=named)
  with pytest.raises(UserError, match=words) as caught:
    fitting.fit(model, space('cat', 'dog'))
  told = '`model=MobileNet:alpha=0.25,classes=2` with `weights` of these classes'
  assert told in str(caught.value) and 'give `class_map' not in str(caught.value)


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


def test_class_maps_are_refused_before_tensorflow(tmp_path):
  (tmp_path / 'twice.txt').write_text('cat\ncat\n')
  for name, words in {
    f'{tmp_path}/twice.txt': 'has 1 classes twice, such as cat',
    'nowhere': "unknown class map 'nowhere'",
  }.items():
    with pytest.raises(UserError, match=words):
      options.check_class_map(name)
  options.check_class_map('gs://bucket/read.later')
