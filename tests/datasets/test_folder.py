"""Folders of images: what is read, in which order, and what is refused."""

import json
import os

import numpy as np
import pytest
import tensorflow as tf

from tfeval import datasets
from tfeval.datasets import open_dataset
from tfeval.datasets.labels import imagenet
from tfeval.utils.errors import UserError

TENCH, GOLDFISH = 'n01440764', 'n01443537'


def fill(root, *names):
  """Writes files; what is in them is nobody's business here."""
  for name in names:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(name.encode())
  return root


def image(number):
  return imagenet.validation_name(number)


def wnid_of(number):
  index = imagenet.original_validation_labels()[number - 1]
  return imagenet.label_space().class_ids[index]


def read(dataset):
  return [
    (e['id'].decode(), int(e['label']), e['image'].decode())
    for e in dataset.examples().as_numpy_iterator()
  ]


def refused(words, folder, **arguments):
  with pytest.raises(UserError, match=words) as caught:
    open_dataset(f'folder:{folder}', **arguments)
  assert '\n' not in str(caught.value)


def test_flat(tmp_path):
  fill(tmp_path, image(30), image(4), image(1))
  dataset = open_dataset(f'folder:{tmp_path}')
  truth = imagenet.original_validation_labels()
  assert read(dataset) == [(image(n), truth[n - 1], image(n)) for n in (1, 4, 30)]
  assert dataset.expected_ids == [image(n) for n in (1, 4, 30)]
  assert dataset.num_examples == 3
  assert not dataset.has_real_labels
  assert dataset.notes == ('3 of the 50000 validation images',)
  assert dataset.describe()['name'] == f'folder:{tmp_path}'


def test_class_folders(tmp_path):
  fill(tmp_path, f'{GOLDFISH}/a.png', f'{TENCH}/c.JPG', f'{TENCH}/b.jpeg')
  dataset = open_dataset(f'folder:{tmp_path}')
  assert [row[:2] for row in read(dataset)] == [
    ('a.png', 1),
    ('b.jpeg', 0),
    ('c.JPG', 0),
  ]
  assert dataset.notes == ()


def test_class_folders_of_validation_images(tmp_path):
  fill(tmp_path, *[f'{wnid_of(n)}/{image(n)}' for n in (7, 2, 9)])
  assert [row[0] for row in read(open_dataset(f'folder:{tmp_path}'))] == [
    image(n) for n in (2, 7, 9)
  ]


def test_same_name_in_two_class_folders(tmp_path):
  fill(tmp_path, f'{GOLDFISH}/a.png', f'{TENCH}/a.png', f'{TENCH}/b.png')
  assert [row[:2] for row in read(open_dataset(f'folder:{tmp_path}'))] == [
    (f'{TENCH}/a.png', 0),
    (f'{TENCH}/b.png', 0),
    (f'{GOLDFISH}/a.png', 1),
  ]


def test_limit_is_the_start_of_the_ids_whatever_the_folders(tmp_path):
  fill(tmp_path, f'{GOLDFISH}/a.png', f'{TENCH}/b.png', f'{GOLDFISH}/c.png')
  dataset = open_dataset(f'folder:{tmp_path}', limit=2)
  assert [row[0] for row in read(dataset)] == ['a.png', 'b.png']
  assert (dataset.num_examples, dataset.limit) == (2, 2)
  assert dataset.describe()['partial'] is True
  assert open_dataset(f'folder:{tmp_path}', limit=9).num_examples == 3


def test_what_is_no_image_is_ignored(tmp_path):
  fill(
    tmp_path,
    image(1),
    f'.{image(2)}',
    'README.txt',
    f'{image(3)}.part',
    'LICENSE',
    f'.thumbnails/{image(4)}',
    f'{TENCH}/.hidden.png',
    f'{TENCH}/notes.csv',
  )
  (tmp_path / GOLDFISH).mkdir()
  assert [row[0] for row in read(open_dataset(f'folder:{tmp_path}'))] == [image(1)]


def test_home_is_expanded(tmp_path, monkeypatch):
  monkeypatch.setenv('HOME', str(tmp_path))
  fill(tmp_path / 'val', image(1))
  (tmp_path / 'real.json').write_text(json.dumps([[5]] * 50_000))
  dataset = open_dataset('folder:~/val', real_labels='~/real.json')
  assert dataset.real_labels == {image(1): (5,)}


def test_folders_that_are_none(tmp_path):
  refused('does not exist', tmp_path / 'missing')
  refused('does not exist', fill(tmp_path, 'file') / 'file')
  refused('does not exist', '')
  (tmp_path / 'empty').mkdir()
  refused('holds no images', tmp_path / 'empty')
  refused('holds no images', fill(tmp_path / 'texts', 'a.txt', f'{TENCH}/b.txt'))


def test_images_without_a_label(tmp_path):
  refused(r'cat\.jpg: no label is known', fill(tmp_path / 'a', image(1), 'cat.jpg'))
  refused('no label is known', fill(tmp_path / 'b', 'ILSVRC2012_val_00050001.JPEG'))
  refused('no label is known', fill(tmp_path / 'c', 'ILSVRC2012_val_00000000.JPEG'))
  refused(
    f'{image(1)} lies beside class folders that are not',
    fill(tmp_path / 'd', image(1), 'cat/a.png'),
  )


