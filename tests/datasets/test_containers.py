"""Containers: the same photos, ids and labels as a folder, from any position on."""

import container_writers as writers
import numpy as np
import pytest
import tensorflow as tf
from container_writers import LABELS, NAMES, PHOTOS, rows

from tfeval.datasets import open_dataset
from tfeval.datasets.labels import imagenet

SPACE = imagenet.label_space()


def halves(root, write, pattern):
  """Writes photos into two files; `write` is given a path and what belongs there."""
  for number, part in enumerate((slice(0, 9), slice(9, None))):
    write(root / pattern.format(number), PHOTOS[part], LABELS[part])
  return root


def write_classes(root):
  for (name, content), label in zip(PHOTOS, LABELS, strict=True):
    path = root / NAMES[label] / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
  return root


def slim(path, photos, labels):
  texts = [NAMES[label] for label in labels]
  writers.write_records(
    path, writers.slim(photos, [n + 1 for n in labels], image__class__synset=texts)
  )


def write_all(root):
  """Writes PHOTOS in each container; returns the names of the datasets."""
  named = [NAMES[label] for label in LABELS]
  parquet = writers.write_parquet
  options = {'names': NAMES, 'row_group_size': 4}
  made = {
    'parquet': halves(root / 'a', lambda *a: parquet(*a, **options), '{}.parquet'),
    'parquet ': halves(
      root / 'b',
      lambda *a: parquet(*a, **options, compression='none', use_dictionary=False),
      'data/validation-{:05d}-of-00002.parquet',
    ),
    'webdataset': halves(root / 'c', writers.write_shard, '{:03d}.tar'),
    'tfrecord': halves(root / 'd', slim, 'validation-{:05d}-of-00002'),
  }
  writers.write_shard(root / 'e.tar', PHOTOS, named)
  (root / 'names.txt').write_text('\n'.join(NAMES))
  found = {kind: f'{kind.strip()}:{place}' for kind, place in made.items()}
  found['webdataset'] += f'/{{000..001}}.tar:classes={root}/names.txt'
  return found | {'names in a shard': f'webdataset:{root}/e.tar'}


@pytest.fixture(scope='module')
def same(tmp_path_factory):
  """PHOTOS as a folder of classes, and in each container."""
  root = tmp_path_factory.mktemp('same')
  found = {name: open_dataset(text) for name, text in write_all(root).items()}
  return open_dataset(f'folder:{write_classes(root / "folder")}'), found


KINDS = ('parquet', 'parquet ', 'webdataset', 'tfrecord', 'names in a shard')


@pytest.mark.parametrize('kind', KINDS)
def test_all_is_as_in_a_folder(same, kind):
  folder, found = same[0], same[1][kind]
  assert found.label_space.class_ids == folder.label_space.class_ids == NAMES
  assert found.num_examples == len(PHOTOS)
  assert found.competing is None
  assert list(found.expected_ids) == list(folder.expected_ids)
  assert rows(found.examples()) == rows(folder.examples())


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('start, stop', [(0, 1), (3, 9), (8, 10), (9, 23), (22, 23)])
def test_ranges(same, kind, start, stop):
  folder, found = same[0], same[1][kind]
  expected = rows(folder.examples(start, stop))
  assert rows(found.examples(start, stop)) == expected
  # As tensors of a graph, several after each other.
  ranges = tf.data.Dataset.from_tensor_slices(
    (np.array([start, 5], np.int64), np.array([stop, 11], np.int64))
  )
  expected += rows(folder.examples(5, 11))
  assert rows(ranges.flat_map(found.examples)) == expected


@pytest.mark.parametrize('kind', KINDS)
def test_every_nth(same, kind):
  folder, found = same[0], same[1][kind]
  if kind == 'tfrecord':
    assert found.strided is None
  else:
    assert rows(found.strided(5)) == rows(folder.strided(5))


def test_photos_of_the_validation_set(photos, tmp_path):
  folder = open_dataset(f'folder:{photos}')
  found = [(name, (photos / name).read_bytes()) for name in folder.expected_ids]
  truth = imagenet.original_validation_labels()[: len(found)]
  jpg = [(name.replace('.JPEG', '.jpg'), content) for name, content in found]
  wnid = [
    (name.replace('.JPEG', f'_{SPACE.class_ids[label]}.JPEG'), content)
    for (name, content), label in zip(found, truth, strict=True)
  ]
  writers.write_shard(tmp_path / '0.tar', jpg, truth)
  writers.write_parquet(tmp_path / '0.parquet', wnid, truth, SPACE.class_ids)
  writers.write_records(
    tmp_path / '0.tfrecord', writers.slim(found, [n + 1 for n in truth])
  )
  for name in ('webdataset', 'parquet', 'tfrecord'):
    dataset = open_dataset(f'{name}:{tmp_path}')
    assert dataset.label_space is SPACE
    assert dataset.competing is None
    assert '12 of the 50000 validation images' in dataset.notes
    assert rows(dataset.examples()) == rows(folder.examples())
