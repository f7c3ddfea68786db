"""Containers that are refused: one line that says what was seen and what to do."""

import io
import os
import pickle
import re
import tarfile
import zipfile

import container_writers as writers
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from tfeval.datasets import open_dataset
from tfeval.utils import budgets
from tfeval.utils.errors import UserError

IMAGE = b'\xff\xd8\xff image'
PHOTOS = [(f'{n:02d}.jpg', IMAGE + bytes([n]) * 2000) for n in range(6)]
LABELS = [0, 1, 2, 0, 1, 2]
NAMES = ['ant', 'bee', 'cat']


def refused(words, name, **options):
  with pytest.raises(UserError, match=words) as caught:
    open_dataset(name, **options)
  assert '\n' not in str(caught.value)
  assert len(str(caught.value)) < 900
  return str(caught.value)


# Which files


def test_files_that_are_not_there(tmp_path):
  refused('does not exist: give webdataset:FILES', f'webdataset:{tmp_path}/no.tar')
  refused('does not exist', f'parquet:{tmp_path}/*.parquet')
  refused('holds no parquet files by their names', f'parquet:{tmp_path}')
  writers.write_shard(tmp_path / 'a-0.tar', PHOTOS, LABELS)
  text = refused('4 of the webdataset files', f'webdataset:{tmp_path}/a-{{0..4}}.tar')
  assert f'{tmp_path}/a-1.tar, ' in text
  refused('the range {3..1} is empty', f'webdataset:{tmp_path}/a-{{3..1}}.tar')
  refused('at most 100,000', f'webdataset:{tmp_path}/a-{{0..9999999}}.tar')
  refused('at most 100,000', 'webdataset:/a-{0..99}{0..99}{0..99}{0..99}{0..99}.tar')
  refused('is too long', 'webdataset:/a-{0..' + '9' * 9000 + '}.tar')
  refused('is too long', 'webdataset:/a-{0..' + '0' * 20 + '99999999}.tar')
  refused('is a URL: parquet files are read from local', 'parquet:gs://bucket/a')
  refused("has no option 'clases'", f'parquet:{tmp_path}:clases=a')
  refused('first_label is 2, expected 0 or 1', f'parquet:{tmp_path}:first_label=2')


def test_pipes_and_names_and_the_same_file_twice(tmp_path):
  writers.write_shard(tmp_path / 'a.tar', PHOTOS, LABELS)
  os.symlink(tmp_path / 'a.tar', tmp_path / 'b.tar')
  refused('b.tar is the same file as .*a.tar', f'webdataset:{tmp_path}')
  (tmp_path / 'b.tar').unlink()
  os.mkfifo(tmp_path / 'c.tar')
  refused('c.tar is a named pipe', f'webdataset:{tmp_path}')
  (tmp_path / 'c.tar').unlink()
  (tmp_path / os.fsdecode(b'\xff.tar')).write_bytes(b'')
  refused('not UTF-8: rename it', f'webdataset:{tmp_path}')


def test_splits(tmp_path):
  for split in ('train', 'test'):
    path = tmp_path / f'data/{split}-00000-of-00001.parquet'
    writers.write_parquet(path, PHOTOS, LABELS, NAMES)
  refused(
    'holds the split test and train, not `split=validation`', f'parquet:{tmp_path}'
  )
  assert open_dataset(f'parquet:{tmp_path}', split='test').split == 'test'
  writers.write_shard(tmp_path / 'a.tar', PHOTOS, LABELS)
  refused('has no splits: leave it out', f'webdataset:{tmp_path}', split='test')


# Tar shards


def shard(tmp_path, *members):
  return f'webdataset:{writers.write_tar(tmp_path / "0.tar", members)}'


