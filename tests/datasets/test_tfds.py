"""TFDS datasets: prepared, checked and read, or refused in one clear line."""

import io
import json
import os
import pathlib
import shutil
import sys
import tarfile
from typing import ClassVar

import keras
import limits
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from tfeval import cli
from tfeval.datasets import base, open_dataset
from tfeval.datasets.labels import imagenet
from tfeval.utils.errors import UserError

TAR = 'ILSVRC2012_img_val.tar'
WNIDS = tfds.core.tfds_path('datasets/imagenet2012/labels.txt')
RESIZED = tfds.core.tfds_path('image_classification/imagenet_resized_labels.txt')
ClassLabel, Image, Text = (
  tfds.features.ClassLabel,
  tfds.features.Image,
  tfds.features.Text,
)


def tiny_model():
  inputs = keras.Input((32, 32, 3))
  x = keras.layers.GlobalAveragePooling2D()(inputs)
  return keras.Model(inputs, keras.layers.Dense(1000)(x))


class _Noise(tfds.core.GeneratorBasedBuilder, skip_registration=True):
  """Seven images of noise; the data sets below differ in their features."""

  VERSION = tfds.core.Version('1.0.0')
  FEATURES: ClassVar = {}

  def _info(self):
    return tfds.core.DatasetInfo(
      builder=self, features=tfds.features.FeaturesDict(self.FEATURES)
    )

  def _split_generators(self, dl_manager):
    del dl_manager
    return {'validation': self._generate_examples()}

  def _generate_examples(self):
    random = np.random.default_rng(0)
    values = {
      'image': lambda n: random.integers(0, 256, (40, 40, 3), np.uint8),
      'label': lambda n: n,
      'labels': lambda n: [n],
      'file_name': self._file_name,
    }
    values['mask'] = values['image']
    for n in range(7):
      yield n, {key: values[key](n) for key in self.FEATURES}

  def _file_name(self, n):
    return f'{n}.png'


class NoiseTested(_Noise):
  FEATURES: ClassVar = {'image': Image(), 'label': ClassLabel(names=list('abcdefg'))}

  def _split_generators(self, dl_manager):
    return {'train': self._generate_examples(), 'test': self._generate_examples()}


class NoiseThousand(_Noise):
  FEATURES: ClassVar = {
    'image': Image(),
    'label': ClassLabel(names_file=WNIDS),
    'file_name': Text(),
  }


class NoiseNameless(_Noise):
  FEATURES: ClassVar = {'image': Image(), 'label': ClassLabel(names_file=WNIDS)}


class NoiseSameNames(NoiseThousand):
  def _file_name(self, n):
    return f'{n // 2}.png'


class NoiseOtherOrder(_Noise):
  FEATURES: ClassVar = {'image': Image(), 'label': ClassLabel(names_file=RESIZED)}


class NoiseOtherClasses(_Noise):
  FEATURES: ClassVar = {'image': Image(), 'label': ClassLabel(num_classes=1000)}


class NoiseTenClasses(_Noise):
  FEATURES: ClassVar = {'image': Image(), 'label': ClassLabel(num_classes=10)}


class NoiseWithoutImage(_Noise):
  FEATURES: ClassVar = {'label': ClassLabel(names_file=WNIDS), 'file_name': Text()}


class NoiseTwoImages(_Noise):
  FEATURES: ClassVar = {
    'image': Image(),
    'mask': Image(),
    'label': ClassLabel(names_file=WNIDS),
  }


class NoiseWithoutLabel(_Noise):
  FEATURES: ClassVar = {'image': Image(), 'file_name': Text()}


class NoiseManyLabels(_Noise):
  FEATURES: ClassVar = {
    'image': Image(),
    'labels': tfds.features.Sequence(ClassLabel(names_file=WNIDS)),
  }


@pytest.fixture(scope='module')
def data_dir(tmp_path_factory):
  return str(tmp_path_factory.mktemp('tfds'))


