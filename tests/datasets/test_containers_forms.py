"""Forms of containers: members, names, classes and pixels."""

import io
import tarfile
import zipfile

import container_writers as writers
import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from container_writers import LABELS, NAMES, PHOTOS, rows

from tfeval.datasets import open_dataset
from tfeval.utils.errors import UserError


@pytest.mark.parametrize('save', [np.savez, np.savez_compressed, None])
def test_arrays_keep_every_pixel(tmp_path, save):
  images, labels = writers.pixels(11), np.arange(11) % 4
  if save is None:
    np.save(tmp_path / 'x_test.npy', images)
    np.save(tmp_path / 'y_test.npy', labels)
    dataset = open_dataset(f'npz:{tmp_path}/x_test.npy')
  else:
    save(tmp_path / 'a.npz', x_test=images, y_test=labels[:, None], x_train=images[:2])
    dataset = open_dataset(f'npz:{tmp_path}/a.npz', split='test')
    assert dataset.split == 'test'
  assert dataset.label_space.class_ids == ('0', '1', '2', '3')
  found = rows(dataset.examples())
  assert [row[:2] for row in found] == [(f'{n:08d}', n % 4) for n in range(11)]
  for row, pixels in zip(found, images, strict=True):
    assert np.array_equal(tf.io.decode_png(row[2]).numpy(), pixels)
  assert rows(dataset.examples(4, 9)) == found[4:9]


def test_grey_arrays_with_names(tmp_path):
  images = writers.pixels(3, shape=(5, 4))
  names = np.array(['b.png', 'a.png', 'c.png'])
  np.savez(
    tmp_path / 'a.npz',
    images=images,
    labels=[1, 0, 1],
    filenames=names,
    classes=['n', 'm'],
  )
  dataset = open_dataset(f'npz:{tmp_path}/a.npz')
  assert dataset.label_space.class_ids == ('n', 'm')
  found = rows(dataset.examples())
  assert [row[:2] for row in found] == [('b.png', 1), ('a.png', 0), ('c.png', 1)]
  for row, pixels in zip(found, images, strict=True):
    assert np.array_equal(tf.io.decode_png(row[2]).numpy()[..., 0], pixels)


def test_a_member_of_zip_lies_where_its_local_header_says(tmp_path):
  """The two headers of a member may differ in their extra fields."""
  images = writers.pixels(2)
  with zipfile.ZipFile(tmp_path / 'a.npz', 'w') as archive:
    for name, array in (('images', images), ('labels', np.array([0, 1]))):
      content = io.BytesIO()
      np.save(content, array)
      info = zipfile.ZipInfo(f'{name}.npy')
      info.extra = b'\x99\x99\x04\x00abcd'
      archive.writestr(info, content.getvalue())
      info.extra = b''
  dataset = open_dataset(f'npz:{tmp_path}/a.npz')
  for row, pixels in zip(rows(dataset.examples()), images, strict=True):
    assert np.array_equal(tf.io.decode_png(row[2]).numpy(), pixels)


def test_bytes_without_path(tmp_path):
  for number in range(2):
    path = tmp_path / f'{number}.parquet'
    writers.write_parquet(path, PHOTOS[:3], LABELS[:3], NAMES, pa.binary())
  dataset = open_dataset(f'parquet:{tmp_path}')
  assert list(dataset.expected_ids) == [
    f'{number}.parquet__{row}' for number in range(2) for row in range(3)
  ]
  assert [row[2] for row in rows(dataset.examples(2, 4))] == [
    PHOTOS[2][1],
    PHOTOS[0][1],
  ]


def test_members_of_shards_in_folders_and_clutter(tmp_path):
  image, label = PHOTOS[0][1], b'1'
  members = [('train', b'5'), ('a', b''), ('./a/x.jpg', image), ('./a/x.cls', label)]
  members += [('b/x.png', image), ('b/x.json', b'{"label": 0, "more": [1]}')]
  members += [('b/x.txt', b'a caption'), ('a/._x.jpg', b'clutter')]
  writers.write_tar(tmp_path / '0.tar', members)
  dataset = open_dataset(f'webdataset:{tmp_path}')
  assert [row[:2] for row in rows(dataset.examples())] == [
    ('x.jpg', 1),
    ('x.png', 0),
  ]
  assert dataset.notes[-1] == 'left out as no images: 4 entries, such as train'