def test_shards_that_are_cut_off(tmp_path):
  path = writers.write_shard(tmp_path / '0.tar', PHOTOS, LABELS)
  whole = path.read_bytes()
  # In a member, in a header, between two, and before the end mark.
  end = len(whole.rstrip(b'\0')) + 512 & ~511
  for size in (1000, 3000, 300, 512, end):
    path.write_bytes(whole[:size])
    refused('0.tar ends too early: it was cut off: copy it again', f'webdataset:{path}')
  path.write_bytes(b'')
  refused('0.tar is empty', f'webdataset:{path}')
  path.write_bytes(whole + whole)
  refused('goes on behind its end', f'webdataset:{path}')
  path.write_bytes(b'no tar at all' * 100)
  refused('0.tar is not a whole tar file', f'webdataset:{path}')


def test_packed_and_nested_shards(tmp_path):
  path = tmp_path / '0.tar'
  writers.write_tar(path, [('a.jpg', IMAGE), ('a.cls', b'0')], 'w:gz')
  refused('0.tar is packed with gzip, expected a tar file', f'webdataset:{path}')
  refused(
    "holds another archive, 'b/inner.tar': unpack it",
    shard(tmp_path, ('a.jpg', IMAGE), ('a.cls', b'0'), ('b/inner.tar', b'x')),
  )


@pytest.mark.parametrize(
  'name', ['../a.jpg', '/etc/a.jpg', 'a/../../b.jpg', '..\\a.jpg', 'a/..']
)
def test_names_that_lead_out_of_the_archive(tmp_path, name):
  refused('leads out of the archive', shard(tmp_path, (name, IMAGE)))


@pytest.mark.parametrize(
  'kind', [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, b'S']
)
def test_members_that_are_no_files(tmp_path, kind):
  text = refused("'a.jpg' is", shard(tmp_path, ('a.jpg', kind.decode())))
  assert 'expected plain files' in text


def test_headers_that_claim_much(tmp_path):
  path = tmp_path / '0.tar'
  with tarfile.open(path, 'w') as tar:
    info = tarfile.TarInfo('a.jpg')
    info.size = 1 << 50
    tar.addfile(info)
  refused('ends too early', f'webdataset:{path}')
  with tarfile.open(path, 'w') as tar:
    info = tarfile.TarInfo('a')
    info.type, info.size = tarfile.XHDTYPE, 1 << 20
    tar.addfile(info, io.BytesIO(bytes(1 << 20)))
  refused('has a header of 1,048,576 bytes', f'webdataset:{path}')
  for record in (b'99 path=a\n', b'x path=a\n', b'9 path=\xff\n', b'11 size=-5\n'):
    with tarfile.open(path, 'w') as tar:
      info = tarfile.TarInfo('a')
      info.type, info.size = tarfile.XHDTYPE, len(record)
      tar.addfile(info, io.BytesIO(record))
      info = tarfile.TarInfo('a.jpg')
      tar.addfile(info)
    refused('not a whole tar file|ends too early', f'webdataset:{path}')


def test_keys_twice_in_two_shards(tmp_path):
  for number in range(2):
    writers.write_shard(tmp_path / f'{number}.tar', PHOTOS[:2], LABELS[:2])
  refused('2 keys have two images, .*: 00, 01: name', f'webdataset:{tmp_path}')
  refused(
    '1 keys have two images',
    shard(tmp_path / 'x', ('a.jpg', IMAGE), ('a.png', IMAGE), ('a.cls', b'0')),
  )
  twice = [
    ('ILSVRC2012_val_00000001.jpg', IMAGE),
    ('ILSVRC2012_val_00000001.cls', b'65'),
  ]
  text = refused(
    '1 validation images twice',
    shard(tmp_path / 'x', *twice, *((f'a/{n}', c) for n, c in twice)),
  )
  assert 'ILSVRC2012_val_00000001.JPEG' in text


def test_images_and_labels_without_the_other(tmp_path):
  images = [(f'{n:02d}.jpg', IMAGE) for n in range(12)]
  refused(
    r'12 images without label|has no labels: give them by :labels=FILE',
    shard(tmp_path, *images),
  )
  text = refused(
    '11 images without label: 01.jpg', shard(tmp_path, *images, ('00.cls', b'0'))
  )
  assert '10.jpg, ...' in text and '11.jpg' not in text
  labels = [(f'{n:02d}.cls', b'0') for n in range(14)]
  refused('2 labels without image: 12, 13', shard(tmp_path, *images, *labels))
  refused('holds no images', shard(tmp_path, ('a.txt', b'')))