def refused(words, name, **arguments):
  with pytest.raises(UserError, match=words) as caught:
    open_dataset(name, **arguments)
  assert '\n' not in str(caught.value)
  return str(caught.value)


def ids(dataset):
  return [e['id'].decode() for e in dataset.examples().as_numpy_iterator()]


# What is read.


def test_examples(data_dir):
  dataset = open_dataset('noise_thousand', data_dir=data_dir)
  rows = list(dataset.examples().as_numpy_iterator())
  assert {row['id'].decode(): row['label'] for row in rows} == {
    f'{n}.png': n for n in range(7)
  }
  assert all(row['image'].startswith(b'\x89PNG') for row in rows)
  assert (dataset.name, dataset.version, dataset.num_examples) == (
    'noise_thousand',
    '1.0.0',
    7,
  )
  assert not dataset.has_real_labels
  assert ids(dataset) == ids(dataset)


def test_without_file_name_the_ids_are_those_of_tfds(data_dir):
  dataset = open_dataset('noise_nameless', data_dir=data_dir)
  found = ids(dataset)
  assert len(set(found)) == 7
  assert all(name.startswith('noise_nameless-validation.tfrecord') for name in found)
  base.check_coverage(dataset, found, [])


def test_slices(data_dir):
  whole = ids(open_dataset('noise_thousand', data_dir=data_dir))
  for split, expected in [
    ('validation[:3]', whole[:3]),
    ('validation[-2:]', whole[-2:]),
    ('validation[3:5]', whole[3:5]),
    ('all', whole),
  ]:
    dataset = open_dataset('noise_thousand', split=split, data_dir=data_dir)
    assert ids(dataset) == expected
    assert dataset.num_examples == len(expected)
    assert dataset.describe()['split'] == split
  dataset = open_dataset(
    'noise_thousand', split='validation[2:]', limit=2, data_dir=data_dir
  )
  assert ids(dataset) == whole[2:4]


def test_without_a_split_that_of_evaluation(data_dir):
  assert open_dataset('noise_thousand', data_dir=data_dir).split == 'validation'
  assert open_dataset('noise_tested', data_dir=data_dir).split == 'test'
  dataset = open_dataset('noise_tested:split=train[:3]', data_dir=data_dir)
  assert (dataset.split, dataset.num_examples) == ('train[:3]', 3)


@pytest.mark.parametrize(
  'split, words',
  [
    ('train', "unknown split of noise_thousand 'train': known: validation"),
    ('valid', 'did you mean validation'),
    ('validation[', 'unknown split'),
    ('validation[:x]', 'unknown split'),
    ('', 'unknown split'),
    ('validation[:0]', 'holds no examples'),
    ('validation[7:]', 'holds no examples'),
    ('validation[5:3]', 'holds no examples'),
  ],
)
def test_bad_splits(data_dir, split, words):
  refused(words, 'noise_thousand', split=split, data_dir=data_dir)


def test_overlapping_slices_and_double_names_are_no_dataset(data_dir):
  for name, split in [
    ('noise_thousand', 'validation[:3]+validation[2:4]'),
    ('noise_same_names', 'validation'),
  ]:
    dataset = open_dataset(name, split=split, data_dir=data_dir)
    with pytest.raises(UserError, match='came twice'):
      base.check_coverage(dataset, ids(dataset), [])


# What cannot be evaluated.


@pytest.mark.parametrize(
  'name, words',
  [
    ('imagenet2012_rael', 'did you mean imagenet2012_real'),
    ('no_such_thing', 'known: imagenet2012, imagenet2012_corrupted'),
    ('', 'dataset'),
    ('imagenet2012:9.9.9', 'cannot be loaded at version 9.9.9'),
    ('imagenet2012/blue', 'BuilderConfig blue not found'),
    ('coco', 'no single class label'),
    ('glue', '0 images in an example'),
    ('noise_without_image', 'has 0 images in an example'),
    ('noise_two_images', 'has 2 images in an example'),
    ('noise_without_label', 'no single class label: features'),
    ('noise_many_labels', 'no single class label: features'),
  ],
)
def test_datasets_that_cannot_be_evaluated(tmp_path, name, words):
  refused(words, name, data_dir=str(tmp_path))
  assert not list(tmp_path.iterdir())  # Told before anything was prepared.


