"""Folders as people have them on disk: the same photos in each, and what is refused."""

import os
import time

import pytest
from folder_layouts import layouts, stem

from tfeval.datasets import folder_content
from tfeval.datasets.labels import imagenet
from tfeval.datasets.options import DatasetConfig
from tfeval.utils import budgets
from tfeval.utils.errors import UserError

SPACE = imagenet.label_space()
TENCH, GOLDFISH = 'n01440764', 'n01443537'
NUMBERS = range(1, 41)
JPEG = b'\xff\xd8\xff\xe0'


def fill(root, *names, content=b''):
  for name in names:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(content)
  return root


def read(root, **options):
  return folder_content.read_folder(DatasetConfig(f'folder:{root}', **options))


def refused(words, root, **options):
  with pytest.raises(UserError, match=words) as caught:
    read(root, **options)
  assert '\n' not in str(caught.value)
  return str(caught.value)


@pytest.fixture(scope='module')
def truth(shared_data):
  """Of the first 40 validation images, by the development kit: index, id and wnid."""
  kit = shared_data / 'devkit'
  rows = (kit / 'ilsvrc_ids.tsv').read_text().splitlines()[1:]
  wnids = {int(number): wnid for number, wnid in map(str.split, rows)}
  ids = (kit / 'ILSVRC2012_validation_ground_truth.txt').read_text().split()[:40]
  order = sorted(wnids.values())
  return [(order.index(wnids[int(one)]), int(one), wnids[int(one)]) for one in ids]


@pytest.mark.parametrize('layout', layouts())
def test_the_same_40_photos(layout, truth, tmp_path):
  where = layouts()[layout]
  lie = {where(n, *truth[n - 1]): truth[n - 1][0] for n in NUMBERS}
  content = read(fill(tmp_path, *lie, content=JPEG))
  assert content.space is SPACE
  found = {
    os.path.relpath(path, tmp_path): label
    for path, label in zip(content.paths, content.labels, strict=True)
  }
  assert found == lie
  assert content.ids == sorted(path.rpartition('/')[2] for path in lie)


@pytest.mark.parametrize(
  'form, given', [('index', lambda i, one: i), ('ilsvrc_id', lambda i, one: one)]
)
def test_numbers_that_are_asked_for(form, given, truth, tmp_path):
  lie = {f'{given(i, one)}/{i}.jpg': i for i, one, _ in truth}
  content = read(fill(tmp_path, *lie), class_folders=form)
  assert content.space is SPACE
  assert [f'{label}.jpg' for label in content.labels] == content.ids
  own = read(tmp_path)
  assert own.space is not SPACE
  assert own.space.class_ids == tuple(sorted({path.partition('/')[0] for path in lie}))
  assert 'numbers with gaps, taken for classes of their own' in own.notes[0]


def test_own_classes_are_those_of_keras_and_torchvision(tmp_path):
  """In text order: `image_dataset_from_directory`, `ImageFolder`."""
  fill(tmp_path, '10/a.jpg', '2/b.jpg', 'Dog/c.jpg', 'cat/d.jpg', 'cat/in/e.jpg')
  content = read(tmp_path)
  assert content.space.class_ids == ('10', '2', 'Dog', 'cat')
  assert list(zip(content.ids, content.labels, strict=True)) == [
    ('a.jpg', 0),
    ('b.jpg', 1),
    ('c.jpg', 2),
    ('d.jpg', 3),
    ('e.jpg', 3),
  ]
  assert (content.competing, content.notes) == (None, ())


def test_imagenet_names_as_classes_of_their_own(tmp_path):
  fill(tmp_path, 'tench/a.jpg', 'goldfish/b.jpg')
  assert read(tmp_path).labels == [0, 1]
  own = read(tmp_path, class_folders='name')
  assert own.space.class_ids == ('goldfish', 'tench')
  assert own.labels == [1, 0]