def test_labels_of_shards(tmp_path):
  def of(*labels):
    found = [(f'a.{suffix}', content) for suffix, content in labels]
    return shard(tmp_path, ('a.jpg', IMAGE), *found)

  refused('two labels, 0 and 1', of(('cls', b'0'), ('json', b'{"cls": 1}')))
  refused('expected one number or name', of(('cls', b'')))
  refused('expected one number or name', of(('cls', b'0\n1')))
  refused('expected one number or name', of(('json', b'{"label": [1, 2]}')))
  refused('expected one number or name', of(('json', b'{"label": 1.5}')))
  refused('not JSON', of(('json', b'{"label": ')))
  refused('not UTF-8', of(('cls', b'\xff')))
  refused('65,537 bytes, expected at most 65,536', of(('cls', b'0' * 65537)))
  refused('no labels', of(('json', b'{"url": "a"}')))
  refused('has no labels', of(('cls', b'-1')))
  refused('at most 262,144 classes', of(('cls', b'9' * 5000)))
  assert open_dataset(of(('cls', b'0'), ('json', b'{"cls": 0}'))).num_examples == 1


def test_labels_outside_of_the_classes(tmp_path):
  (tmp_path / 'names.txt').write_text('ant\nbee')
  name = f'webdataset:{writers.write_shard(tmp_path / "a.tar", PHOTOS, LABELS)}'
  text = f'{name}:classes={tmp_path}/names.txt'
  refused('2 labels outside of the classes: 2 of 02.jpg, 2 of 05.jpg', text)
  words = [NAMES[n] for n in LABELS]
  writers.write_shard(tmp_path / 'a.tar', PHOTOS, words)
  refused('2 labels outside of the classes: cat of 02.jpg', text)
  (tmp_path / 'names.txt').write_text('ant\nbee\nbee')
  refused("two classes that are called 'bee'", text)
  (tmp_path / 'names.txt').write_text('')
  refused('names 0 classes', text)
  refused('cannot read .*no.txt', f'{name}:classes={tmp_path}/no.txt')


# Parquet


def parquet(tmp_path, table, metadata=None):
  table = pa.table(table)
  if metadata is not None:
    table = table.replace_schema_metadata(metadata)
  pq.write_table(table, tmp_path / '0.parquet')
  return f'parquet:{tmp_path}'


IMAGES = pa.array([content for _, content in PHOTOS])


def test_columns_that_are_missing_or_several(tmp_path):
  text = refused('no image column', parquet(tmp_path, {'a': ['x'], 'label': [0]}))
  assert 'seen a: string, label: int64' in text
  refused('no label column', parquet(tmp_path, {'image': IMAGES, 'a': LABELS}))
  both = {'image': IMAGES, 'fine': LABELS, 'coarse': LABELS}
  label = {'_type': 'ClassLabel', 'names': NAMES}
  features = f'{{"fine": {label}, "coarse": {label}}}'.replace("'", '"')
  metadata = {'huggingface': f'{{"info": {{"features": {features}}}}}'}
  name = parquet(tmp_path, both, metadata)
  refused('several columns of labels, fine, coarse: say which', name)
  assert open_dataset(f'{name}:label=fine').label_space.class_ids == tuple(NAMES)
  refused("no column of labels 'other'", f'{name}:label=other')
  refused(
    'several columns of images, one, two',
    parquet(tmp_path, {'one': IMAGES, 'two': IMAGES, 'label': LABELS}),
  )