@pytest.mark.parametrize(
  'name, classes',
  [
    ('noise_other_order', None),
    ('noise_other_classes', [str(n) for n in range(1000)]),
    ('noise_ten_classes', [str(n) for n in range(10)]),
  ],
)
def test_any_classes(data_dir, name, classes):
  dataset = open_dataset(name, data_dir=data_dir)
  stored = tfds.builder(name, data_dir=data_dir)
  numbers = [int(one['label']) for one in stored.as_dataset(split='validation')]
  names = stored.info.features['label'].names
  space = dataset.label_space
  found = [space.class_ids[int(one['label'])] for one in dataset.examples()]
  assert sorted(found) == sorted(names[n] for n in numbers)
  if classes is None:
    assert space is imagenet.label_space()
  else:
    assert (space.name, list(space.class_ids)) == (name, classes)
  assert dataset.competing is None


# The validation tar.


def jpeg(number):
  return tf.io.encode_jpeg(np.full((40, 40, 3), number, np.uint8)).numpy()


def write_tar(path, names, folders=()):
  with tarfile.open(path, 'w') as tar:
    for name in folders:
      info = tarfile.TarInfo(name)
      info.type = tarfile.DIRTYPE
      tar.addfile(info)
    for number, name in enumerate(names):
      content = jpeg(number)
      info = tarfile.TarInfo(name)
      info.size = len(content)
      tar.addfile(info, io.BytesIO(content))
  return path


def validation_names(count):
  return [imagenet.validation_name(n + 1) for n in range(count)]


def test_tar_is_prepared(tmp_path):
  # In any order: TFDS sorts the names, and the labels go by position.
  write_tar(tmp_path / TAR, validation_names(5)[::-1])
  dataset = open_dataset(
    'imagenet2012', manual_dir=str(tmp_path), data_dir=str(tmp_path / 'tfds')
  )
  assert {
    e['id'].decode(): e['label'] for e in dataset.examples().as_numpy_iterator()
  } == dict(
    zip(validation_names(5), imagenet.original_validation_labels()[:5], strict=True)
  )
  assert dataset.notes == ('5 of the 50000 validation images',)
  # It is prepared now and needs no tar.
  again = open_dataset('imagenet2012', data_dir=str(tmp_path / 'tfds'))
  assert again.num_examples == 5


@pytest.mark.parametrize('name', ['imagenet2012', 'imagenet2012_real'])
def test_missing_tar(tmp_path, name):
  manual = tmp_path / 'manual'
  arguments = {'data_dir': str(tmp_path / 'tfds')}
  for reason, more in [
    ('no `manual_dir` was given', {}),
    (f'{manual / TAR} does not exist', {'manual_dir': str(manual)}),
  ]:
    message = refused(reason, name, **arguments, **more)
    assert 'https://image-net.org/download-images' in message
    assert '`manual_dir' in message
    assert str(tmp_path / 'tfds') in message
  assert not (tmp_path / 'tfds').exists()


def test_bad_tars(tmp_path):
  names = validation_names(5)
  path = tmp_path / TAR
  arguments = {'manual_dir': str(tmp_path), 'data_dir': str(tmp_path / 'tfds')}
  position = 'labels go by position, so use ILSVRC2012_img_val.tar as it was downloaded'
  for members, folders, words in [
    (names, ['val'], position),
    ([f'./{name}' for name in names], [], position),
    ([f'val/{name}' for name in names], [], position),
    (names[:2] + names[3:], [], f'holds {names[3]} where {names[2]} is due'),
    ([*names, 'README.txt'], [], 'README.txt'),
    ([*names, names[2]], [], position),
    ([], [], f'holds nothing where {names[0]} is due'),
  ]:
    write_tar(path, members, folders)
    refused(words, 'imagenet2012', **arguments)
  content = write_tar(path, names).read_bytes()
  for broken in (
    b'',
    b'<html>Please log in</html>',
    content[:700],
    content[:1500],
    b'\0' * 512 + content[512:],
  ):
    path.write_bytes(broken)
    refused('not a whole tar file|is due', 'imagenet2012', **arguments)
  path.unlink()
  path.mkdir()
  refused('does not exist', 'imagenet2012', **arguments)
  assert not (tmp_path / 'tfds').exists()


