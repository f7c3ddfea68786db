"""Names and places of datasets that are refused before TensorFlow is imported."""

import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds
from refusals import refused_before_tensorflow
from tensorflow_datasets.core import naming, registered

from tfeval.datasets import tfds_names
from tfeval.datasets.options import DatasetConfig
from tfeval.utils.errors import UserError


@pytest.fixture(scope='module')
def data(tmp_path_factory):
  root = tmp_path_factory.mktemp('data')
  for place in (
    'old/imagenet2012/5.0.0',
    'real/imagenet2012_real/1.0.0',
    'own/deep/my_things/1.0.0',
  ):
    (root / place).mkdir(parents=True)
    (root / place / 'dataset_info.json').touch()
  (root / 'empty').mkdir()
  images = np.zeros((2, 8, 8, 3), np.uint8)
  np.savez(root / 'x.npz', images=images, labels=np.arange(2))
  return root


def test_refused_before_tensorflow(data, tmp_path):
  none = f'--data_dir={data}/empty'
  expected = {
    f'--dataset=imagenet2012 {none}': f'in {data}/empty/imagenet2012/5.1.0 and no '
    '--manual_dir was given: get ILSVRC2012_img_val.tar',
    none: 'imagenet2012_real is not prepared in',
    f'--dataset=imagenet2012:5.0.0 {none}': 'empty/imagenet2012/5.0.0 and no',
    f'{none} --manual_dir={data}': f'{data}/ILSVRC2012_img_val.tar does not exist',
    f'--dataset=imagenet2012 --data_dir={data}/old': '5.1.0 is not prepared in '
    f'{data}/old, version 5.0.0 is: give --dataset=imagenet2012:5.0.0',
    f'--dataset=imagenet2012:5.0.0 {none}/..': f'give --data_dir={data}/empty/../old',
    f'--dataset=imagenet2012 {none}/../real': 'give --dataset=imagenet2012_real',
    f'--dataset=my_things {none}/../own': f'give --data_dir={data}/empty/../own/deep',
    f'--dataset=cifar1O {none}': "unknown dataset 'cifar1O': did you mean cifar10",
    f'--dataset=Cifar-10 {none}': "unknown dataset 'Cifar-10': did you mean cifar10",
    f'--dataset=imagenet_v3 {none}': 'did you mean imagenet_v2',
    f'--dataset=parqet {none}': 'did you mean parquet:FILES?',
    f'--dataset=nothing/of:1.0.0 {none}': 'known: imagenet2012, imagenet2012_corr',
    '--dataset=cifar1O': 'did you mean cifar10',
    f'--dataset=empty --data_dir={data}': "unknown dataset 'empty'",
    f'--dataset=parquet:{data}/none': 'none does not exist: give parquet:FILES',
    f'--dataset=webdataset:{data}/{{0..2}}.tar': '3 of the webdataset files do not',
    f'--dataset=tfrecord:{data}/empty': 'holds no tfrecord files by their names',
    f'--dataset=npz:{data}/x.npz:clases=a': "npz: has no option 'clases'",
    f'--dataset=npz:{data}/x.npz:classes=no.txt': 'map no.txt: No such file or',
    f'--dataset=npz:{data}/x.npz:labels=no.csv': 'no.csv: No such file or',
  }
  refused_before_tensorflow(expected, tmp_path, TFDS_DATA_DIR=str(data / 'empty'))


def test_the_usual_place_of_data(data, tmp_path):
  expected = {'--dataset=imagenet2012': 'old, version 5.0.0 is'}
  refused_before_tensorflow(expected, tmp_path, TFDS_DATA_DIR=str(data / 'old'))


@pytest.mark.parametrize(
  'name, place',
  [
    ('cifar10', 'empty'),
    ('Cifar10', 'empty'),
    ('imagenet_v2', 'empty'),
    ('imagenet_v2/topimages', 'empty'),
    ('imagenet2012/blue', 'empty'),
    ('imagenet2012:9.9.9', 'empty'),
    ('imagenet2012:5.0.0', 'old'),
    ('imagenet2012:5.*.*', 'empty'),
    ('imagenet2012_real', 'real'),
    ('huggingface:beans', 'empty'),
    ('my_things', 'own/deep'),
  ],
)
def test_names_that_tfds_judges(data, monkeypatch, name, place):
  """What it could prepare or read, or knows alone."""
  monkeypatch.delitem(sys.modules, 'tensorflow_datasets')
  tfds_names.check(DatasetConfig(name, data_dir=str(data / place)))
  with pytest.raises(UserError, match='unknown dataset'):
    tfds_names.check(DatasetConfig('imagenet_v3', data_dir=str(data / place)))
  tfds_names.check(DatasetConfig('imagenet_v3', data_dir='gs://bucket'))


def test_names_are_those_of_tfds():
  known = set(tfds.list_builders(with_community_datasets=False))
  by_tests = {
    name
    for name, one in registered._DATASET_REGISTRY.items()
    if not one.__module__.startswith('tensorflow_datasets.')
  }
  assert known - by_tests <= set(tfds_names._sources())
  for name in ('Cifar10', 'ImagenetV2', 'D4RLDataset', 'imagenet2012'):
    assert tfds_names._snake_case(name) == naming.camelcase_to_snakecase(name)
