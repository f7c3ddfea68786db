"""Label sets matched by ids; ids of validation images; subsets."""

import json

import numpy as np
import pyarrow as pa
import pytest

from tfeval.datasets.labels import files, imagenet, subsets
from tfeval.datasets.labels import sets as label_sets
from tfeval.datasets.labels.label_table import LabelTable
from tfeval.utils.errors import UserError

SPACE = imagenet.label_space()
NAMES = [imagenet.validation_name(n) for n in (1, 7, 50_000, 1234)] + [
  'ILSVRC2012_val_00000000.JPEG',
  'ILSVRC2012_val_00050001.JPEG',
  'cat.jpg',
  '',
  'ilsvrc2012_VAL_00000012.jpeg',
  'ILSVRC2012_val_0000001:.JPEG',
  'ILSVRC2012_val_0000001/.JPEG',
  'ILSVRC2012-val_00000001.JPEG',
  'é' * 14,
  'x/ILSVRC2012_val_00000001.JPEG',
  'ILSVRC2012_val_٠0000012.JPEG',
]


def lists(found) -> list[list[int]]:
  ends = np.cumsum(found.sizes)
  return [
    found.values[end - size : end].tolist()
    for end, size in zip(ends, found.sizes, strict=True)
  ]


def test_validation_numbers_one_by_one():
  ids = pa.array(NAMES)
  expected = [imagenet.validation_number(name) or 0 for name in NAMES]
  # The last is a digit for a regular expression, and none in the name of a file.
  expected[-1] = 0
  assert label_sets.validation_numbers(ids).tolist() == expected
  assert label_sets.validation_numbers(ids[3:9]).tolist() == expected[3:9]
  assert label_sets.validation_numbers(ids[6:8]).tolist() == [0, 0]
  assert label_sets.validation_numbers(ids[:0]).tolist() == []


def test_match_by_validation_order(shared_data):
  path = shared_data / 'real' / 'real.json'
  by_number = json.loads(path.read_text())
  numbers = np.random.default_rng(0).integers(1, 50_001, 1000).tolist()
  ids = [imagenet.validation_name(n) for n in numbers] + ['cat.jpg']
  found = label_sets.match(files.read_labels(path, SPACE), pa.array(ids))
  assert lists(found) == [by_number[n - 1] for n in numbers] + [[]]


def test_match_by_name():
  rng = np.random.default_rng(1)
  truth = {
    f'i{i}': rng.integers(0, 1000, rng.integers(0, 4)).tolist() for i in range(300)
  }
  file = LabelTable(
    pa.array(list(truth)),
    np.array(sum(truth.values(), []), np.int32),
    np.array(list(map(len, truth.values()))),
    '',
  )
  ids = rng.permutation([*truth, *(f'j{i}' for i in range(9))]).tolist()
  for rows in (pa.array(ids), pa.chunked_array([ids[:100], ids[100:]])):
    assert lists(label_sets.match(file, rows)) == [truth.get(name, []) for name in ids]


def test_ids_that_nobody_knows_are_named():
  def file(*names):
    return label_sets.LabelSource(
      'x',
      LabelTable(
        pa.array(names),
        np.zeros(len(names), np.int32),
        np.ones(len(names), np.int64),
        '',
      ),
      'x.csv',
    )

  ids = pa.array(['a', 'b'])
  label_sets.check_ids(file('a', imagenet.validation_name(3)), ids, 'RUN')
  label_sets.check_ids(label_sets.LabelSource('original'), ids, 'RUN')
  with pytest.raises(UserError, match=r'x.csv: 12 of its 13 ids .*: c0, .*c9, \.\.\.'):
    label_sets.check_ids(file('a', *(f'c{i}' for i in range(12))), ids, 'RUN')


def part(label, real=None):
  return pa.table(
    {
      'id': [imagenet.validation_name(n + 1) for n in range(len(label))],
      'label': pa.array(label, pa.int32()),
      'real_labels': pa.array(real or [None] * len(label), pa.list_(pa.int32())),
    }
  )


def test_original_is_what_rows_carry_else_the_packaged_list():
  (original,) = label_sets.open_labels(['original'])
  truth = imagenet.original_validation_labels()
  assert lists(original.of_rows(part([5, None]))) == [[5], [truth[1]]]
  assert lists(original.of_rows(part([None, None]))) == [[truth[0]], [truth[1]]]


