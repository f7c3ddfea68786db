"""Class order, validation labels, ReaL labels and the class order check."""

import csv
import importlib.util
import json
import pathlib
import types

import numpy as np
import pytest
import scipy.io

from tfeval.datasets.labels import imagenet
from tfeval.utils.errors import UserError


@pytest.fixture(scope='module')
def ilsvrc_wnids(shared_data) -> dict[int, str]:
  """The wnid of each ILSVRC2012 id, from the development kit's `meta.mat`."""
  synsets = scipy.io.loadmat(shared_data / 'devkit' / 'meta.mat', squeeze_me=True)[
    'synsets'
  ]
  return {
    int(s['ILSVRC2012_ID']): str(s['WNID'])
    for s in synsets
    if int(s['num_children']) == 0
  }


def tfds_folder() -> pathlib.Path:
  found = importlib.util.find_spec('tensorflow_datasets')
  return pathlib.Path(found.submodule_search_locations[0]) / 'datasets' / 'imagenet2012'


# Classes


def test_classes_stand_in_the_order_of_tfds():
  assert imagenet.label_space().class_ids == tuple(
    (tfds_folder() / 'labels.txt').read_text().split()
  )


def test_classes_stand_in_the_order_keras_predicts_in(shared_data):
  lines = (shared_data / 'devkit' / 'synset_words.txt').read_text().splitlines()
  assert imagenet.label_space().class_ids == tuple(line.split()[0] for line in lines)


def test_names(shared_data):
  with open(shared_data / 'class_names.tsv', encoding='utf-8') as file:
    rows = list(csv.DictReader(file, delimiter='\t'))
  space = imagenet.label_space()
  assert [(int(r['index']), r['wnid'], r['name']) for r in rows] == list(
    zip(range(1000), space.class_ids, space.class_names, strict=True)
  )


def test_ilsvrc_ids(shared_data, ilsvrc_wnids):
  wnids = imagenet.label_space().class_ids
  assert dict(zip(imagenet.ilsvrc_ids(), wnids, strict=True)) == ilsvrc_wnids
  lines = (shared_data / 'devkit' / 'ilsvrc_ids.tsv').read_text().splitlines()[1:]
  assert {int(number): wnid for number, wnid in map(str.split, lines)} == ilsvrc_wnids


def test_index_of_id():
  table = imagenet.label_space()
  assert len(table.index_of_id) == 1000
  assert all(table.class_ids[i] == wnid for wnid, i in table.index_of_id.items())


# Validation images


@pytest.mark.parametrize(
  'name, number',
  [
    ('ILSVRC2012_val_00000001.JPEG', 1),
    ('ILSVRC2012_val_00050000.JPEG', 50_000),
    ('ilsvrc2012_VAL_00000012.jpeg', 12),
    ('ILSVRC2012_val_00000000.JPEG', None),
    ('ILSVRC2012_val_00050001.JPEG', None),
    ('ILSVRC2012_val_0000001.JPEG', None),
    ('ILSVRC2012_val_00000001.JPEG.png', None),
    ('x/ILSVRC2012_val_00000001.JPEG', None),
    ('', None),
  ],
)
def test_validation_number(name, number):
  assert imagenet.validation_number(name) == number


def test_validation_name_and_number_agree():
  assert all(
    imagenet.validation_number(imagenet.validation_name(n)) == n
    for n in range(1, 50_001)
  )


def test_original_labels_are_the_ground_truth(shared_data, ilsvrc_wnids):
  truth = shared_data / 'devkit' / 'ILSVRC2012_validation_ground_truth.txt'
  index = {wnid: i for i, wnid in enumerate(sorted(ilsvrc_wnids.values()))}
  expected = [index[ilsvrc_wnids[int(line)]] for line in truth.read_text().split()]
  assert list(imagenet.original_validation_labels()) == expected
  assert len(expected) == 50_000
  assert set(np.bincount(expected, minlength=1000)) == {50}


@pytest.mark.parametrize('content', [None, '', 'n01440764\n' * 49_999])
def test_original_labels_refuse_another_list(tmp_path, monkeypatch, content):
  found = types.SimpleNamespace(submodule_search_locations=[str(tmp_path)])
  monkeypatch.setattr(importlib.util, 'find_spec', lambda name: found)
  folder = tmp_path / 'datasets' / 'imagenet2012'
  folder.mkdir(parents=True)
  if content is not None:
    (folder / 'validation_labels.txt').write_text(content)
  with pytest.raises(UserError, match='reinstall tensorflow-datasets'):
    imagenet.original_validation_labels.__wrapped__()


def test_original_labels_without_tfds(monkeypatch):
  monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
  with pytest.raises(UserError, match='tensorflow-datasets is not installed'):
    imagenet.original_validation_labels.__wrapped__()


# ReaL labels


def test_real_labels_as_published(shared_data):
  path = shared_data / 'real' / 'real.json'
  real = imagenet.load_real_labels(path)
  assert len(real) == 50_000
  assert sum(not entry for entry in real) == 3163
  assert [list(entry) for entry in real] == json.loads(path.read_text())


def real_json(*entries) -> str:
  """50,000 entries, of which the first are given and the others empty."""
  return json.dumps([*entries, *[[]] * (50_000 - len(entries))])


def test_real_labels_at_the_ends_of_the_range(tmp_path):
  path = tmp_path / 'real.json'
  path.write_text(real_json([0], [999, 0], []))
  assert imagenet.load_real_labels(path)[:4] == ((0,), (999, 0), (), ())


@pytest.mark.parametrize(
  'entry',
  [
    7,
    None,
    'tench',
    {'0': 1},
    [-1],
    [1000],
    [1.0],
    [True],
    ['1'],
    [[1]],
    [None],
    [3, 4, 10**30],
    [0.5],
  ],
)
def test_real_labels_refuse_an_entry(tmp_path, entry):
  path = tmp_path / 'real.json'
  path.write_text(real_json([1], [2, 3], entry))
  with pytest.raises(UserError, match='entry of image 3 ') as error:
    imagenet.load_real_labels(path)
  assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
  'content, said',
  [
    (b'', 'is not JSON'),
    (b'[[1], [2]', 'is not JSON'),
    (b'\xff\xfe', 'is not JSON'),
    (b'[' * 200_000, 'is not JSON'),
    (b'[[' + b'9' * 5000 + b']]', 'is not JSON'),
    (b'[[NaN]]', 'is not JSON: it has NaN'),
    (b'7', 'no list'),
    (b'null', 'no list'),
    (b'"real"', 'no list'),
    (b'{}', '0 entries'),
    (b'[[1], [2]]', '2 entries'),
    (json.dumps([[]] * 49_999).encode(), '49999 entries'),
    (json.dumps([[]] * 50_001).encode(), '50001 entries'),
    (json.dumps({str(n): [] for n in range(50_000)}).encode(), '50000 entries'),
  ],
  ids=lambda value: None if isinstance(value, str) else str(value[:12]),
)
def test_real_labels_refuse_a_file(tmp_path, content, said):
  path = tmp_path / 'real.json'
  path.write_bytes(content)
  with pytest.raises(UserError, match=said) as error:
    imagenet.load_real_labels(path)
  assert str(path) in str(error.value)
  assert len(str(error.value).splitlines()) == 1


def test_real_labels_that_cannot_be_read(tmp_path):
  with pytest.raises(UserError, match='cannot read ReaL labels'):
    imagenet.load_real_labels(tmp_path / 'missing.json')
  with pytest.raises(UserError, match='is a directory'):
    imagenet.load_real_labels(tmp_path)


# Class order