def test_which_classes_compete(truth, tmp_path):
  fill(tmp_path / 'few', f'{TENCH}/a.jpg', f'{GOLDFISH}/b.jpg')
  assert read(tmp_path / 'few').competing == [0, 1]
  # The first of the validation images are no choice of classes; all of two are.
  some = [f'{wnid}/{stem(n)}.JPEG' for n, (_, _, wnid) in enumerate(truth, 1)]
  assert read(fill(tmp_path / 'some', *some)).competing is None
  labels = imagenet.original_validation_labels()
  whole = [n + 1 for n, label in enumerate(labels) if label < 2]
  lie = [f'{SPACE.class_ids[labels[n - 1]]}/{stem(n)}.JPEG' for n in whole]
  assert len(lie) == 100
  assert read(fill(tmp_path / 'two', *lie)).competing == [0, 1]


# Roots.


def test_the_root_that_was_entered(tmp_path):
  fill(tmp_path, f'Val/{TENCH}/a.png', 'LICENSE', 'Annotations/a.xml', '.git/b.png')
  content = read(tmp_path)
  assert content.root == f'{tmp_path}/Val'
  assert content.ids == ['a.png']


@pytest.mark.parametrize(
  'names, words',
  [
    (
      [f'train/{TENCH}/a.png', f'val/{TENCH}/b.png'],
      'ROOT holds val and train, not classes: give `dataset=folder:ROOT/val` or `data',
    ),
    (
      [f'ILSVRC/Data/CLS-LOC/{split}/a.JPEG' for split in ('train/n1', 'test', 'val')],
      'give `dataset=folder:ROOT/ILSVRC/Data/CLS-LOC/val` or ',
    ),
    (
      [f'train/{TENCH}/a.png'],
      'ROOT holds train, not classes: give `dataset=folder:ROOT/train`',
    ),
    (
      ['test/1.JPEG', 'train/a/a.png'],
      'folder:ROOT/test` or `dataset=folder:ROOT/train`',
    ),
    (['photos/cat/a.png', 'photos/dog/a.png'], 'give `dataset=folder:ROOT/photos`'),
    (['val/cat/a.png', 'cat/b.png'], 'give `dataset=folder:ROOT/val`'),
    (
      [f'a/{TENCH}/a.png', f'b/{TENCH}/a.png'],
      'folder:ROOT/a` or `dataset=folder:ROOT/b`',
    ),
  ],
)
def test_several_roots(names, words, tmp_path):
  refused(words.replace('ROOT', str(tmp_path)), fill(tmp_path, *names))


def test_links(tmp_path):
  fill(tmp_path / 'far', 'a.jpg', 'deep/b.jpg')
  root = fill(tmp_path / 'root', f'val/{TENCH}/c.jpg')
  (root / 'val' / GOLDFISH).symlink_to(tmp_path / 'far')
  (root / 'val' / TENCH / 'up').symlink_to(root)
  content = read(root)
  assert content.ids == ['a.jpg', 'b.jpg', 'c.jpg']
  assert content.notes == ('left out as no images: 1 entry, such as up',)
  loop = tmp_path / 'loop'
  loop.mkdir()
  (loop / 'val').symlink_to(loop)
  refused('holds no images', loop)
  (loop / 'data').symlink_to(loop)
  refused('holds no images', loop)


# What is no image.


def test_first_bytes_tell_images(tmp_path):
  fill(tmp_path, 'cats/a', 'cats/b.image', 'dogs/c.dat', content=JPEG)
  fill(tmp_path, 'cats/d', content=b'\x89PNG\r\n\x1a\n')
  fill(tmp_path, 'dogs/e', 'dogs/f.weird', content=b'a text')
  fill(tmp_path, 'dogs/g.jpg.part', 'dogs/h.jpg~', 'dogs/i.csv', content=JPEG)
  content = read(tmp_path)
  assert content.ids == ['a', 'b.image', 'c.dat', 'd']
  assert content.notes == ('left out as no images: 5 entries, such as e',)


