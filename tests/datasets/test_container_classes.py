"""Labels in containers: what numbers count from, and which classes names mean."""

import pathlib

import numpy as np
import pytest

from tfeval.datasets.containers import class_names, classes, proofs
from tfeval.datasets.containers.locations import Location
from tfeval.datasets.labels import imagenet
from tfeval.utils.errors import UserError

SPACE = imagenet.label_space()
TRUTH = np.array(imagenet.original_validation_labels())
FILES = [f'{n}.jpg' for n in range(2000)]


def location(**options):
  return Location('npz', '/a/photos', (pathlib.Path('/a/photos'),), '', **options)


def of_numbers(numbers, images=FILES, *rest, **options):
  numbers = np.array(numbers, np.int64)
  return classes.of_numbers(
    location(**options), list(images)[: len(numbers)], numbers, *rest
  )


def validation(count):
  return [imagenet.validation_name(n + 1) for n in range(count)]


def test_numbers_of_validation_images_are_proven():
  ids = np.array(imagenet.ilsvrc_ids())
  for numbers, note in (
    (TRUTH[:40], None),
    (TRUTH[:40] + 1, 'labels count from 1, as names of images prove'),
    (ids[TRUTH[:40]], 'labels count ILSVRC ids, as names of images prove'),
  ):
    found = of_numbers(numbers, validation(40))
    assert found.space is SPACE
    assert found.competing is None
    assert np.array_equal(found.labels, TRUTH[:40])
    assert found.notes == ((note,) if note else ())


def test_one_wrong_label_of_many_is_told():
  numbers = TRUTH[:40].copy()
  numbers[7] += 1
  with pytest.raises(UserError, match='39 of 40 labels are the classes that the names'):
    of_numbers(numbers, validation(40))
  with pytest.raises(UserError, match='0 of 40 labels are the classes'):
    of_numbers(TRUTH[:40] + 1, validation(40), first_label=0)


def test_a_wnid_in_the_name_proves_as_well():
  images = [f'{wnid}_{n}.JPEG' for n, wnid in enumerate(SPACE.class_ids[10:20])]
  found = of_numbers(np.arange(10, 20) + 1, images, None, None)
  assert (found.space, found.labels.tolist()) == (SPACE, list(range(10, 20)))


@pytest.mark.parametrize('first', [0, 1])
def test_numbers_of_some_classes(first):
  """As in Imagenette: ten classes, 0 to 9 in the order of their wnids."""
  chosen = [0, 217, 482, 491]
  classes_of = [chosen[n % 4] for n in range(9)]
  images = [f'{SPACE.class_ids[c]}_{n}.JPEG' for n, c in enumerate(classes_of)]
  numbers = [n % 4 + first for n in range(9)]
  found = of_numbers(numbers, images, None, None)
  assert (found.space, found.labels.tolist()) == (SPACE, classes_of)
  assert found.competing == chosen
  assert f'from {first} those that occur' in found.notes[0]
  numbers[5], numbers[6] = numbers[6], numbers[5]
  with pytest.raises(UserError, match='7 of 9 labels are the classes'):
    of_numbers(numbers, images, None, None)


def test_wnids_of_a_larger_set_prove_nothing():
  images = ['n01443537_1.JPEG', 'n00000001_1.JPEG']
  assert proofs.known_classes(images).tolist() == [-1, -1]
  assert of_numbers([0, 1], images).space.class_ids == ('0', '1')


