"""PyDatasets, arrays, lists of batches: the counts of model.predict, each image once.

Of all data of a user's own what was read is looked at again.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfeval
from tfeval.datasets import in_memory, own_forms
from tfeval.utils.errors import UserError

SIDE, CLASSES, COUNT = 8, 5, 120
NAMES = ['ant', 'bee', 'cow', 'dog', 'eel']


def classifier(channels=3):
  keras.utils.set_random_seed(3)
  layers = [keras.Input((SIDE, SIDE, channels)), keras.layers.Flatten()]
  return keras.Sequential([*layers, keras.layers.Dense(CLASSES)])


@pytest.fixture(scope='module')
def model():
  return classifier()


@pytest.fixture(scope='module')
def arrays():
  random = np.random.default_rng(5)
  images = random.normal(0, 1, (COUNT, SIDE, SIDE, 3)).astype(np.float32)
  return images, random.integers(0, CLASSES, COUNT)


class Batches(keras.utils.PyDataset):
  """Batches of 32, the last of them smaller, read by two threads."""

  def __init__(self, *arrays):
    super().__init__(workers=2)
    self.arrays = arrays

  def __len__(self):
    return -(-COUNT // 32)

  def __getitem__(self, index):
    return tuple(one[32 * index : 32 * index + 32] for one in self.arrays)


class Numbered(keras.utils.PyDataset):
  """As many batches as it says, in one thread."""

  def __init__(self, count, *arrays):
    super().__init__()
    self.count, self.arrays = count, arrays

  @property
  def num_batches(self):
    if self.count == 0:
      raise TypeError('no end')
    return self.count

  def __getitem__(self, index):
    return tuple(one[32 * index : 32 * index + 32] for one in self.arrays)


def predicted(model, images, labels, kept=slice(None)):
  return int((model.predict(images, verbose=0).argmax(1) == labels)[kept].sum())


def first(model, dataset, **more):
  run = tfeval.evaluate(model, dataset, batch_size=16, preflight='off', **more)
  top1 = run.metrics[0]
  return top1['correct'], top1['count'], run


def forms(images, labels):
  texts = np.array(NAMES)[labels]
  pairs = [(images[i : i + 40], labels[i : i + 40]) for i in range(0, COUNT, 40)]
  return {
    'arrays': (images, labels),
    'column': (images, labels[:, None]),
    'float64': (images.astype(np.float64), labels.astype(np.int32)),
    'tensors': (tf.constant(images), tf.constant(labels)),
    'list of labels': (images, labels.tolist()),
    'one-hot': (images, np.eye(CLASSES)[labels]),
    'weights': (images, labels, np.full(COUNT, 0.25)),
    'names': (images, texts),
    'objects': (images, texts.astype(object)),
    'py': Batches(images, labels),
    'py, one-hot': Batches(images, np.eye(CLASSES, dtype=np.float32)[labels]),
    'py, numbered': Numbered(4, images, labels),
    'list': pairs,
    'list of dicts': [{'image': x, 'label': y, 'id': y * 0} for x, y in pairs],
    'list of examples': list(zip(images, labels, strict=True)),
    'names in tf.data': tf.data.Dataset.from_tensor_slices((images, texts)).batch(9),
  }


def test_forms_are_read_as_they_are(arrays):
  images, labels = arrays
  for name, dataset in forms(images, labels).items():
    classes = NAMES if 'names' in name or name == 'objects' else CLASSES
    opened = in_memory.open_dataset(own_forms.as_dataset(dataset), classes)
    assert opened.num_examples == COUNT, name
    read = list(opened.examples())
    assert [int(one['label']) for one in read] == labels.tolist(), name
    ids = [str(label * 0 if 'dicts' in name else i) for i, label in enumerate(labels)]
    assert [one['id'].numpy().decode() for one in read] == ids, name
    pixels = np.stack([tf.io.parse_tensor(one['image'], tf.float32) for one in read])
    np.testing.assert_array_equal(pixels, images, name)


def test_forms_count_as_predict_does(model, arrays):
  images, labels = arrays
  expected = predicted(model, images, labels)
  given = forms(images, labels)
  for name in ('arrays', 'py, one-hot', 'names in tf.data'):
    classes = NAMES if 'names' in name else None
    correct, count, run = first(model, given[name], classes=classes)
    assert (correct, count) == (expected, COUNT), name
    ids = run.to_arrow(['id'])['id'].to_pylist()
    assert ids == list(map(str, range(COUNT))), name
  with pytest.raises(UserError, match='came twice'):  # Ids that are not one for each.
    first(model, given['list of dicts'])


def test_what_weighs_nothing_or_has_no_name_has_no_label(model, arrays):
  images, labels = arrays
  kept = np.arange(COUNT) % 3 > 0
  # 99 is no class, but of weight 0.
  padded = np.where(kept, labels, 99)
  expected = predicted(model, images, labels, kept), kept.sum()
  for dataset in (
    (images, padded, kept.astype(np.float32)),
    Batches(images, np.where(kept, labels, 0), kept * 3),
    tf.data.Dataset.from_tensor_slices((images, np.where(kept, labels, 0), kept)),
  ):
    assert first(model, dataset)[:2] == expected
  texts = np.where(kept, np.array(NAMES)[labels], '')
  assert first(model, (images, texts), classes=NAMES)[:2] == expected


def test_images_of_other_channels_as_they_stand(tmp_path):
  channels = 1
  random = np.random.default_rng(1)
  images = random.integers(0, 256, (COUNT, SIDE, SIDE, channels), np.uint8)
  labels = random.integers(0, CLASSES, COUNT)
  model = classifier(channels)
  expected = predicted(model, images.astype(np.float32), labels)
  evaluator = tfeval.Evaluator(model, (images, labels), cache_dir=tmp_path)
  for _ in range(2):
    (top1, *_) = evaluator.evaluate().metrics
    assert (top1['correct'], top1['count']) == (expected, COUNT)
  with pytest.raises(UserError, match=f'takes images of 3 channels.*have {channels}'):
    first(classifier(), (images, labels))
  with pytest.raises(UserError, match='resizes uint8 .height, width, 3.'):
    first(model, (images, labels), protocol='opencv', preprocess='tf')


def test_a_model_that_tells_no_outputs(arrays):
  images, labels = arrays
  model = classifier()
  found = first(lambda x: model(x, training=False), arrays, output='logits')
  assert found[:2] == (predicted(model, images, labels), COUNT)


def test_evaluator_and_callback(arrays):
  images, labels = arrays
  model = classifier()
  model.compile(
    'adam',
    keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    weighted_metrics=['accuracy'],
  )
  batches = Batches(images, labels)
  evaluator = tfeval.Evaluator(model, arrays, preflight='off')
  callback = tfeval.keras.EvaluateCallback(batches, prefix='own_', batch_size=16)
  history = model.fit(
    batches, validation_data=arrays, epochs=2, verbose=0, callbacks=[callback]
  ).history
  accuracy = history['val_accuracy']
  assert history['own_top1'] == pytest.approx(accuracy, abs=1e-6)
  top1 = evaluator.evaluate().metrics[0]
  assert top1['correct'] == predicted(model, images, labels)
  callback = tfeval.keras.EvaluateCallback(batches, metrics=['real_top1'])
  with pytest.raises(UserError, match='real_top1: data of your own has no ReaL'):
    model.fit(batches, verbose=0, callbacks=[callback])


def late_shuffle(images, labels):
  """The order of what is behind the first 100 changes each time."""
  whole = tf.data.Dataset.from_tensor_slices((images, labels))
  return whole.take(100).concatenate(whole.skip(100).shuffle(COUNT))


def test_another_order_behind_the_beginning_is_refused(model, arrays):
  images, labels = arrays
  evaluator = tfeval.Evaluator(
    model, late_shuffle(images, labels), preflight='off', batch_size=16
  )
  assert evaluator.evaluate().metrics[0]['correct'] == predicted(model, images, labels)
  with pytest.raises(UserError, match='another order .*example 1[01][0-9] '):
    evaluator.evaluate()
  # Those that tell no length were read to count them.
  with pytest.raises(UserError, match='another order'):
    first(model, late_shuffle(images, labels).filter(lambda x, y: True))
  # Labels and pixels that are changed in place.
  own = labels.copy()
  evaluator = tfeval.Evaluator(model, (images, own), preflight='off')
  evaluator.evaluate()
  own[-1] = (own[-1] + 1) % CLASSES
  with pytest.raises(UserError, match=f'example {COUNT - 1} was another one'):
    evaluator.evaluate()


def test_a_complete_run_of_other_data_is_not_shown(model, arrays, tmp_path):
  images, labels = arrays
  # Of those in memory nobody knows whether they are the same.
  model.export(tmp_path / 'saved', verbose=False)
  model = tfeval.load_model(
    tmp_path / 'saved', preprocess='identity', output='logits', input_size=SIDE
  )
  before = first(model, arrays, output_dir=tmp_path)
  again = first(model, arrays, output_dir=tmp_path)
  assert again[:2] == before[:2] and again[2].path == before[2].path
  other = labels.copy()
  other[-1] = (other[-1] + 1) % CLASSES
  with pytest.raises(UserError, match=f'begun with other data: image {COUNT - 1}'):
    first(model, (images, other), output_dir=tmp_path)


def test_what_is_refused(model, arrays):
  images, labels = arrays
  texts = np.array(NAMES)[labels]
  several = np.eye(CLASSES)[labels] + np.eye(CLASSES)[(labels + 1) % CLASSES]

  class Failing(Batches):
    def __getitem__(self, index):
      if index == 2:
        raise RuntimeError('no such file')
      return super().__getitem__(index)

  for given, words, more in (
    ((images, labels[1:]), f'{COUNT} images, but .{COUNT - 1}. labels', {}),
    ((images,), 'expected arrays', {}),
    ((images, 'a'), 'expected arrays', {}),
    ((images[:0], labels[:0]), 'no examples', {}),
    ([], 'no examples', {}),
    ([images, labels], 'expected .image, label. or a dict', {}),
    ((one for one in [(images, labels)]), 'only once', {}),
    (iter([(images, labels)]), 'only once', {}),
    (Numbered(0, images, labels), 'tells no length .*no end.*: give one that', {}),
    (Numbered(None, images, labels), 'never ends: give one whose', {}),
    (Failing(images, labels), 'dataset cannot be read: RuntimeError: no such', {}),
    ({'image': images, 'label': labels}, 'is of type dict, expected', {}),
    (images, 'is of type ndarray, expected', {}),
    ((images.astype(complex), labels), 'image of type complex128', {}),
    ((images[..., 0], labels), 'expected .n, height, width, channels.', {}),
    ((images, several), 'is not one-hot', {}),
    ((images, labels + 1), f'label {CLASSES} is none of the {CLASSES} classes', {}),
    ((images, [*labels[:-1], 9]), f'label 9 is none of the {CLASSES} classes', {}),
    ((images, None), r'ndarray .120, 8, 8, 3., None., expected arrays', {}),
    ((images, texts), 'names for labels: give .classes', {}),
    ((images, texts), 'label eel is none of the 5', {'classes': [*NAMES[:4], 'elk']}),
    ([(images[:9], labels[:9]), (images[:9], texts[:9])], 'cannot be read', {}),
    (arrays, 'leave it out', {'split': 'test'}),
  ):
    with pytest.raises(UserError, match=words) as caught:
      first(model, given, **more)
    message = str(caught.value)
    assert '\n' not in message and len(message) < 400, message


def test_arrays_are_not_copied(arrays, tmp_path):
  images, labels = arrays
  np.save(tmp_path / 'images.npy', images)
  mapped = np.load(tmp_path / 'images.npy', mmap_mode='r')
  dataset = own_forms.as_dataset((mapped, labels))
  assert dataset.cardinality() == COUNT
  found = np.stack([one['image'] for one in dataset.as_numpy_iterator()])
  np.testing.assert_array_equal(found, images)