def test_equal_file_names_keep_their_folders(tmp_path):
  image = PHOTOS[0][1]
  members = [('a/x.jpg', image), ('a/x.cls', b'cat'), ('b/x.jpg', image)]
  writers.write_tar(tmp_path / '0.tar', [*members, ('b/x.cls', b'dog')])
  dataset = open_dataset(f'webdataset:{tmp_path}')
  assert [row[:2] for row in rows(dataset.examples())] == [
    ('a/x.jpg', 0),
    ('b/x.jpg', 1),
  ]


@pytest.mark.parametrize('kind', ['gnu', 'pax', 'ustar'])
def test_long_names_in_every_form_of_tar(tmp_path, kind):

  name = 'f' * 90 + '/' + 'n' * 95
  form = {
    'gnu': tarfile.GNU_FORMAT,
    'pax': tarfile.PAX_FORMAT,
    'ustar': tarfile.USTAR_FORMAT,
  }
  with tarfile.open(tmp_path / '0.tar', 'w', format=form[kind]) as tar:
    for suffix, content in (('.jpg', PHOTOS[5][1]), ('.cls', b'0')):
      info = tarfile.TarInfo(name + suffix)
      info.size, info.mtime = len(content), 1.5  # What only pax can say.
      tar.addfile(info, io.BytesIO(content))
  dataset = open_dataset(f'webdataset:{tmp_path}/*.tar')
  assert rows(dataset.examples()) == [('n' * 95 + '.jpg', 0, PHOTOS[5][1])]


@pytest.mark.parametrize(
  'text, numbers',
  [
    ('0:ant\n1:bee\n2:cat\n', LABELS),
    ('0:background\n1:ant\n2:bee\n3:cat\n', [n + 1 for n in LABELS]),
    ('background\nant\nbee\ncat\n', [n + 1 for n in LABELS]),
  ],
)
def test_names_of_classes_beside_records(tmp_path, text, numbers):
  writers.write_records(tmp_path / 'a.tfrecord', writers.slim(PHOTOS, numbers))
  (tmp_path / 'labels.txt').write_text(text)
  dataset = open_dataset(f'tfrecord:{tmp_path}')
  assert dataset.label_space.class_ids == NAMES
  assert [row[1] for row in rows(dataset.examples())] == LABELS


def test_names_of_classes_in_records(tmp_path):
  texts = [NAMES[n] for n in LABELS]
  examples = writers.slim(PHOTOS, [n + 1 for n in LABELS], image__class__text=texts)
  writers.write_records(tmp_path / 'a.tfrecord', examples)
  # Whether there is a class 0 that no image has nothing tells.
  with pytest.raises(UserError, match='labels are 1 to 3, .* add :first_label=1'):
    open_dataset(f'tfrecord:{tmp_path}')
  dataset = open_dataset(f'tfrecord:{tmp_path}:first_label=1')
  assert dataset.label_space.class_ids == NAMES
  assert [row[1] for row in rows(dataset.examples())] == LABELS
  dataset = open_dataset(f'tfrecord:{tmp_path}:first_label=0')
  assert dataset.label_space.class_names == ('0', *NAMES)
  assert dataset.label_space.class_ids == ('0', '1', '2', '3')


def test_a_link_beside_leads_nowhere(tmp_path):
  (tmp_path / 'secret').write_text('ant\nbee\ncat')
  data = tmp_path / 'data'
  writers.write_records(data / 'a.tfrecord', writers.slim(PHOTOS, LABELS))
  (data / 'labels.txt').symlink_to(tmp_path / 'secret')
  with pytest.raises(UserError, match='labels.txt is a link out of'):
    open_dataset(f'tfrecord:{data}')
  np.save(data / 'x.npy', writers.pixels(2))
  np.save(tmp_path / 'y.npy', [0, 1])
  (data / 'y.npy').symlink_to(tmp_path / 'y.npy')
  with pytest.raises(UserError, match='y.npy is a link out of'):
    open_dataset(f'npz:{data}/x.npy')