def test_numbers_that_nothing_proves():
  found = of_numbers([0, 2, 1])
  assert found.space.class_ids == ('0', '1', '2')
  assert found.notes[0].startswith('labels are 0 to 2, which nothing names')
  # Where they may count from one it is asked for, unless they end with 1000.
  with pytest.raises(UserError, match='labels are 3 to 5, which does not tell'):
    of_numbers([3, 4, 5], FILES, None, None)
  for first in (0, 1):
    found = of_numbers([3, 4, 5], FILES, None, None, first_label=first)
    assert found.space.class_ids[found.labels[0]] == '3'
    assert len(found.space) == 6 - first
  found = of_numbers([1, 1000], FILES, None, None)
  assert (found.space, found.labels.tolist()) == (SPACE, [0, 999])
  found = of_numbers([5, 999])
  assert (found.space, found.labels.tolist()) == (SPACE, [5, 999])
  assert 'taken for the classes of ILSVRC2012' in found.notes[0]
  found = of_numbers([5, 9], classes='imagenet')
  assert (found.space, found.labels.tolist()) == (SPACE, [5, 9])
  with pytest.raises(UserError, match='1 labels outside of the classes: 0 of 0.jpg'):
    of_numbers([0, 4], first_label=1)


def test_names_of_numbers():
  found = of_numbers([0, 2, 1], FILES, ['b', 'a', 'c'])
  assert (found.space.class_ids, found.labels.tolist()) == (('b', 'a', 'c'), [0, 2, 1])
  wnids = ['n01443537', 'n01440764']
  found = of_numbers([0, 1, 1], FILES, wnids)
  assert (found.space, found.labels.tolist()) == (SPACE, [1, 0, 0])
  assert found.competing == [0, 1]
  with pytest.raises(UserError, match='1 labels are not the classes that the names'):
    of_numbers([0, 1], ['n01443537_1.JPEG', 'n01443537_2.JPEG'], wnids)
  # As many names as labels, from one on.
  found = of_numbers([1, 3, 2], FILES, None, None, classes=None, first_label=1)
  assert found.labels.tolist() == [0, 2, 1]


def test_a_thousand_readable_names_in_order():
  """Hugging Face has several names of a class, and its own ones of cranes."""
  names = [f'{name}, {n}' for n, name in enumerate(SPACE.class_names)]
  names[134] += ' of the bird'
  names[517] = 'another crane'
  found = of_numbers([0, 999], FILES, names)
  assert (found.space, found.labels.tolist()) == (SPACE, [0, 999])
  assert found.competing is None
  found = of_numbers([0, 999], FILES, names[::-1])
  assert found.space.class_ids == tuple(names[::-1])


def test_texts():
  where = location()
  found = classes.of_texts(where, ['a', 'b', 'c'], ['dog', 'cat', 'dog'])
  assert (found.space.class_ids, found.labels.tolist()) == (('cat', 'dog'), [1, 0, 1])
  found = classes.of_texts(where, ['a', 'b'], ['n01443537', 'n01440764'])
  assert (found.space, found.labels.tolist()) == (SPACE, [1, 0])
  assert found.competing == [0, 1]
  texts = [SPACE.class_ids[label] for label in TRUTH[:3]]
  assert classes.of_texts(where, validation(3), texts).competing is None
  with pytest.raises(UserError, match='2 labels are not the classes'):
    classes.of_texts(where, validation(3), texts[::-1])
  with pytest.raises(UserError, match='1 images without label: b'):
    classes.of_texts(where, ['a', 'b'], ['dog', ''])


def test_files_of_labels(tmp_path):
  path = tmp_path / 'labels.csv'
  path.write_text('id,label\na.jpg,3\nb,n01440764\n')
  where = location(labels=str(path))
  found = classes.of_file(where, ['x/b.png', 'a.jpg'])
  assert (found.space, found.labels.tolist()) == (SPACE, [0, 3])
  with pytest.raises(UserError, match='1 of 3 images have no label: c'):
    classes.of_file(where, ['a.jpg', 'b.png', 'c'])
  with pytest.raises(UserError, match='1 of its 2 ids are neither of .*: b: correct'):
    classes.of_file(where, ['a.jpg'])
  path.write_text('id,label\na.jpg,3\na.jpg,4\n')
  with pytest.raises(
    UserError, match='1 of 1 images have several different labels: a.jpg'
  ):
    classes.of_file(where, ['a.jpg'])
  (tmp_path / 'names').write_text('cat\ndog\n')
  path.write_text('id,label\na.jpg,dog\n')
  where = location(labels=str(path), classes=str(tmp_path / 'names'))
  assert classes.of_file(where, ['a.jpg']).labels.tolist() == [1]


