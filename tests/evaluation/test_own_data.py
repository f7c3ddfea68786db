"""A tf.data.Dataset of the user's: the counts of model.predict, whatever its form."""

import hashlib

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfeval
from tfeval.datasets import in_memory
from tfeval.utils.errors import UserError

SIDE, CLASSES, COUNT = 16, 7, 50


@pytest.fixture(scope='module')
def model():
  keras.utils.set_random_seed(1)
  return keras.Sequential(
    [
      keras.Input((SIDE, SIDE, 3)),
      keras.layers.AveragePooling2D(4),
      keras.layers.Flatten(),
      keras.layers.Dense(CLASSES),
    ]
  )


@pytest.fixture(scope='module')
def arrays():
  random = np.random.default_rng(0)
  images = random.normal(0, 1, (COUNT, SIDE, SIDE, 3)).astype(np.float32)
  return images, random.integers(0, CLASSES, COUNT)


def counted(model, images, labels):
  ranked = np.argsort(-model.predict(images, verbose=0), axis=1, kind='stable')
  hits = ranked[:, :5] == labels[:, None]
  return int(hits[:, 0].sum()), int(hits.any(1).sum())


def evaluated(model, dataset, **more):
  run = tfeval.evaluate(model, dataset, batch_size=8, preflight='off', **more)
  assert all(m.count + m.skipped == COUNT for m in run.metrics)
  return run, tuple(m.correct for m in run.metrics)


@pytest.mark.parametrize(
  'form', ['tuple', 'dict', 'batched', 'one-hot', 'column', 'weights', 'ids', 'unknown']
)
def test_forms_of_elements(model, arrays, form):
  images, labels = arrays
  expected = counted(model, images, labels)
  dataset = tf.data.Dataset.from_tensor_slices((images, labels))
  if form == 'dict':
    dataset = dataset.map(lambda x, y: {'image': x, 'label': y})
  if form == 'ids':
    names = [f'photo {i}' for i in range(COUNT)]
    dataset = tf.data.Dataset.from_tensor_slices(
      {'image': images, 'label': labels, 'id': names}
    )
  if form == 'one-hot':
    dataset = dataset.map(lambda x, y: (x, tf.one_hot(y, CLASSES)))
  if form == 'column':
    dataset = dataset.map(lambda x, y: (x, y[None]))
  if form == 'weights':
    dataset = dataset.map(lambda x, y: (x, y, 0.5)).batch(9)
  if form == 'batched':
    dataset = dataset.batch(7)
  if form == 'unknown':
    dataset = dataset.filter(lambda x, y: True)
  run, found = evaluated(model, dataset)
  assert found == expected
  ids = run.to_arrow(['id'])['id'].to_pylist()
  assert ids == (names if form == 'ids' else list(map(str, range(COUNT))))
  assert run.result.protocol.name == 'given'


def test_what_is_preprocessed_or_resized_first(model):
  random = np.random.default_rng(2)
  images = random.integers(0, 256, (COUNT, SIDE, SIDE, 3), np.uint8)
  labels = random.integers(0, CLASSES, COUNT)
  dataset = tf.data.Dataset.from_tensor_slices((images, labels))
  expected = counted(model, images / np.float32(127.5) - 1, labels)
  assert evaluated(model, dataset, preprocess='tf')[1] == expected
  # A protocol whose crop and side are those of the images changes nothing.
  same = 'opencv:crop_fraction=1.0'
  assert evaluated(model, dataset, preprocess='tf', protocol=same)[1] == expected
  larger = tf.data.Dataset.from_tensor_slices((np.repeat(images, 2, axis=2), labels))
  evaluated(model, larger, preprocess='tf', protocol='opencv')


def test_names_of_classes_and_labels_without_one(model, arrays):
  images, labels = arrays
  dataset = tf.data.Dataset.from_tensor_slices(
    (images, np.where(labels == 3, -1, labels))
  )
  names = [f'class {i}' for i in range(CLASSES)]
  run, _ = evaluated(model, dataset, classes=names)
  assert run.label_space.class_ids == tuple(names)
  assert run.metrics[0].skipped == int((labels == 3).sum())
  dataset.class_names = names
  assert evaluated(model, dataset)[0].label_space.class_ids == tuple(names)


def test_a_model_that_changes_is_counted_as_it_is(model, arrays):
  images, labels = arrays
  dataset = tf.data.Dataset.from_tensor_slices((images, labels)).batch(10)
  copy = keras.models.clone_model(model)
  evaluator = tfeval.Evaluator(copy, dataset, batch_size=8, preflight='off')
  for _ in range(2):
    copy.set_weights([random + 0.1 for random in copy.get_weights()])
    kernel = np.random.default_rng(4).normal(size=copy.weights[0].shape)
    copy.weights[0].assign(kernel.astype(np.float32))
    found = tuple(m.correct for m in evaluator.evaluate().metrics)
    assert found == counted(copy, images, labels)


def failing(images):
  def examples():
    yield images[0], 0
    raise ValueError('boom')

  return tf.data.Dataset.from_generator(
    examples,
    output_signature=(tf.TensorSpec(images.shape[1:]), tf.TensorSpec([], tf.int64)),
  )


def test_a_sample(model, arrays):
  images, labels = arrays
  dataset = tf.data.Dataset.from_tensor_slices((images, labels))
  keys = [hashlib.sha256(str(i).encode()).digest() for i in range(COUNT)]
  chosen = np.argsort(np.array(keys, object))[:12]
  run = tfeval.evaluate(model, dataset, sample=12, batch_size=8, preflight='off')
  assert [m.count for m in run.metrics] == [12, 12]
  expected = counted(model, images[chosen], labels[chosen])
  assert tuple(m.correct for m in run.metrics) == expected


