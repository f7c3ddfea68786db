"""Files of labels: what they mean, and what is refused."""

import json

import numpy as np
import pytest

from tfeval.datasets.labels import files, imagenet
from tfeval.datasets.labels.label_table import LabelTable
from tfeval.utils.errors import UserError

COUNT = 50_000
SPACE = imagenet.label_space()


def sets_of(found: LabelTable) -> list[list[int]]:
  values = found.values.tolist()
  return [[values.pop(0) for _ in range(size)] for size in found.sizes.tolist()]


def write(path, content):
  if isinstance(content, np.ndarray):
    np.save(path, content)
  elif isinstance(content, bytes):
    path.write_bytes(content)
  else:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
  return path


def test_real_json_as_published(shared_data):
  path = shared_data / 'real' / 'real.json'
  found = files.read_labels(path, SPACE)
  expected = json.loads(path.read_text())
  assert found.ids is None
  assert found.sizes.tolist() == list(map(len, expected))
  assert found.values.tolist() == [label for entry in expected for label in entry]
  assert np.count_nonzero(found.sizes) == 46_837


def test_a_list_of_classes_lists_and_nulls(tmp_path):
  content = [3, [1, 2], None, []] + [0] * (COUNT - 4)
  found = files.read_labels(write(tmp_path / 'x.json', content), SPACE)
  assert found.sizes[:5].tolist() == [1, 2, 0, 0, 1]
  assert found.values[:4].tolist() == [3, 1, 2, 0]


def test_an_object_by_file_name(tmp_path):
  found = files.read_labels(
    write(tmp_path / 'x.json', {'b': [999, 0], 'a': 7, 'c': []}), SPACE
  )
  assert found.ids.to_pylist() == ['b', 'a', 'c']
  assert sets_of(found) == [[999, 0], [7], []]


def test_npy(tmp_path):
  content = np.arange(COUNT) % 1000
  content[[0, 9]] = -1, -5
  found = files.read_labels(write(tmp_path / 'x.npy', content), SPACE)
  assert found.ids is None
  assert found.sizes.tolist() == (content >= 0).astype(int).tolist()
  assert found.values.tolist() == content[content >= 0].tolist()


def test_csv_makes_sets(tmp_path):
  lines = ['id,label,remark', 'b,7,x', 'a,n01440764,y', 'b,999,', 'c,,']
  found = files.read_labels(write(tmp_path / 'x.csv', '\n'.join(lines)), SPACE)
  assert found.ids.to_pylist() == ['b', 'a', 'c']
  assert sets_of(found) == [[7, 999], [0], []]


def test_csv_in_validation_order(tmp_path):
  lines = ['label', *map(str, range(999)), '""', *['7'] * 49_000]
  found = files.read_labels(write(tmp_path / 'x.csv', '\n'.join(lines) + '\n'), SPACE)
  assert found.ids is None
  assert found.values.tolist() == [*range(999), *[7] * 49_000]
  assert found.sizes.tolist() == [1] * 999 + [0] + [1] * 49_000


def test_repeated_classes_of_an_image_are_one(tmp_path):
  for name, text in (
    ('x.json', '{"a": [5, 3, 5], "b": 3}'),
    ('x.csv', 'id,label\na,5\nb,3\na,3\na,5\n'),
  ):
    found = files.read_labels(write(tmp_path / name, text), SPACE)
    assert found.values.tolist() == [5, 3, 3] and found.sizes.tolist() == [2, 1]


def test_every_wnid_of_a_csv(tmp_path):
  lines = [
    'id,label',
    *(f'i{i},{wnid}' for i, wnid in enumerate(imagenet.label_space().class_ids)),
  ]
  found = files.read_labels(write(tmp_path / 'x.csv', '\n'.join(lines)), SPACE)
  assert found.values.tolist() == list(range(1000))


@pytest.mark.parametrize(
  'name, content, said',
  [
    ('x.json', '', 'is not JSON'),
    ('x.json', b'\xff\xfe\x00', 'is not JSON'),
    ('x.json', '[' * 100_000, 'is not JSON'),
    ('x.json', '7', 'no list and no object'),
    ('x.json', [[1]], '1 entries, expected 50000'),
    ('x.json', [[1]] * (COUNT + 1), '50001 entries, expected 50000'),
    ('x.json', [[]] * COUNT, 'labels no image'),
    ('x.json', {}, 'labels no image'),
    ('x.json', '{"\\ud800": 1}', 'not UTF-8'),
    ('x.json', '{"a": 1, "a": 2}', 'double ids: a'),
    ('x.json', {'a': 1, 'b': [1, 1000]}, "the label of b is '1000'"),
    ('x.json', {'a': -1}, "the label of a is '-1'"),
    ('x.json', {'a': 1.5}, "the label of a is '1.5'"),
    ('x.json', {'a': True}, 'the entry of a is'),
    ('x.json', {'a': [True]}, 'the entry of a is'),
    ('x.json', {'a': 'tensh'}, "the label of a is 'tensh'"),
    ('x.json', {'a': {'b': 1}}, 'the entry of a is'),
    ('x.json', [[1], [2], [10**30]] + [[1]] * (COUNT - 3), '_val_00000003.JPEG is'),
    ('x.npy', b'', 'not a whole .npy'),
    ('x.npy', b'\x93NUMPY\x01\x00', 'not a whole .npy'),
    ('x.npy', np.zeros(COUNT), 'holds float64'),
    ('x.npy', np.zeros((COUNT, 2), int), 'expected whole numbers'),
    ('x.npy', np.zeros(COUNT - 1, int), '49999 entries'),
    ('x.npy', np.full(COUNT, -1), 'labels no image'),
    ('x.npy', np.arange(COUNT), '_val_00001001.JPEG is .1000.'),
    ('x.npy', np.array([[1], [2, 3]], object), 'never loaded'),
    ('x.csv', '', 'is not a CSV file'),
    ('x.csv', 'foo,bar,label\na,b,1', 'columns foo, bar, label, expected id and label'),
    ('x.csv', 'label\n1', 'has 1 entries, expected 50000'),
    ('x.csv', 'id,label\na,1,2', 'is not a CSV file'),
    ('x.csv', 'id,label\na,1000', "the label of a is '1000'"),
    ('x.csv', 'id,label\nb,3\na,-1', "the label of a is '-1'"),
    ('x.csv', 'id,label\na,1.5', "the label of a is '1.5'"),
    ('x.csv', 'id,label\na,', 'labels no image'),
    ('x.xls', 'id', 'expected original, real or the path'),
    ('original2', 'id', 'expected original, real or the path'),
  ],
  ids=str,
)
def test_files_that_are_refused(tmp_path, name, content, said):
  path = write(tmp_path / name, content)
  with pytest.raises(UserError, match=said) as error:
    files.read_labels(path, SPACE)
  assert str(path) in str(error.value)
  assert len(str(error.value).splitlines()) == 1 and len(str(error.value)) < 400


@pytest.mark.parametrize('name', ['x.json', 'x.npy', 'x.csv'])
def test_files_that_are_missing(tmp_path, name):
  with pytest.raises(UserError, match='cannot read labels'):
    files.read_labels(tmp_path / name, SPACE)