def test_real_json_cannot_be_downloaded(tmp_path, monkeypatch):
  write_tar(tmp_path / TAR, validation_names(2))
  monkeypatch.setenv('https_proxy', 'http://127.0.0.1:9')
  monkeypatch.setenv('HTTPS_PROXY', 'http://127.0.0.1:9')
  message = refused(
    'cannot download imagenet2012_real',
    'imagenet2012_real',
    manual_dir=str(tmp_path),
    data_dir=str(tmp_path / 'tfds'),
  )
  assert f'put real.json of google-research/reassessed-imagenet into {tmp_path}' in (
    message
  )


def test_real_json_that_is_another_file(tmp_path):
  write_tar(tmp_path / TAR, validation_names(2))
  (tmp_path / 'real.json').write_text(json.dumps([[1]] * 50_000))
  refused(
    'cannot prepare imagenet2012_real in .*checksum',
    'imagenet2012_real',
    manual_dir=str(tmp_path),
    data_dir=str(tmp_path / 'tfds'),
  )


def test_real_labels_of_another_file(tmp_path):
  write_tar(tmp_path / TAR, validation_names(2))
  path = tmp_path / 'labels.json'
  path.write_text(json.dumps([[7, 8]] * 50_000))
  arguments = {'data_dir': str(tmp_path / 'tfds'), 'real_labels': str(path)}
  dataset = open_dataset('imagenet2012', manual_dir=str(tmp_path), **arguments)
  assert dataset.has_real_labels
  assert dataset.real_labels[validation_names(2)[1]] == (7, 8)
  dataset = open_dataset('noise_thousand', **arguments)
  with pytest.raises(UserError, match=r'0\.png is none: leave `real_labels` out'):
    dataset.real_labels['0.png']


# What is wrong with the disk.


def test_data_dir_that_is_none(tmp_path):
  file = tmp_path / 'file'
  file.write_text('x')
  refused(
    f'cannot prepare noise_thousand in {file}', 'noise_thousand', data_dir=str(file)
  )
  refused('cannot prepare noise_thousand', 'noise_thousand', data_dir='/proc/nowhere')


def test_disk_full_while_preparing(tfeval, tmp_path):
  with limits.largest_file(100_000):
    code, out, err = tfeval(
      'evaluate',
      '--model=EfficientNetLite0',
      '--dataset=sample',
      f'--data_dir={tmp_path / "tfds"}',
      f'--output_dir={tmp_path / "out"}',
    )
  assert (code, out) == (2, '')
  assert 'Traceback' not in err
  assert err.splitlines()[-1].startswith('tfeval: cannot prepare sample in')
  assert not (tmp_path / 'tfds/sample/1.0.0').exists()
  assert not any((tmp_path / 'out').rglob('*'))


def test_corrupt_records_are_told_in_one_line(tmp_path, capsys):
  data_dir = tmp_path / 'tfds'
  dataset = open_dataset('noise_thousand', data_dir=str(data_dir))
  (shard,) = data_dir.rglob('*.tfrecord*')
  content = bytearray(shard.read_bytes())
  middle = len(content) // 2
  content[middle : middle + 9] = b'corrupted'
  shard.write_bytes(content)
  capsys.readouterr()
  code = cli.main(
    [
      'evaluate',
      f'--model={pathlib.Path(__file__).stem}:tiny_model',
      '--preprocess=identity',
      f'--dataset={dataset.name}',
      f'--data_dir={data_dir}',
      f'--output_dir={tmp_path / "out"}',
      '--batch_size=2',
    ]
  )
  out, err = capsys.readouterr()
  assert (code, out) == (2, '')
  assert 'noise_thousand cannot be read after' in err.splitlines()[-1]
  assert 'prepare the dataset again' in err.splitlines()[-1]
  assert 'Traceback' not in err
  assert not list(tmp_path.rglob('result.json'))


