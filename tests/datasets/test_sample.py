"""The data set `sample`: its features, its labels, and that bytes are kept."""

import hashlib
import importlib.util
import pathlib
import shutil
import subprocess
import sys

import pytest
import tensorflow_datasets as tfds

from tfeval.datasets import sample
from tfeval.utils.errors import UserError

SPLIT = 'validation'


def build(data_dir: pathlib.Path) -> tfds.core.DatasetBuilder:
  builder = tfds.builder('sample', data_dir=data_dir)
  builder.download_and_prepare()
  return builder


def examples(builder: tfds.core.DatasetBuilder) -> list[dict]:
  ds = builder.as_dataset(
    split=SPLIT,
    shuffle_files=False,
    decoders={'image': tfds.decode.SkipDecoding()},
  )
  return list(tfds.as_numpy(ds))


@pytest.fixture(scope='module')
def built(tmp_path_factory):
  return build(tmp_path_factory.mktemp('sample'))


@pytest.fixture(scope='module')
def rows(built):
  return examples(built)


@pytest.fixture(scope='module')
def imagenet_real(tmp_path_factory):
  """The builder that `sample` stands in for; only its features are read."""
  data_dir = tmp_path_factory.mktemp('imagenet2012_real')
  return tfds.builder('imagenet2012_real', data_dir=data_dir)


@pytest.fixture(scope='module')
def wnids():
  """TFDS's own list: the wnid of class index i is line i."""
  path = tfds.core.tfds_path('datasets/imagenet2012/labels.txt')
  return path.read_text().split()


@pytest.fixture
def copies(tmp_path, monkeypatch):
  """Folder with copies of the photos, which the builder then reads."""
  root = tmp_path / 'packages'
  for photo in sample.photos():
    to = root / photo.package / photo.path
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(sample.package_dir(photo.package) / photo.path, to)
  monkeypatch.setattr(sample, 'package_dir', lambda package: root / package)
  return root


def test_has_nine_photos_in_one_split(built, rows):
  assert list(built.info.splits) == [SPLIT]
  assert built.info.splits[SPLIT].num_examples == len(rows) == 9
  assert str(built.version) == '1.0.0'


def test_features_are_those_of_imagenet2012_real(built, imagenet_real):
  ours, theirs = built.info.features, imagenet_real.info.features
  assert list(ours) == list(theirs)
  assert ours.get_tensor_info() == theirs.get_tensor_info()
  for key in ours:
    assert type(ours[key]) is type(theirs[key]), key
  assert ours['original_label'].names == theirs['original_label'].names
  assert ours['real_label'].feature.names == theirs['real_label'].feature.names
  assert built.info.supervised_keys == imagenet_real.info.supervised_keys


def test_labels_by_wnid(rows, wnids):
  """Written out again from WordNet, so that a slip in the table shows."""
  assert len(wnids) == 1000 and wnids == sorted(wnids)
  moped = ('n03785016', {'n03785016', 'n02971356', 'n03208938', 'n03891251'})
  cats = {'n02123045', 'n02123159', 'n02124075'}
  expected = {
    'astronaut.png': ('n04266014', {'n04266014'}),
    'camera.png': ('n04485082', {'n04485082'}),
    'chelsea.png': ('n02123045', cats),
    'china.jpg': ('n03877845', {'n03877845', 'n04435653', 'n09332890'}),
    'coffee.png': ('n07920052', {'n07920052', 'n07930864'}),
    'flower.jpg': ('n11939491', set()),
    'motorcycle_left.png': moped,
    'motorcycle_right.png': moped,
    'rocket.jpg': ('n03773504', {'n03773504', 'n04008634'}),
  }
  found = {
    row['file_name'].decode(): (
      wnids[row['original_label']],
      {wnids[i] for i in row['real_label']},
    )
    for row in rows
  }
  assert found == expected
  # Indices that every ImageNet user knows.
  by_name = {row['file_name']: row for row in rows}
  assert by_name[b'chelsea.png']['real_label'].tolist() == [281, 282, 285]
  assert by_name[b'coffee.png']['original_label'] == 967
  assert by_name[b'coffee.png']['real_label'].tolist() == [967, 968]