def test_what_is_refused(model, arrays):
  images, labels = arrays
  dataset = tf.data.Dataset.from_tensor_slices((images, labels))
  for given, words, more in (
    (dataset.shuffle(COUNT), 'another order', {}),
    (dataset.repeat(), 'never ends', {}),
    (dataset.take(0), 'no examples', {}),
    (dataset.map(lambda x, y: x), 'expected (image, label)', {}),
    (
      dataset.map(lambda x, y: (x[..., 0], y)),
      'expected .height, width, channels.',
      {},
    ),
    (dataset.map(lambda x, y: (x, 'a')), 'names for labels: give .classes', {}),
    (dataset.map(lambda x, y: (x, ['a', 'b'])), 'expected an integer', {}),
    (dataset.map(lambda x, y: (x, y, np.nan)), 'a sample weight is NaN', {}),
    (dataset.map(lambda x, y: (x, y, [1.0, 2.0])), 'one for each image', {}),
    (dataset.repeat().batch(9).map(lambda x, y: (x, y)), 'never ends', {}),
    (dataset.map(lambda x, y: (x[:8], y)), '8 x 16|shape|refuses|resized', {}),
    (dataset, 'leave it out', {'split': 'test'}),
    (dataset, 'leave it out', {'labels': 'x.csv'}),
    (dataset, 'leave it out', {'class_folders': 'name'}),
    (dataset, 'both given', {'sample': 9, 'limit': 9}),
    (dataset.map(lambda x, y: (x, tf.cast(y, tf.float32) + 0.5)), 'no whole', {}),
    (dataset.map(lambda x, y: (x, np.nan)), 'label nan is no whole number', {}),
    (dataset.map(lambda x, y: (x, tf.ones(CLASSES))), 'is not one-hot', {}),
    (failing(images), 'dataset cannot be read: ValueError: boom', {}),
    (dataset, 'resizes uint8', {'protocol': 'opencv', 'preprocess': 'tf'}),
    (dataset, 'classes', {'classes': ['a', 'b']}),
    ('folder:none', 'classes are of data of your own', {'classes': 3}),
  ):
    with pytest.raises(UserError, match=words.replace('(', r'\(').replace(')', r'\)')):
      evaluated(model, given, **more)


def test_in_fit_it_counts_as_keras_does(arrays, caplog):
  images, labels = arrays
  dataset = tf.data.Dataset.from_tensor_slices((images, labels % 4)).batch(10)
  keras.utils.set_random_seed(2)
  model = keras.Sequential(
    [keras.Input((SIDE, SIDE, 3)), keras.layers.Flatten(), keras.layers.Dense(4)]
  )
  loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
  model.compile('adam', loss, metrics=['accuracy'])
  callback = tfeval.keras.EvaluateCallback(dataset, preflight='off')
  history = model.fit(
    dataset, validation_data=dataset, epochs=2, verbose=0, callbacks=[callback]
  ).history
  assert history['val_top1'] == pytest.approx(history['val_accuracy'], abs=1e-6)
  assert 'val_top5' not in history and not caplog.messages


def test_labels_that_are_no_class_are_told_before_a_batch(model, arrays):
  images, labels = arrays
  many = np.tile(labels, 3)
  many[-1] = CLASSES
  dataset = tf.data.Dataset.from_tensor_slices((np.tile(images, (3, 1, 1, 1)), many))
  with pytest.raises(UserError, match=f'label {CLASSES} is none of the {CLASSES} cl'):
    tfeval.Evaluator(model, dataset.batch(8))


def test_a_dataset_of_unknown_length_is_counted_aloud(
  model, arrays, caplog, monkeypatch
):
  images, labels = arrays
  pairs = list(zip(images, labels, strict=True))

  def examples():
    yield from pairs

  signature = (
    tf.TensorSpec(images.shape[1:], images.dtype),
    tf.TensorSpec((), labels.dtype),
  )
  dataset = tf.data.Dataset.from_generator(examples, output_signature=signature)
  assert dataset.cardinality() == tf.data.UNKNOWN_CARDINALITY
  monkeypatch.setattr(in_memory, '_PATIENCE', -1)
  _, hits = evaluated(model, dataset)
  assert hits == counted(model, images, labels)
  told = [line for line in caplog.messages if 'tells no length' in line]
  assert len(told) == 1 and told[0].endswith('if it never ends give `limit`')


def test_names_in_any_script(model, arrays, tmp_path):
  images, labels = arrays
  dataset = tf.data.Dataset.from_tensor_slices((images, labels))
  for name in ('ü', '猫 2'):
    run, _ = evaluated(model, dataset, name=name, output_dir=tmp_path)
    assert (run.path.name, run.result.model.name) == (name.replace(' ', '_'), name)
    assert tfeval.load_run(run.path).score() == run.metrics
  trained = keras.models.clone_model(model)
  loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
  trained.compile('sgd', loss)
  for _ in range(2):  # The second goes on after the first.
    callback = tfeval.keras.EvaluateCallback(
      dataset, name='ü', output_dir=tmp_path / 'fit', batch_size=8
    )
    trained.fit(dataset.batch(10), verbose=0, callbacks=[callback])
  assert len(callback.history) == 2
  assert callback.best.path.name == 'ü'