def test_labels_of_parquet(tmp_path):
  name = f'parquet:{tmp_path}'
  path = tmp_path / '0.parquet'
  writers.write_parquet(path, PHOTOS, [0, 1, 3, 0, 1, 5], NAMES)
  refused('2 labels outside of the classes: 3 of 02.jpg, 5 of 05.jpg', name)
  writers.write_parquet(path, PHOTOS, [0, -1, None, 0, 1, 2], NAMES)
  refused('2 images without label: 01.jpg, 02.jpg', name)
  writers.write_parquet(path, PHOTOS, [-1] * 6, NAMES)
  refused('has no labels', name)
  writers.write_parquet(path, PHOTOS, LABELS, ['ant', 'ant', 'cat'])
  refused("two classes that are called 'ant'", name)
  for metadata in ('{"info": ', '[1]', '{"info": {"features": {"label": 3}}}'):
    table = pq.read_table(path).replace_schema_metadata({'huggingface': metadata})
    pq.write_table(table, path)
    if metadata[-1] == ' ':
      refused('not JSON', name)
    else:
      assert open_dataset(name).label_space.class_ids == ('0', '1', '2')
  table = pq.read_table(path).replace_schema_metadata(
    {k: v.replace('"ant"', '7') for k, v in writers.hugging_face(NAMES).items()}
  )
  pq.write_table(table, path)
  refused('expected a list of names', name)


def test_parquet_that_is_damaged(tmp_path):
  path = writers.write_parquet(tmp_path / '0.parquet', PHOTOS, LABELS, NAMES)
  whole = path.read_bytes()
  for content in (
    whole[:-100],
    b'',
    b'PAR1' * 9,
    whole[:-8] + b'\xff' * 4 + whole[-4:],
  ):
    path.write_bytes(content)
    refused('not a readable Parquet file|footer', f'parquet:{path}')
  other = writers.write_parquet(tmp_path / '1.parquet', PHOTOS, LABELS, ['a', 'b', 'c'])
  path.write_bytes(whole)
  refused('1.parquet has other columns or classes than', f'parquet:{tmp_path}')
  other.unlink()
  writers.write_parquet(path, [], pa.array([], pa.int64()), NAMES)
  refused('holds no rows', f'parquet:{path}')


def test_images_that_lie_elsewhere(tmp_path):
  """A path alone leads to another file, which is nobody's business."""
  (tmp_path / 'secret.jpg').write_bytes(IMAGE)
  images = [{'bytes': None, 'path': str(tmp_path / 'secret.jpg')}]
  dataset = open_dataset(
    parquet(tmp_path, {'image': pa.array(images, writers.STRUCT), 'label': [0]})
  )
  with pytest.raises(tf.errors.OpError, match='an image without bytes'):
    list(dataset.examples())


def test_a_page_of_an_image_is_bounded(tmp_path, monkeypatch):
  writers.write_parquet(tmp_path / '0.parquet', PHOTOS, LABELS, NAMES)
  monkeypatch.setattr(budgets, 'PAGE', 4000)
  refused('bytes in a page, expected at most', f'parquet:{tmp_path}')


def test_paths_twice(tmp_path):
  image = [('a.jpg', IMAGE), ('a.jpg', IMAGE + b'2')]
  writers.write_parquet(tmp_path / '0.parquet', image, [0, 1], NAMES)
  dataset = open_dataset(f'parquet:{tmp_path}')
  assert list(dataset.expected_ids) == ['0.parquet__0', '0.parquet__1']
  assert dataset.notes == ('1 paths occur more than once: ids are files and rows',)
  image = [('ILSVRC2012_val_00000001.JPEG', IMAGE)] * 2
  writers.write_parquet(tmp_path / '0.parquet', image, [0, 1], NAMES)
  refused('1 validation images twice', f'parquet:{tmp_path}')


# TFRecords


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


# Arrays


def npz(tmp_path, **arrays):
  np.savez(tmp_path / 'a.npz', **arrays)
  return f'npz:{tmp_path}/a.npz'