def test_real_is_what_rows_carry():
  (real,) = label_sets.open_labels(['real'])
  assert lists(real.of_rows(part([5, 6, 7], [[1, 2], [], None]))) == [[1, 2], [], []]


def test_names_of_files(tmp_path):
  for name in ('real.json', 'fixed.v2.json', 'original.json'):
    (tmp_path / name).write_text('{"a": 1}')
  found = label_sets.open_labels(
    ['original', str(tmp_path / 'real.json'), str(tmp_path / 'fixed.v2.json')]
  )
  assert [one.name for one in found] == ['original', 'real', 'fixed.v2']
  with pytest.raises(UserError, match='two sets are called real'):
    label_sets.open_labels(['real', str(tmp_path / 'real.json')])
  with pytest.raises(UserError, match='rename the file'):
    label_sets.open_labels([str(tmp_path / 'original.json')])


def test_ids_of_a_subset(tmp_path):
  ids = pa.array(['a', 'b', 'c d', 'é'])
  for name, content in (('x', 'b\r\né\n\nb\n'), ('x.json', '["é", "b"]')):
    (tmp_path / name).write_text(content)
    path = str(tmp_path / name)
    keep = subsets.open_subset(path, None)
    omit = subsets.open_subset(None, path)
    assert keep.mask(ids).tolist() == [False, True, False, True]
    assert omit.mask(ids).tolist() == [True, False, True, False]
    assert not subsets.open_subset(path, path).mask(ids).any()
    keep.check(ids, 'RUN')
  assert subsets.open_subset(None, None) is None


def test_ids_of_a_subset_that_are_unknown(tmp_path):
  (tmp_path / 'x').write_text('\n'.join(f'i{i:02d}' for i in range(12)) + '\na\n')
  subset = subsets.open_subset(None, str(tmp_path / 'x'))
  with pytest.raises(UserError, match='`omit`: 12 of 13 ids are none') as error:
    subset.check(pa.array(['a', 'b']), 'RUN')
  assert 'i00' in str(error.value) and 'i09, ...' in str(error.value)
  assert 'i10' not in str(error.value)


@pytest.mark.parametrize(
  'name, content, said',
  [
    ('x', b'', 'lists no ids'),
    ('x', b'\n \n', 'lists no ids'),
    ('x', b'\xff', 'is not text'),
    ('x.json', b'{"a": 1}', 'is not a list of ids'),
    ('x.json', b'[1]', 'is not a list of ids'),
    ('x.json', b'[]', 'lists no ids'),
    ('x.json', b'["\\ud800"]', 'not UTF-8'),
    ('x.json', b'[', 'is not JSON'),
  ],
)
def test_lists_that_are_none(tmp_path, name, content, said):
  (tmp_path / name).write_bytes(content)
  with pytest.raises(UserError, match=said):
    subsets.open_subset(str(tmp_path / name), None)
  with pytest.raises(UserError, match='cannot read'):
    subsets.open_subset(str(tmp_path / 'missing'), None)


def test_select():
  rng = np.random.default_rng(2)
  sets = [rng.integers(0, 9, rng.integers(0, 3)).tolist() for _ in range(50)]
  inside = rng.random(50) < 0.5
  found = subsets.select(
    label_sets.LabelSets(np.array(sum(sets, [])), np.array(list(map(len, sets)))),
    inside,
  )
  assert lists(found) == [one for one, i in zip(sets, inside, strict=True) if i]


@pytest.mark.parametrize('size', [1, 3, 6, 12])
def test_original_labels_do_not_depend_on_parts(size):
  rows = part([5, None, 7, 8, 9, 10] + [None] * 6)
  (original,) = label_sets.open_labels(['original'])
  found = [
    label
    for start in range(0, 12, size)
    for label in lists(original.of_rows(rows.slice(start, size)))
  ]
  packaged = imagenet.original_validation_labels()
  stored = {0: 5, 2: 7, 3: 8, 4: 9, 5: 10}
  assert found == [[stored.get(i, packaged[i])] for i in range(12)]
