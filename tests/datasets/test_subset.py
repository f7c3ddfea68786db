"""Samples by id: nested, and the same whatever the order."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tfeval import datasets
from tfeval.datasets import base, sampling, subset
from tfeval.datasets.base import ImageDataset
from tfeval.datasets.labels import imagenet
from tfeval.utils.errors import DataError, UserError


def dataset_of(names):
  def examples(start=0, stop=None):
    stop = len(names) if stop is None else stop
    found = tf.data.Dataset.from_tensor_slices(
      {'id': names, 'image': names, 'label': np.arange(len(names))}
    )
    return found.skip(start).take(tf.cast(stop, tf.int64) - tf.cast(start, tf.int64))

  return ImageDataset(
    'made', None, None, '', imagenet.label_space(), len(names), examples
  )


NAMES = [f'photo {i}' for i in range(200)]


def ids(dataset, *range_):
  return [one['id'].numpy().decode() for one in dataset.examples(*range_)]


def test_a_smaller_sample_lies_within_a_larger_one_in_any_order():
  whole = dataset_of(NAMES)
  shuffled = dataset_of(list(np.random.default_rng(0).permutation(NAMES)))
  before = set()
  for size in ('1', '10', '0.25', '100', '200'):
    found = ids(subset.sample(whole, size))
    assert len(found) == sampling.count_of(size, 200) == len(set(found))
    assert set(found) == set(ids(subset.sample(shuffled, size)))
    assert before <= set(found)
    assert found == sorted(found, key=NAMES.index)
    before = set(found)


def test_images_in_another_order_than_the_ids_that_are_expected(tmp_path):
  """As of TFDS, which stores validation images by hashes of their names."""
  stored = list(np.random.default_rng(0).permutation(NAMES))
  whole = dataclasses.replace(dataset_of(stored), expected_ids=NAMES)
  (tmp_path / 'ids.txt').write_text('photo 7\nphoto 3\nphoto 111\n')
  for found in (
    subset.sample(whole, '30'),
    subset.only(whole, str(tmp_path / 'ids.txt')),
  ):
    read = ids(found)
    assert read == found.expected_ids == sorted(read, key=stored.index)
    base.check_coverage(found, read, [])
  assert set(read) == {'photo 3', 'photo 7', 'photo 111'}
  assert set(ids(subset.sample(whole, '30'))) == set(
    ids(subset.sample(dataset_of(NAMES), '30'))
  )
  with pytest.raises(DataError, match='1 expected examples are missing'):
    subset.sample(dataclasses.replace(whole, expected_ids=[*NAMES[:-1], 'x']), '30')


def test_ranges_of_a_sample():
  sampled = subset.sample(dataset_of(NAMES), '30')
  every = ids(sampled)
  for start, stop in ((0, 30), (0, 7), (7, 30), (29, 30), (30, 30)):
    assert ids(sampled, start, stop) == every[start:stop]
  inside = tf.data.Dataset.from_tensors((tf.constant(5, tf.int64), 12)).flat_map(
    lambda start, stop: sampled.examples(start, tf.cast(stop, tf.int64))
  )
  assert [one['id'].numpy().decode() for one in inside] == every[5:12]


@pytest.mark.parametrize('size', ['0', '-1', '1.5', '0.0', 'ten', '', 'nan', '1e3.'])
def test_sizes_that_are_none(size):
  with pytest.raises(UserError, match='expected how many examples'):
    subset.sample(dataset_of(NAMES), size)


def test_more_than_there_are_and_both_are_refused(noise):
  with pytest.raises(UserError, match='made has 200 examples'):
    subset.sample(dataset_of(NAMES), '201')
  with pytest.raises(UserError, match='both given'):
    datasets.open_dataset(f'folder:{noise}', sample='3', limit=3)


def test_a_sample_of_a_folder(noise):
  found = datasets.open_dataset(f'folder:{noise}', sample='0.5')
  assert found.num_examples == 5 == len(ids(found)) == len(found.expected_ids)
  assert set(ids(found)) == set(found.expected_ids)
  described = found.describe()
  assert described['partial'] and described['sample'] == '0.5'
  assert 'a sample of 5 of 10 examples, by id' in described['notes']


def test_images_that_a_list_names(tmp_path, noise):
  whole = dataset_of(NAMES)
  listed = tmp_path / 'ids.txt'
  listed.write_text('photo 7\nphoto 3\nphoto 111\n')
  found = subset.only(whole, str(listed))
  assert ids(found) == ['photo 3', 'photo 7', 'photo 111']
  assert found.num_examples == 3 and '3 of 200 examples' in found.notes[-1]
  for text, why in (
    ('photo 3\nphoto 200\n', '1 of 2 ids are none of the 200 images: photo 200'),
    ('photo 3\nphoto 3\n', '1 ids twice'),
    ('', 'no ids|empty|no images'),
  ):
    listed.write_text(text)
    with pytest.raises(UserError, match=why):
      subset.only(whole, str(listed))
  with pytest.raises(UserError, match='both given'):
    datasets.open_dataset(f'folder:{noise}', sample='3', only=str(listed))
