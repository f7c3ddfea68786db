"""Files of labels beside photos that lie flat: their classes, and what is refused."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfeval.datasets import open_dataset
from tfeval.datasets.labels import imagenet
from tfeval.datasets.labels.beside import read_image_labels
from tfeval.utils.errors import UserError

SPACE = imagenet.label_space()
TRUTH = imagenet.original_validation_labels()
PHOTOS = [f'photo {n}.jpg' for n in range(12)]
VALIDATION = [imagenet.validation_name(n + 1) for n in range(40)]


def read(tmp_path, ids, text, name='x.csv'):
  path = tmp_path / name
  path.write_text(text)
  return read_image_labels(path, ids, 'photos')


def table(ids, labels, header='name,label\n'):
  return header + ''.join(f'{a},{b}\n' for a, b in zip(ids, labels, strict=True))


@pytest.mark.parametrize(
  'labels, classes, expected',
  [
    (['cat', 'dog', 'ant'] * 4, ('ant', 'cat', 'dog'), [1, 2, 0] * 4),
    ([*range(12)], tuple(map(str, range(12))), [*range(12)]),
    ([*range(1, 13)], tuple(map(str, range(1, 13))), [*range(12)]),
    (['1.0', '2.0', '3.0'] * 4, ('1', '2', '3'), [0, 1, 2] * 4),
    (['n01440764', 'n01443537'] * 6, SPACE.class_ids, [0, 1] * 6),
    (['Tench', 'great white shark'] * 6, SPACE.class_ids, [0, 2] * 6),
    ([65, 970, 230, 809] * 3, SPACE.class_ids, [65, 970, 230, 809] * 3),
    ([0] * 12, SPACE.class_ids, [0] * 12),
    # Not all of them are names of ILSVRC2012.
    (['tench', 'cat'] * 6, ('cat', 'tench'), [1, 0] * 6),
  ],
  ids=str,
)
def test_classes_are_what_the_labels_are(tmp_path, labels, classes, expected):
  found = read(tmp_path, PHOTOS, table(PHOTOS, labels))
  assert (found.space.class_ids, found.labels) == (classes, expected)
  assert found.classes == sorted(set(expected))


def test_numbers_of_validation_images_are_indices(tmp_path):
  labels = [0, 1] * 2
  with pytest.raises(UserError) as error:
    read(tmp_path, VALIDATION, table(VALIDATION[:4], labels))
  assert '36 of 40 images have no label: ILSVRC2012_val_00000005' in str(error.value)
  found = read(tmp_path, VALIDATION[:4], table(VALIDATION[:4], labels))
  assert found.space is SPACE and found.labels == labels


@pytest.mark.parametrize(
  'ids, text, name',
  [
    (PHOTOS, 'photo 0 cat\nphoto 1 big dog\n', 'x.txt'),
    (PHOTOS, 'photo 0.jpg\tcat\nphoto 1.jpg\tbig dog\n', 'x.txt'),
    (PHOTOS, 'cat;photo 0.jpg\nbig dog;photo 1.jpg\n', 'x.csv'),
    (PHOTOS, 'a,photo,b\n1,photo 0.jpg,cat\n', 'x.csv'),
  ],
  ids=['blanks', 'tabs', 'reversed', 'unknown header'],
)
def test_columns_without_known_names(tmp_path, ids, text, name):
  if name == 'x.csv' and text.startswith('a,'):
    with pytest.raises(UserError, match='has the columns a, photo, b, expected'):
      read(tmp_path, ids[:1], text, name)
    return
  if 'photo 1 big' in text:
    with pytest.raises(UserError, match='ids are neither .*: photo 1 big: correct'):
      read(tmp_path, ids[:2], text, name)
    return
  found = read(tmp_path, ids[:2], text, name)
  assert found.space.class_ids == ('big dog', 'cat') and found.labels == [1, 0]


def test_names_in_the_metadata_of_parquet(tmp_path):
  names = '{"info": {"features": {"label": {"names": ["ship", "cat", "dog"]}}}}'
  pq.write_table(
    pa.table({'id': PHOTOS, 'label': [2, 0, 1] * 4}, metadata={'huggingface': names}),
    tmp_path / 'x.parquet',
  )
  found = read_image_labels(tmp_path / 'x.parquet', PHOTOS, 'photos')
  assert found.space.class_ids == ('ship', 'cat', 'dog')
  assert found.labels == [2, 0, 1] * 4


def test_labels_that_are_numbered_otherwise_are_refused(tmp_path):
  ids = imagenet.ilsvrc_ids()
  for words, labels in (
    ('off by one .too high.: 0 of 40', [TRUTH[n] + 1 for n in range(40)]),
    ('ids 1 to 1000 of the development kit', [ids[TRUTH[n]] for n in range(40)]),
  ):
    with pytest.raises(UserError, match=f'{words}.*40 under that'):
      read(tmp_path, VALIDATION, table(VALIDATION, labels))


@pytest.mark.parametrize(
  'text, said',
  [
    (
      table(PHOTOS[:1], [5]),
      '11 of 12 images have no label: photo 1.jpg, .*10.jpg, ... and 1 more: add',
    ),
    (
      table([*PHOTOS, 'y.jpg'], [5] * 13),
      '1 of its 13 ids .* the 12 images .*: y.jpg:',
    ),
    (
      table([*PHOTOS, PHOTOS[3]], [*range(12), 5]),
      '1 of 12 images have several different labels: photo 3.jpg: leave one of each',
    ),
    (
      table([*PHOTOS, PHOTOS[3]], [*range(12), 5], header=''),
      '1 images have several different labels: photo 3.jpg: leave one of each',
    ),
    (table(PHOTOS, [''] * 12), 'labels no image'),
    (table(PHOTOS, [*range(11), 4000]), '12 numbers from 0 to 4000 with gaps'),
    ('', 'is empty'),
    ('name,label\n', 'labels no image'),
    (table(['photo 0', *PHOTOS[1:]], range(12)), None),
  ],
  ids=str,
)
def test_faults(tmp_path, text, said):
  if said is None:
    assert read(tmp_path, PHOTOS, text).labels == [*range(12)]
    return
  with pytest.raises(UserError, match=said) as error:
    read(tmp_path, PHOTOS, text)
  assert len(str(error.value).splitlines()) == 1 and len(str(error.value)) < 400


def test_one_id_for_two_images(tmp_path):
  with pytest.raises(UserError, match='a is a.jpg and a.png: write these out'):
    read(tmp_path, ['a.jpg', 'a.png'], 'id,label\na,7\n')


def test_a_folder_of_photos(tmp_path):
  (tmp_path / 'photos').mkdir()
  for name in PHOTOS:
    (tmp_path / 'photos' / name).write_bytes(b'\xff\xd8\xff')
  labels = tmp_path / 'labels.csv'
  labels.write_text(table(PHOTOS, ['dog', 'cat'] * 6))
  name = f'folder:{tmp_path}/photos'
  found = open_dataset(name, labels=str(labels))
  examples = found.examples().as_numpy_iterator()
  rows = [(e['id'].decode(), int(e['label'])) for e in examples]
  expected = dict(zip(PHOTOS, [1, 0] * 6, strict=True))
  assert rows == sorted(expected.items())
  assert found.label_space.class_ids == ('cat', 'dog')
  assert found.notes == ('labels of labels.csv: classes of their own, 2 of 2',)
  labels.write_text(table(PHOTOS, ['cat', 'dog'] * 6))
  assert open_dataset(name, labels=str(labels)).size_digest != found.size_digest
  (tmp_path / 'photos' / 'cat').mkdir()
  (tmp_path / 'photos' / 'cat' / 'b.jpg').write_bytes(b'\xff\xd8\xff')
  with pytest.raises(UserError, match='has 1 class folders, such as cat'):
    open_dataset(name, labels=str(labels))


def test_limit_takes_the_first_of_all(tmp_path):
  for name in PHOTOS:
    (tmp_path / name).write_bytes(b'\xff\xd8\xff')
  labels = tmp_path / 'labels.csv'
  labels.write_text(table(PHOTOS, np.arange(12)))
  found = open_dataset(f'folder:{tmp_path}', labels=str(labels), limit=3)
  rows = [int(e['label']) for e in found.examples().as_numpy_iterator()]
  assert rows == [0, 1, 10] and len(found.label_space) == 12


def test_faults_are_found_before_tensorflow_is_imported(tmp_path):
  for name in PHOTOS:
    (tmp_path / name).write_bytes(b'\xff\xd8\xff')
  (tmp_path / 'labels.csv').write_text(table(PHOTOS[:5], range(5)))
  code = (
    'import sys\nfrom tfeval import cli\n'
    'print(cli.main(sys.argv[1:]), "tensorflow" in sys.modules)'
  )
  command = ['evaluate', '--model=MobileNet', f'--dataset=folder:{tmp_path}']
  for labels, said in (
    (tmp_path / 'labels.csv', '7 of 12 images have no label: photo 10.jpg, '),
    (tmp_path / 'missing.csv', 'cannot read labels'),
  ):
    found = subprocess.run(
      [sys.executable, '-c', code, *command, f'--labels={labels}'],
      capture_output=True,
      text=True,
      check=True,
    )
    assert found.stdout == '2 False\n'
    assert said in found.stderr and len(found.stderr.splitlines()) == 1


def test_labels_are_of_folders():
  with pytest.raises(UserError, match='sample has labels, a file of them is for'):
    open_dataset('sample', labels='x.csv')


@pytest.mark.parametrize(
  'labels',
  [
    ['0', '1', '-1'] * 4,
    ['0.0', '1.0', 'nan'] * 4,
    ['0', '1', '2.5'] * 4,
    ['0', '1', '2e0'] * 4,
    ['cat', 'dog', 'NaN'] * 4,
  ],
  ids=str,
)
def test_what_is_no_label_is_no_class(tmp_path, labels):
  """It would be the class of an output, and move those behind it."""
  with pytest.raises(UserError) as error:
    read(tmp_path, PHOTOS, table(PHOTOS, labels))
  assert f'the label of photo 2.jpg is {labels[2]!r}, expected' in str(error.value)


@pytest.mark.parametrize(
  'text',
  [
    'sep=;\r\nname;label\r\nphoto 0.jpg;cat\r\nphoto 1.jpg;dog\r\n',
    'id,filename,label\n0,photo 0.jpg,cat\n1,photo 1.jpg,dog\n',
  ],
  ids=['of Excel', 'with numbers of lines'],
)
def test_exported_tables(tmp_path, text):
  found = read(tmp_path, PHOTOS[:2], text)
  assert (found.space.class_ids, found.labels) == (('cat', 'dog'), [0, 1])


def test_utf_16(tmp_path):
  path = tmp_path / 'x.csv'
  path.write_text(table(PHOTOS, ['cat', 'dog'] * 6), 'utf-16')
  with pytest.raises(UserError, match='it is no UTF-8: save it as such'):
    read_image_labels(path, PHOTOS, 'photos')