def test_clutter_is_counted(tmp_path):
  fill(tmp_path, 'cats/a.jpg', 'dogs/b.jpg', '@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg')
  fill(tmp_path, 'cats/._a.jpg', 'cats/.DS_Store', 'Thumbs.db', '__MACOSX/cats/a.jpg')
  fill(tmp_path, 'cats/@eaDir/a.jpg', 'cats/notes.txt')
  content = read(tmp_path)
  assert content.ids == ['a.jpg', 'b.jpg']
  assert content.notes == (
    'left out as no images: 1 entry, such as notes.txt',
    'left out as clutter: 6 entries, such as .DS_Store',
  )


@pytest.mark.parametrize(
  'start, kind',
  [
    (b'RIFF\x24\0\0\0WEBPVP8 ', 'WebP'),
    (b'GIF89a', 'GIF'),
    (b'BM\x36\0\x0c\0\0\0\0\0\x36\0', 'BMP'),
    (b'II*\0', 'TIFF'),
    (b'\0\0\0\x18ftypheic', 'HEIC'),
    (b'\0\0\0\x1cftypavif', 'AVIF'),
  ],
)
@pytest.mark.parametrize('suffix', ['', '.webp', '.gif', '.bmp'])
def test_other_kinds_by_their_names(start, kind, suffix, tmp_path):
  fill(tmp_path, 'cats/a.jpg', content=JPEG)
  fill(tmp_path, f'cats/b{suffix}', content=start + bytes(16))
  refused(f'cats/b{suffix} is not a readable image: it is {kind}, neither', tmp_path)
  assert read(tmp_path, on_error='skip').ids == ['a.jpg', f'b{suffix}']


@pytest.mark.parametrize('kind', ['WEBP', 'GIF', 'BMP', 'TIFF'])
def test_other_kinds_as_pillow_writes_them(kind, tmp_path):
  image = pytest.importorskip('PIL.Image').new('RGB', (5, 4))
  (tmp_path / 'cats').mkdir()
  with open(tmp_path / 'cats' / 'a', 'wb') as file:
    image.save(file, kind)
  assert kind.lower() in refused('it is', tmp_path).lower()


# Bad input.


@pytest.mark.parametrize(
  'names, folders, words',
  [
    ([f'{TENCH}/a.png', 'tench/b.png'], (), 'are the same class, n01440764: put'),
    (['n01440764/a.png', 'N01440764/b.png'], (), 'are the same class'),
    (['7/a.png', '07/b.png'], (), '07 and 7 are the same number: put them together'),
    (['crane/a.png', 'tench/b.png'], (), 'crane is what n02012849 and n03126707'),
    (
      ['cat/a.png', 'dog/b.png'],
      ['eel'],
      '1 of 3 class folders hold no images, such as eel: fill',
    ),
    (
      [f'{TENCH}/a.png'],
      [GOLDFISH],
      f'1 of .* class folders hold no images.*{GOLDFISH}',
    ),
    (['0/a.png', '1/a.png'], ['2'], '1 of .* class folders hold no images, such as 2'),
    (['cat/a.png', f'{stem(1)}.JPEG'], (), 'lies beside class folders that are not'),
    ([f'{TENCH}/n01443537_7.JPEG'], (), 'n01440764 by the folder n01440764: sort'),
    (['n01440764_n01443537.jpg'], (), 'is n01440764 by n01440764, n01443537 by'),
    ([f'{stem(1)}_n01440764.JPEG'], (), 'by image 1, n01440764 by n01440764: sort'),
    ([f'{stem(1)}.JPEG', f'{stem(1)}.jpg'], (), 'are the same validation image'),
    (['cat.jpg'], (), 'no label is known for this name'),
  ],
)
def test_class_folders_that_are_wrong(names, folders, words, tmp_path):
  fill(tmp_path, *names)
  for folder in folders:
    (tmp_path / folder).mkdir()
  refused(words, tmp_path)


def test_folders_beside_classes_of_imagenet(tmp_path):
  fill(tmp_path, f'{TENCH}/a.png', 'annotations/a.xml')
  assert read(tmp_path).notes == ('left out as no images: 2 entries, such as a.xml',)


