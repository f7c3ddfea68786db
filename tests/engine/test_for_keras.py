"""build_dataset as Keras' validation_data: no loss stumbles, padding weighs nothing."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from in_memory import SIZE, build

import tfeval
from tfeval.engine import for_keras

COUNT = 10


@pytest.fixture(scope='module')
def model():
  keras.utils.set_random_seed(1)
  layers = [keras.Input((SIZE, SIZE, 3)), keras.layers.Flatten()]
  return keras.Sequential([*layers, keras.layers.Dense(1000, dtype='float32')])


@pytest.mark.parametrize('label_mode', ['int', 'categorical'])
def test_as_validation_data(noise, model, label_mode):
  plain = next(iter(build(noise, batch_size=COUNT)))
  images = plain['pixels'].numpy() / np.float32(127.5) - 1
  labels = plain['label'].numpy()
  batches = build(noise, label_mode=label_mode, preprocess='tf')
  assert [w.numpy().tolist() for *_, w in batches] == [[1] * 4, [1] * 4, [1, 1, 0, 0]]
  for pixels, label, _ in batches.skip(2):
    np.testing.assert_array_equal(pixels[:2], images[8:])
    shown = label if label_mode == 'int' else np.argmax(label, 1)
    assert np.asarray(shown).tolist() == [*labels[8:], 0, 0]
  losses = {
    'int': keras.losses.SparseCategoricalCrossentropy,
    'categorical': keras.losses.CategoricalCrossentropy,
  }
  model.compile(
    keras.optimizers.SGD(0.0),  # It stays as it is.
    losses[label_mode](from_logits=True),
    metrics=['accuracy'],
    weighted_metrics=['accuracy', tfeval.keras.TopK(1)],
  )
  scores = model.predict(images, verbose=0).astype(np.float64)
  hits = (scores.argmax(1) == labels).sum()
  padded = np.zeros((2, SIZE, SIZE, 3)) + (0 / 127.5 - 1)
  odd = (model.predict(padded, verbose=0).argmax(1) == 0).sum()
  chances = np.exp(scores - scores.max(1, keepdims=True))
  chances /= chances.sum(1, keepdims=True)
  loss = -np.log(chances[np.arange(COUNT), labels]).sum()
  history = model.fit(batches, validation_data=batches, verbose=0).history
  assert history['val_weighted_accuracy'][-1] == pytest.approx(hits / COUNT)
  assert history['val_top1'] == [hits / COUNT]
  # As is documented.
  assert history['val_accuracy'][-1] == pytest.approx((hits + odd) / 12)
  assert history['val_loss'][-1] == pytest.approx(loss / 12, rel=1e-4)
  found = model.evaluate(build(noise, label_mode=label_mode, batch_size=5), verbose=0)
  assert math.isfinite(found[0])


def test_images_without_a_label_weigh_nothing(tmp_path, noise):
  names = [path.name for path in noise.iterdir()]
  for name in names[:2]:
    (tmp_path / name).write_bytes((noise / name).read_bytes())
  first = build(tmp_path)
  unlabelled = first.map(lambda batch: batch | {'label': batch['label'] * 0 - 1})
  fed = unlabelled.map(for_keras.feeding('int', None)(for_keras.Outputs(1000, None)))
  for _, label, weight in fed:
    assert not label.numpy().any() and not weight.numpy().any()


def test_a_folder_of_some_classes_of_a_list_asks_which_labels(noise, tmp_path):
  wnids = ('n02123045', 'n01440764', 'n01443537')  # Of classes 281, 0 and 1.
  for wnid, path in zip(wnids, sorted(noise.iterdir()), strict=False):
    (tmp_path / wnid).mkdir()
    (tmp_path / wnid / 'photo.jpg').write_bytes(path.read_bytes())
  with pytest.raises(tfeval.errors.UserError, match='num_classes=3 or 1000, as many'):
    build(tmp_path, label_mode='int')
  with pytest.raises(tfeval.errors.UserError, match='num_classes is 7: give'):
    build(tmp_path, label_mode='int', num_classes=7)
  with pytest.raises(tfeval.errors.UserError, match='give label_mode too'):
    build(tmp_path, num_classes=3)
  for num_classes, expected in ((3, [0, 1, 2]), (1000, [0, 1, 281])):
    (pixels, label, weight), *rest = build(
      tmp_path, label_mode='int', num_classes=num_classes, batch_size=4
    )
    assert sorted(label.numpy()[:3]) == expected and not rest
    assert label.numpy()[3] == 0 and weight.numpy().tolist() == [1, 1, 1, 0]
    ((_, hot, _),) = build(
      tmp_path, label_mode='categorical', num_classes=num_classes, batch_size=4
    )
    assert hot.shape == (4, num_classes)


def test_preprocessed_dicts_and_what_is_refused(noise):
  (batch,) = build(noise, batch_size=COUNT, preprocess=lambda x: x - 1)
  assert batch['label'].dtype == tf.int64 and batch['mask'].numpy().all()
  (plain,) = build(noise, batch_size=COUNT)
  pixels = tf.cast(plain['pixels'], tf.float32) - 1
  np.testing.assert_array_equal(batch['pixels'], pixels)
  for given, words in (
    ({'label_mode': 'one_hot'}, 'unknown label_mode'),
    ({'label_mode': ['int']}, 'label_mode'),
    ({'preprocess': 'ft'}, 'unknown preprocessing'),
    ({'preprocess': lambda x: x.numpy()}, 'preprocess cannot run on a tensor'),
    ({'preprocess': 3}, 'preprocess is 3, expected a name or a function'),
  ):
    with pytest.raises(tfeval.errors.UserError, match=words) as caught:
      build(noise, **given)
    assert '\n' not in str(caught.value)