def test_descriptions_of_strangers_import_nothing(tmp_path, monkeypatch):
  (tmp_path / 'imported_by_features.py').write_text('1 / 0')
  monkeypatch.syspath_prepend(tmp_path)
  prepared = NoiseNameless(data_dir=tmp_path / 'tfds')
  prepared.download_and_prepare()
  features = pathlib.Path(prepared.data_dir, 'features.json')
  name = 'tensorflow_datasets.core.features.class_label_feature.ClassLabel'
  features.write_text(features.read_text().replace(name, 'imported_by_features.A'))
  # As elsewhere, where nobody knows the code of the dataset.
  copied = tmp_path / 'copied/strange'
  shutil.copytree(tmp_path / 'tfds/noise_nameless', copied)
  refused('imported_by_features', 'strange', data_dir=str(tmp_path / 'copied'))
  assert 'imported_by_features' not in sys.modules


def test_shards_that_are_pipes_are_not_opened(tmp_path):
  prepared = NoiseNameless(data_dir=tmp_path)
  prepared.download_and_prepare()
  (shard,) = tmp_path.rglob('*.tfrecord*')
  shard.unlink()
  os.mkfifo(shard)
  refused('is a named pipe', 'noise_nameless', data_dir=str(tmp_path))


def test_fewer_names_than_classes(tmp_path):
  prepared = NoiseNameless(data_dir=tmp_path)
  prepared.download_and_prepare()
  (names,) = tmp_path.rglob('label.labels.txt')
  names.write_text(''.join(names.read_text().splitlines(True)[:-1]))
  strange = tmp_path / 'copied/strange'
  shutil.copytree(tmp_path / 'noise_nameless', strange)
  refused(
    'declares 1000 classes and names 999', 'strange', data_dir=str(strange.parent)
  )


# Every example once.


def coverage(evaluated, failed=(), expected_ids=None, num_examples=3):
  base.check_coverage(
    base.ImageDataset(
      name='x',
      config=None,
      version=None,
      split='validation',
      label_space=imagenet.label_space(),
      examples=lambda: None,
      num_examples=num_examples,
      expected_ids=expected_ids,
    ),
    evaluated,
    failed,
  )


def test_coverage_holds():
  coverage(['c', 'a', 'b'])
  coverage(['c', 'a'], failed=['b'], expected_ids=['a', 'b', 'c'])


@pytest.mark.parametrize(
  'evaluated, failed, words',
  [
    (
      'ab',
      '',
      r'1 expected examples are missing \(c\) and 0 are not expected \(none\)',
    ),
    ('', '', r'3 expected examples are missing \(a, b, c\)'),
    ('abd', '', r'missing \(c\) and 1 are not expected \(d\)'),
    ('abcd', '', r'0 expected examples are missing \(none\) and 1 .*\(d\)'),
    ('abcb', '', '1 examples came twice: b'),
    ('abc', 'b', '1 examples came twice: b'),
    ('aaabc', '', '2 examples came twice: a'),
  ],
)
def test_coverage_does_not_hold(evaluated, failed, words):
  with pytest.raises(UserError, match=words):
    coverage(list(evaluated), list(failed), expected_ids=['a', 'b', 'c'])


def test_coverage_by_count_alone():
  with pytest.raises(UserError, match='2 examples were seen, x says it has 3'):
    coverage(['a', 'b'])
  with pytest.raises(UserError, match='4 examples were seen, x says it has 3'):
    coverage(['a', 'b'], failed=['c', 'd'])


def test_coverage_names_no_more_than_ten():
  with pytest.raises(UserError, match=r'\(00, 01, .*, 09, \.\.\. and 89 more\)'):
    coverage([], expected_ids=[f'{n:02}' for n in range(99)], num_examples=99)