def test_a_photo_in_the_wrong_folder_of_numbers(truth, tmp_path):
  lie = [f'{i}/{stem(n)}.JPEG' for n, (i, _, _) in enumerate(truth, 1)]
  lie[6] = f'{truth[0][0]}/{stem(7)}.JPEG'
  refused(f'{stem(7)}.JPEG is {truth[6][2]} by image 7', fill(tmp_path, *lie))


def test_numbers_from_one_are_told(truth, tmp_path):
  lie = [f'{i + 1}/{stem(n)}.JPEG' for n, (i, _, _) in enumerate(truth, 1)]
  refused(
    'of 40 images that tell their class by name, they hold 0', fill(tmp_path, *lie)
  )


def test_options_that_are_not_for_it(tmp_path):
  fill(tmp_path, f'{stem(1)}.JPEG')
  refused('holds no class folders: leave it out', tmp_path, class_folders='index')
  refused('`split=train`: a folder has no splits', tmp_path, split='train')


def test_what_cannot_be_read(tmp_path, monkeypatch):
  fill(tmp_path, 'cats/a.jpg', 'cats/b')
  opened = os.open

  def refuse(path, *arguments):
    if str(path).endswith('/b'):
      raise PermissionError(13, 'Permission denied')
    return opened(path, *arguments)

  monkeypatch.setattr('os.open', refuse)
  refused('cannot read .*/cats/b: Permission denied', tmp_path)
  monkeypatch.undo()
  (tmp_path / 'cats' / 'b').unlink()
  scan = os.scandir

  def scandir(path):
    if path.endswith('cats'):
      raise PermissionError(13, 'Permission denied')
    return scan(path)

  monkeypatch.setattr('os.scandir', scandir)
  refused('cannot read the folder .*/cats: Permission denied', tmp_path)


def test_names_that_are_no_utf8(tmp_path):
  odd = os.fsdecode(b'odd\xff')
  fill(tmp_path / 'a', f'{TENCH}/a.jpg', f'{TENCH}/{odd}.txt', f'{odd}/b.txt')
  (note,) = read(tmp_path / 'a').notes
  note.encode()
  assert note == 'left out as no images: 3 entries, such as b.txt'
  refused('name that is not UTF-8', fill(tmp_path / 'b', f'{odd}/a.jpg'))
  refused('name that is not UTF-8', fill(tmp_path / odd, f'{TENCH}/a.jpg'))


def test_real_labels_are_read_before_tensorflow(tmp_path):
  config = DatasetConfig(f'folder:{tmp_path}', real_labels=f'{tmp_path}/no.json')
  fill(tmp_path, f'{stem(1)}.JPEG')
  with pytest.raises(UserError, match=r'cannot read ReaL labels .*no\.json'):
    folder_content.check(config)


def test_folders_without_bounds(tmp_path, monkeypatch):
  fill(tmp_path / 'deep', 'cats/' + 'x/' * 9 + 'a.jpg', 'cats/b.jpg')
  refused('folders lie 8 deep, expected a folder for each class', tmp_path / 'deep')
  fill(tmp_path / 'many', 'a/1.jpg', 'b/2.jpg', 'c/3.jpg')
  monkeypatch.setattr(budgets, 'CLASSES', 2)
  refused('3 class folders, expected at most 2', tmp_path / 'many')
  monkeypatch.setattr(budgets, 'ROWS', 2)
  refused('more than 2 images: evaluate parts of it', tmp_path / 'many')
  monkeypatch.setattr(budgets, 'ROWS', 1)
  refused('more than 2 files and folders: evaluate parts of it', tmp_path / 'many')


# Starts.


@pytest.mark.slow  # To make and to remove so many takes longer than to read them.
def test_100_000_files_in_one_folder(tmp_path):
  (tmp_path / 'cats').mkdir()
  for number in range(100_000):
    os.mknod(tmp_path / 'cats' / f'{number:06d}.jpg')
  start = time.process_time()
  assert len(read(tmp_path).ids) == 100_000
  assert time.process_time() - start < 5
