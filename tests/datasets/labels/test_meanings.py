"""What texts of labels mean, which images ids mean, and the development kit's files."""

import itertools

import numpy as np
import pyarrow as pa
import pytest
import scipy.io

from tfeval.datasets.labels import devkit, files, imagenet, matlab, numbering
from tfeval.datasets.labels.matching import Matcher
from tfeval.datasets.labels.meanings import NOTHING, UNKNOWN, Meanings
from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.metrics.accuracy import LabelSets
from tfeval.utils.errors import UserError

IMAGENET = imagenet.label_space()
ANIMALS = LabelSpace('animals', ('cat', 'dog', 'Pug dog'), ('cat', 'dog', 'pug_dog'))
NUMBERED = LabelSpace('n', ('0', '1', '10', '2'), ('0', '1', '10', '2'))
PADDED = LabelSpace('p', ('01', '02', '03'), ('01', '02', '03'))


@pytest.mark.parametrize(
  'space, texts, expected',
  [
    (IMAGENET, ['0', '999', '1000', '-1', '1.5', ''], [0, 999, -2, -2, -2, -1]),
    (IMAGENET, ['65.0', '65.', '065', '65.000'], [65] * 4),
    (IMAGENET, ['n01440764', 'N01440764', ' n01440764 '], [0] * 3),
    (IMAGENET, ['n01440764_tench', 'n01440764 tench, Tinca'], [0, 0]),
    (IMAGENET, ['n014407640', 'n01440765', 'n0144076'], [-2] * 3),
    (IMAGENET, ['Great White Shark', 'great_white-shark'], [2, 2]),
    (IMAGENET, ['crane', 'maillot', '٣'], [-2, -2, -2]),
    (ANIMALS, ['cat', 'DOG', '2', 'pug dog', '3', 'bird'], [0, 1, 2, 2, -2, -2]),
    # All of them are ids: names of folders.
    (NUMBERED, ['0', '10', '2', '1'], [0, 2, 3, 1]),
    (NUMBERED, ['10.0', ''], [2, -1]),
    # Else indices.
    (NUMBERED, ['3', '0'], [3, 0]),
    (PADDED, ['1', '02', '3'], [0, 1, 2]),
    (PADDED, ['0', '1', '2'], [0, 1, 2]),
  ],
  ids=str,
)
def test_what_texts_mean(space, texts, expected):
  assert (NOTHING, UNKNOWN) == (-1, -2)
  assert Meanings(space).indices(pa.array(texts)).tolist() == expected


def test_every_class_by_each_of_its_names():
  meanings = Meanings(IMAGENET)
  every = list(range(1000))
  for texts in (
    map(str, every),
    IMAGENET.class_ids,
    [f'{i}_{n}' for i, n in zip(IMAGENET.class_ids, IMAGENET.class_names, strict=True)],
  ):
    assert meanings.indices(pa.array(texts)).tolist() == every
  by_name = meanings.indices(pa.array(IMAGENET.class_names))
  unique = [IMAGENET.class_names.count(name) == 1 for name in IMAGENET.class_names]
  assert by_name.tolist() == [i if one else UNKNOWN for i, one in enumerate(unique)]
  numbers = pa.array([str(i) for i in every])
  assert meanings.of_named(numbers, IMAGENET.class_names).tolist() == every


def test_a_name_of_two_classes_is_refused_with_both(tmp_path):
  (tmp_path / 'x.csv').write_text('id,label\na,crane\n')
  with pytest.raises(UserError, match="'crane', which 2 .* n02012849, n03126707"):
    files.read_labels(tmp_path / 'x.csv', IMAGENET)


def test_two_labels_of_an_image(tmp_path):
  for name, content in (
    ('x.txt', 'a.jpg 1\nb.jpg 2\na.jpg 3\n'),
    ('x.csv', 'a.jpg,1\nb.jpg,2\na.jpg,3\n'),
    ('x.lst', '0\t1\ta.jpg\n1\t2\tb.jpg\n2\t3\ta.jpg\n'),
  ):
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match='1 images have several .*: a.jpg: leave one'):
      files.read_labels(tmp_path / name, IMAGENET)
    (tmp_path / name).write_text(content.replace('3', '1'))
    assert files.read_labels(tmp_path / name, IMAGENET).values.tolist() == [1, 2]


def by_hand(listed, one):
  """Which of some ids one means, by the words of `Matcher`."""

  def parts(text):
    text = text.replace('\\', '/')
    folders, _, name = text.rpartition('/')
    stem, dot, suffix = name.rpartition('.')
    if not dot or suffix.lower() not in ('jpg', 'jpeg', 'png'):
      stem, suffix = name, ''
    suffix = suffix.lower().replace('jpeg', 'jpg')
    return folders.rpartition('/')[2], bool(folders), stem, suffix

  if one in listed:
    return listed.index(one)
  folder, has_folder, stem, suffix = parts(one)
  others = [parts(other) for other in listed]
  same = [i for i, o in enumerate(others) if (o[0], o[2]) == (folder, stem) and o[1]]
  if not has_folder or len(same) != 1:
    same = [i for i, o in enumerate(others) if o[2] == stem]
    same = same if len(same) == 1 else []
    if same and has_folder and others[same[0]][1]:
      same = []
  if not same or (suffix and others[same[0]][3] and suffix != others[same[0]][3]):
    return -1
  return same[0]


def test_ids_are_matched_as_by_hand():
  ids = [
    f'{folder}{stem}{suffix}'
    for folder in ('', 'x/', 'y/', 'w/x/', 'z\\x\\')
    for stem in ('a', 'b', 'a.b')
    for suffix in ('', '.jpg', '.JPEG', '.png')
  ]
  rng = np.random.default_rng(0)
  for size in [0, 1, 2, 3, 5, 9] * 20:
    listed = rng.permutation(ids)[:size].tolist()
    expected = [by_hand(listed, one) for one in ids]
    found = Matcher(pa.array(listed, pa.string())).places(pa.array(ids))
    assert found.tolist() == expected, listed


