"""TFRecords that are refused."""

import container_writers as writers
from refusals import IMAGE, LABELS, PHOTOS, refused


def records(tmp_path, *examples):
  path = writers.write_records(tmp_path / 'a.tfrecord', examples)
  return f'tfrecord:{path}'


def test_records_that_are_cut_off_or_none(tmp_path):
  name = records(tmp_path, *writers.slim(PHOTOS, LABELS))
  path = tmp_path / 'a.tfrecord'
  whole = path.read_bytes()
  for size in (len(whole) - 1, len(whole) - 3000, 11):
    path.write_bytes(whole[:size])
    refused('it was cut off: get it again', name)
  path.write_bytes(b'neither' * 100)
  refused('has no record at byte 0: expected TFRecords', name)
  path.write_bytes(b'\x1f\x8b' + bytes(100))
  refused('is packed with gzip', name)
  path.write_bytes(b'')
  refused('holds no records', name)
  for content in (b'\xff' * 20, b'\x0a\x7f\x0a', b'\x0b', b'\x0a\x04\x0a\x02\x0a\x09'):
    refused('is no tf.train.Example', records(tmp_path, content))


def test_features_that_are_missing_or_several(tmp_path):
  image = {'image__encoded': IMAGE}
  text = refused(
    'no image/encoded', records(tmp_path, writers.example(image=IMAGE, label=1))
  )
  assert 'seen image, label: of data that TFDS prepared' in text
  for words, features in (
    ('two images in image/encoded', {'image__encoded': [IMAGE, IMAGE]}),
    (r'two labels, \[1, 2\]', {**image, 'image__class__label': [1, 2]}),
    ('of another type, expected int', {**image, 'image__class__label': 'one'}),
    ('not UTF-8', {**image, 'image__class__text': b'\xff'}),
    ('no labels', image),
    ('a text of 5,000 bytes', {**image, 'image__filename': 'a' * 5000}),
  ):
    refused(words, records(tmp_path, writers.example(**features)))


def test_ids_and_labels_of_records(tmp_path):
  name = records(tmp_path, *writers.slim([PHOTOS[0], PHOTOS[0]], [0, 1]))
  refused('has 1 ids twice: 00.jpg', name)
  synsets = ['ant', 'bee', 'cat', 'ant', 'bee', 'bee']
  made = writers.slim(PHOTOS, [1, 2, 3, 1, 2, 3], image__class__synset=synsets)
  refused("the class 'bee' has the label 3 in one", records(tmp_path, *made))