def test_files_of_labels_as_beside_photos(tmp_path):
  path = tmp_path / 'labels.csv'
  path.write_text('id,label\n/data/a.jpg,1\n/data/b.jpg,0\n')
  found = classes.of_file(location(labels=str(path)), ['a.jpg', 'b.jpg'])
  assert (found.space.class_ids, found.labels.tolist()) == (('0', '1'), [1, 0])
  path.write_text('id,label\n1,cat\n')
  with pytest.raises(UserError, match='mean several images each: 1 is a/1.jpg and b/1'):
    classes.of_file(location(labels=str(path)), ['a/1.jpg', 'b/1.jpg'])
  lines = [
    f'{name},{label + 1}'
    for name, label in zip(validation(40), TRUTH[:40], strict=True)
  ]
  path.write_text('\n'.join(['id,label', *lines]))
  where = location(labels=str(path), classes='imagenet')
  with pytest.raises(UserError, match='seem to be off by one'):
    classes.of_file(where, validation(40))


@pytest.mark.parametrize(
  'texts, ids, labels',
  [
    (['3', '2', '10'], tuple(map(str, range(11))), [3, 2, 10]),
    (['0.0', '2.0', '10.0'], tuple(map(str, range(11))), [0, 2, 10]),
    (['2', '10', 'x'], ('10', '2', 'x'), [1, 0, 2]),
  ],
)
def test_texts_that_are_numbers(texts, ids, labels):
  found = classes.of_texts(location(), ['a', 'b', 'c'], texts)
  assert (found.space.class_ids, found.labels.tolist()) == (ids, labels)


def test_labels_from_1_on_are_asked_for(tmp_path):
  """They count from 1, or class 0 has no image: only names in a container tell."""
  for texts in (['1', '2', '10'], ['1.0', '3', '3']):
    with pytest.raises(UserError, match='labels are 1 to .* add :first_label=1'):
      classes.of_texts(location(), ['a', 'b', 'c'], texts)
  (tmp_path / 'names').write_text('cat\ndog\nemu\nfox\n')
  with pytest.raises(UserError, match='labels are 1 to 2'):
    of_numbers([1, 2, 1], FILES, classes=str(tmp_path / 'names'))
  found = of_numbers([1, 2, 1], FILES, ['cat', 'dog', 'emu', 'fox'])
  assert found.labels.tolist() == [1, 2, 1]


@pytest.mark.parametrize('text', ['nan', 'NULL', '1.5', '-1'])
def test_texts_that_are_no_labels(text):
  with pytest.raises(UserError, match='outside of the classes|without label: c'):
    classes.of_texts(location(), ['a', 'b', 'c'], ['0', '1', text])


def test_names_in_another_order(tmp_path):
  (tmp_path / 'names').write_text('cat\ndog\n')
  with pytest.raises(UserError, match='another order than npz:.*, where 0 is dog'):
    of_numbers([0, 1, 0], FILES, ['dog', 'cat'], classes=str(tmp_path / 'names'))


def test_files_of_names(tmp_path):
  path = tmp_path / 'labels.txt'
  path.write_text('1:bee\n0:ant\n')
  assert class_names.read_names(path) == ['ant', 'bee']
  path.write_text('ant\n\nbee, a kind\n')
  assert class_names.read_names(path) == ['ant', 'bee, a kind']
  path.write_text('1:bee\n2:ant\n')
  with pytest.raises(UserError, match='from 1 on: expected from 0 on'):
    class_names.read_names(path)


def test_ids():
  assert proofs.ids(['a/x.png', 'b/y.png'], 'it') == ['x.png', 'y.png']
  assert proofs.ids(['a/x.png', 'b/x.png'], 'it') == ['a/x.png', 'b/x.png']
  name = 'v/ILSVRC2012_val_00000002_n01751748.jpg'
  assert proofs.ids([name], 'it') == [imagenet.validation_name(2)]
  with pytest.raises(UserError, match='4,097 bytes'):
    proofs.ids(['x' * 4097], 'it')