def ground_truth(folder, ids):
  path = folder / 'ground_truth.txt'
  path.write_text(''.join(f'{one}\n' for one in ids))
  return path


def write_meta(folder, wnids):
  synsets = np.zeros((len(wnids), 1), [('ILSVRC2012_ID', object), ('WNID', object)])
  for n, wnid in enumerate(wnids):
    synsets[n, 0] = (float(n + 1), wnid)
  scipy.io.savemat(folder / 'meta.mat', {'synsets': synsets})


def test_the_development_kit(shared_data):
  path = shared_data / 'devkit' / 'ILSVRC2012_validation_ground_truth.txt'
  found = files.read_labels(path, IMAGENET)
  assert found.values.tolist() == list(imagenet.original_validation_labels())
  kit = matlab.read_ilsvrc_ids(path.with_name('meta.mat'))
  by_id = sorted(zip(imagenet.ilsvrc_ids(), IMAGENET.class_ids, strict=True))
  assert [(n, kit[n]) for n in range(1, 1001)] == by_id


def test_ids_of_the_development_kit_by_its_own_table(tmp_path):
  ids = [n % 1000 + 1 for n in range(50_000)]
  path = ground_truth(tmp_path, ids)
  packaged = {n: index for index, n in enumerate(imagenet.ilsvrc_ids())}
  found = files.read_labels(path, IMAGENET).values.tolist()
  assert found == [packaged[n] for n in ids]
  write_meta(tmp_path, IMAGENET.class_ids[::-1])
  found = files.read_labels(path, IMAGENET).values.tolist()
  assert found == [1000 - n for n in ids]
  write_meta(tmp_path, IMAGENET.class_ids[:999])
  with pytest.raises(UserError, match='no class of ILSVRC2012 with the id 1000'):
    files.read_labels(path, IMAGENET)
  (tmp_path / 'meta.mat').write_bytes(b'MATLAB')
  with pytest.raises(UserError, match='is not meta.mat of a development kit'):
    files.read_labels(path, IMAGENET)


def test_fifty_thousand_indices_are_no_ids(tmp_path):
  for labels in (
    [n % 1000 for n in range(50_000)],
    [n % 999 + 1 for n in range(50_000)],
  ):
    found = files.read_labels(ground_truth(tmp_path, labels), IMAGENET)
    assert found.values.tolist() == labels


def test_numbers_from_1_by_name_are_refused_with_the_counts(tmp_path):
  ids = imagenet.ilsvrc_ids()
  truth = imagenet.original_validation_labels()[:3000]
  for labels, said in (
    ([label + 1 for label in truth], '3,000 of 3,000 are right'),
    ([ids[label] for label in truth], r'kit \(3,000 of 3,000\)'),
  ):
    lines = [f'{imagenet.validation_name(n + 1)},{v}' for n, v in enumerate(labels)]
    (tmp_path / 'x.csv').write_text('id,label\n' + '\n'.join(lines))
    with pytest.raises(
      UserError, match=f"is '1000', expected .* 1 to 1000 are .*{said}"
    ):
      files.read_labels(tmp_path / 'x.csv', IMAGENET)
  entries, _ = files.read_entries(tmp_path / 'x.csv', lambda texts: True)
  assert devkit.hint(entries, ANIMALS) == ''


def test_numberings_of_other_spaces_add_up():
  rng = np.random.default_rng(0)
  truth = rng.integers(0, 4, 600)
  hit = np.where(rng.random(600) < 0.9, truth, rng.integers(0, 4, 600))
  by_value = np.argsort([0, 1, 3, 2])  # 0, 1, 2, 10 in place of 0, 1, 10, 2
  labels = by_value[truth]
  whole, parts = (numbering.NumberingCounts(NUMBERED) for _ in range(2))
  whole.add(hit, LabelSets.from_single(labels))
  for start, stop in itertools.pairwise((0, 100, 101, 600)):
    parts.add(hit[start:stop], LabelSets.from_single(labels[start:stop]))
  assert whole.others == parts.others and whole.count == parts.count == 600
  assert whole.others['number'] == int(np.sum(hit == truth))
  # Two of the four classes are the same under both.
  assert whole.found() == parts.found() == 'number'
  right = numbering.NumberingCounts(NUMBERED)
  right.add(hit, LabelSets.from_single(truth))
  assert right.remark() is None


def test_predictions_in_another_order_are_told():
  truth = np.random.default_rng(0).integers(0, 10, 100)
  names = tuple('Apple Cherry Elder banana date fig grape hazel ice jam'.split())
  lower = np.argsort([name.lower() for name in names])
  counts = numbering.NumberingCounts(LabelSpace('fruit', names, names))
  counts.add(np.argsort(lower)[truth], LabelSets.from_single(truth))
  assert 'class order, name_lower_case: ' in counts.remark()
  assert counts.remark().endswith('100 in that order')


def test_indices_from_1_in_place_of_ids_are_told(tmp_path):
  truth = imagenet.original_validation_labels()
  path = ground_truth(tmp_path, [label + 1 for label in truth])
  table = files.read_labels(path, IMAGENET)
  counts = numbering.NumberingCounts(IMAGENET)
  counts.add(np.array(truth), LabelSets(table.values, table.sizes))
  assert 'indices 1 to 1000, not ids of the development kit: ' in counts.remark()
  assert '50,000 if they are indices 1 to 1000' in counts.remark()