def test_real_labels_are_ascending_and_one_set_is_empty(rows):
  sets = [row['real_label'].tolist() for row in rows]
  assert all(labels == sorted(set(labels)) for labels in sets)
  assert sum(not labels for labels in sets) == 1


def test_images_are_the_bytes_of_the_files(rows):
  """Neither PNG nor JPEG is encoded anew."""
  table = {photo.file_name: photo for photo in sample.photos()}
  kinds = set()
  for row in rows:
    photo = table[row['file_name'].decode()]
    path = sample.package_dir(photo.package) / photo.path
    assert row['image'] == path.read_bytes(), photo.file_name
    assert hashlib.sha256(row['image']).hexdigest() == photo.sha256
    kinds.add(row['image'][:4])
  assert kinds == {b'\x89PNG', b'\xff\xd8\xff\xe0'}


def test_images_decode_to_three_channels(built):
  """Grey PNG too, so that `as_supervised` feeds a model."""
  shapes = {
    row['file_name'].decode(): row['image'].shape
    for row in tfds.as_numpy(built.as_dataset(split=SPLIT))
  }
  assert {shape[2] for shape in shapes.values()} == {3}
  assert shapes['camera.png'] == (512, 512, 3)
  assert shapes['china.jpg'] == (427, 640, 3)


def test_file_names_are_unique(rows):
  assert len({row['file_name'] for row in rows}) == len(rows)


def test_order_is_the_same_in_another_build(rows, tmp_path):
  again = [row['file_name'] for row in examples(build(tmp_path))]
  assert again == [row['file_name'] for row in rows]


def test_opens_without_its_code(built, rows):
  """As `tfds.builder_from_directory` does: features are stored with the data."""
  opened = tfds.builder_from_directory(built.data_dir)
  names = [row['file_name'] for row in examples(opened)]
  assert names == [row['file_name'] for row in rows]


def test_other_bytes_are_refused(copies, tmp_path):
  path = copies / 'skimage/data/coffee.png'
  data = bytearray(path.read_bytes())
  data[-1] ^= 1
  path.write_bytes(data)
  with pytest.raises(UserError) as e:
    build(tmp_path / 'data')
  message = str(e.value)
  assert 'skimage/data/coffee.png' in message
  assert 'scikit-image' in message and "pip install 'tfeval[demo]'" in message
  assert '\n' not in message
  assert not list((tmp_path / 'data').rglob('*.tfrecord*'))


def test_missing_file_is_refused(copies, tmp_path):
  (copies / 'sklearn/datasets/images/china.jpg').unlink()
  with pytest.raises(UserError) as e:
    build(tmp_path / 'data')
  message = str(e.value)
  assert 'sklearn/datasets/images/china.jpg' in message
  assert "pip install 'tfeval[demo]'" in message and '\n' not in message


@pytest.mark.parametrize(
  'package, distribution',
  [('skimage', 'scikit-image'), ('sklearn', 'scikit-learn')],
)
def test_missing_package_is_refused(package, distribution, tmp_path, monkeypatch):
  find_spec = importlib.util.find_spec
  monkeypatch.setattr(
    importlib.util,
    'find_spec',
    lambda name, *args: None if name == package else find_spec(name, *args),
  )
  with pytest.raises(UserError) as e:
    build(tmp_path)
  message = str(e.value)
  assert distribution in message and "pip install 'tfeval[demo]'" in message
  assert '\n' not in message


def test_the_packages_are_not_imported():
  """Only their files are read, as a fresh interpreter shows."""
  code = (
    'import sys; from tfeval.datasets import sample;'
    '[photo.read() for photo in sample.photos()];'
    'print([m for m in ("skimage", "sklearn", "scipy") if m in sys.modules])'
  )
  run = subprocess.run(
    [sys.executable, '-c', code], capture_output=True, text=True, check=True
  )
  assert run.stdout.strip() == '[]'