def test_arrays_that_are_no_images(tmp_path):
  images, labels = writers.pixels(3), [0, 1, 2]
  for wrong in (images / 255, images.transpose(0, 3, 1, 2), images[0, 0], images[:0]):
    refused('expected images as uint8', npz(tmp_path, images=wrong, labels=labels))
  refused('holds no array of images', npz(tmp_path, foo=images, labels=labels))
  refused('holds no array of labels', npz(tmp_path, images=images))
  refused('several arrays of images', npz(tmp_path, images=images, x=images, y=labels))
  refused(
    '3 images and 2 labels: 1 are without label', npz(tmp_path, x=images, y=[0, 1])
  )
  refused(
    '3 images and 4 labels: 1 are without image', npz(tmp_path, x=images, y=[0] * 4)
  )
  refused('labels are float64', npz(tmp_path, x=images, y=[0.5] * 3))
  refused(r'labels are int64 \[3, 2\]', npz(tmp_path, x=images, y=[[0, 1]] * 3))
  refused('3 images, and 2 names', npz(tmp_path, x=images, y=labels, ids=['a', 'b']))
  refused('has 1 ids twice', npz(tmp_path, x=images, y=labels, ids=['a', 'b', 'a']))
  refused('Fortran order', npz(tmp_path, x=np.asfortranarray(images), y=labels))
  refused(
    'holds the split test and train, not', npz(tmp_path, x_test=images, x_train=images)
  )


def test_arrays_of_objects_are_never_loaded(tmp_path):
  class Opens:
    def __reduce__(self):
      return open, (str(tmp_path / 'opened'), 'w')

  objects = np.array([Opens()] * 3, object)
  images = writers.pixels(3)
  for arrays in ({'x': objects, 'y': [0]}, {'x': images, 'y': objects}):
    with zipfile.ZipFile(tmp_path / 'a.npz', 'w') as archive:
      for name, array in arrays.items():
        content = io.BytesIO()
        np.save(content, np.asarray(array), allow_pickle=True)
        archive.writestr(f'{name}.npy', content.getvalue())
    refused('Python objects', f'npz:{tmp_path}/a.npz')
  np.save(tmp_path / 'x.npy', objects, allow_pickle=True)
  refused('Python objects', f'npz:{tmp_path}/x.npy')
  (tmp_path / 'x.npy').write_bytes(pickle.dumps(Opens()))
  refused('not a whole .npy file', f'npz:{tmp_path}/x.npy')
  assert not (tmp_path / 'opened').exists()


def test_arrays_that_claim_much_or_are_cut_off(tmp_path):
  images = writers.pixels(3, shape=(99, 97, 3))
  name = npz(tmp_path, images=images, labels=[0, 1, 2])
  path = tmp_path / 'a.npz'
  whole = path.read_bytes()
  path.write_bytes(whole[:-30])
  refused('not a readable .npz file', name)
  header = whole.index(b'(3, 99, 97, 3)')
  path.write_bytes(whole[:header] + b'(9, 99, 97, 3)' + whole[header + 14 :])
  refused('shorter than its shape', name)
  path.write_bytes(whole[:header] + b'(3, 99,9e9, 3)' + whole[header + 14 :])
  refused('not a NumPy array', name)
  np.save(tmp_path / 'x.npy', writers.pixels(3))
  refused('has no labels beside it: put them into .*y.npy', f'npz:{tmp_path}/x.npy')
  (tmp_path / 'x.npy').write_bytes((tmp_path / 'x.npy').read_bytes()[:-1])
  refused('not a whole .npy file', f'npz:{tmp_path}/x.npy')


def test_every_refusal_is_a_line_of_the_command(tmp_path, tfeval):
  writers.write_tar(tmp_path / '0.tar', [('../a.jpg', IMAGE)])
  code, out, err = tfeval(
    'evaluate',
    '--model=MobileNet',
    '--weights=none',
    f'--dataset=webdataset:{tmp_path}',
    f'--output_dir={tmp_path}/out',
  )
  assert (code, out) == (2, '')
  assert err.count('\n') == 1
  assert re.match(r"tfeval.*'\.\./a\.jpg' leads out of the archive", err)
  assert (
    not list((tmp_path / 'out').rglob('*')) if (tmp_path / 'out').exists() else True
  )