def test_class_folder_that_contradicts_the_packaged_label(tmp_path):
  wrong = GOLDFISH if wnid_of(1) != GOLDFISH else TENCH
  refused(
    f'{image(1)} is {wnid_of(1)} by image 1, {wrong} by the folder {wrong}: sort the',
    fill(tmp_path, f'{wrong}/{image(1)}'),
  )


def test_validation_image_that_is_there_twice(tmp_path):
  refused(
    f'{image(1)} and {wnid_of(1)}/{image(1)} are the same validation image: remove',
    fill(tmp_path, image(1), image(2), f'{wnid_of(1)}/{image(1)}'),
  )


@pytest.fixture
def real_json(tmp_path):
  path = tmp_path / 'real.json'
  path.write_text(json.dumps([[n % 1000] if n % 3 else [] for n in range(50_000)]))
  return path


def test_real_labels(tmp_path, real_json):
  folder = fill(tmp_path / 'val', image(1), image(3), f'{wnid_of(2)}/{image(2)}')
  dataset = open_dataset(f'folder:{folder}', real_labels=str(real_json))
  assert dataset.has_real_labels
  assert dataset.real_labels == {image(1): (), image(2): (1,), image(3): (2,)}


def test_real_labels_are_of_validation_images(tmp_path, real_json):
  folder = fill(tmp_path / 'val', f'{TENCH}/cat.png')
  refused(
    r'cat\.png is none: leave `real_labels` out', folder, real_labels=str(real_json)
  )


@pytest.mark.parametrize(
  'content, words',
  [(None, 'cannot read'), ('[', 'not JSON'), ('[[1]]', '1 entries, expected')],
)
def test_bad_real_labels(tmp_path, content, words):
  folder = fill(tmp_path / 'val', image(1))
  path = tmp_path / 'bad.json'
  if content is not None:
    path.write_text(content)
  refused(words, folder, real_labels=str(path))


def test_what_is_left_out_is_told(tmp_path):
  folder = fill(tmp_path / 'val', image(1), 'notes.txt', 'more.tif')
  notes = open_dataset(f'folder:{folder}').notes
  assert notes == (
    '1 of the 50000 validation images',
    'left out as no images: 2 entries, such as more.tif',
  )


def test_broken_links_and_odd_names_are_named(tmp_path):
  folder = fill(tmp_path / 'val', image(1))
  link = folder / image(2)
  link.symlink_to(tmp_path / 'nowhere')
  refused('00000002.JPEG is no file', folder)
  link.unlink()
  os.mkfifo(folder / image(3))
  refused('00000003.JPEG is no file', folder)
  (folder / image(3)).unlink()
  (folder / os.fsdecode(b'bad\xff.JPEG')).touch()
  refused('name that is not UTF-8', folder)


def test_a_folder_has_no_splits(noise):
  with pytest.raises(UserError, match='`split=test`: a folder has no splits'):
    open_dataset(f'folder:{noise}', split='test')


def test_the_order_of_keras(tmp_path):
  png = tf.io.encode_png(np.zeros((2, 2, 3), np.uint8)).numpy()
  for name in ('b/2.png', 'B/1.png', '10/3.png', '9/4.png', 'a_b/5.png', 'a b/6.png'):
    (tmp_path / name).parent.mkdir()
    (tmp_path / name).write_bytes(png)
  of_keras = tf.keras.utils.image_dataset_from_directory(
    tmp_path, shuffle=False, verbose=False
  )
  dataset = open_dataset(f'folder:{tmp_path}')
  assert dataset.label_space.class_ids == tuple(of_keras.class_names)
  assert dataset.label_space.name == tmp_path.name


def test_the_root_that_was_entered_is_told(tmp_path, caplog):
  fill(tmp_path, f'val/{TENCH}/a.png')
  with caplog.at_level('INFO', 'tfeval'):
    dataset = open_dataset(f'folder:{tmp_path}')
  assert caplog.messages == [f'folder:{tmp_path}: the images are in {tmp_path}/val']
  assert dataset.name == f'folder:{tmp_path}/val'


def test_folders_without_the_word(tmp_path, monkeypatch):
  fill(tmp_path / 'My-Photos', f'{TENCH}/a.png')
  fill(tmp_path / 'photos', f'{TENCH}/a.png')
  monkeypatch.chdir(tmp_path)
  monkeypatch.setenv('HOME', str(tmp_path))
  written = 'My-Photos', 'photos', 'photos/', './photos', '~/photos'
  for name in (*written, f'{tmp_path}/photos'):
    dataset = open_dataset(name)
    assert dataset.name.startswith(f'folder:{tmp_path}/')
    assert dataset.expected_ids == ['a.png']
  # Names that TFDS has are its own, and so is what it has prepared.
  fill(tmp_path / 'cifar10', f'{TENCH}/a.png')
  (tmp_path / 'mine/1.0.0').mkdir(parents=True)
  (tmp_path / 'mine/1.0.0/dataset_info.json').touch()
  assert datasets.full_name('cifar10') == 'cifar10'
  assert datasets.full_name('mine') == 'mine'


def test_files_that_vanish(tmp_path, monkeypatch):
  fill(tmp_path, image(1), image(2))
  monkeypatch.setattr('os.path.getsize', lambda path: os.stat(f'{path}.gone').st_size)
  refused('cannot read .*No such file or directory: does another process', tmp_path)


def test_class_folders_are_of_folders():
  with pytest.raises(UserError, match='`class_folders=index`: sample is no folder'):
    open_dataset('sample', class_folders='index')
