"""Folders that are refused before TensorFlow is imported."""

import pytest
from refusals import refused_before_tensorflow

from tfeval.datasets.labels import imagenet


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
  root = tmp_path_factory.mktemp('folders')
  for name in (
    'both/train/n01440764/a.JPEG',
    'both/val/n01440764/a.JPEG',
    'crane/crane/a.jpg',
    'photos/cat.jpg',
    f'flat/{imagenet.validation_name(1)}',
    'tfds/imagenet2012/5.1.0/dataset_info.json',
  ):
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(b'')
  (root / 'empty').mkdir()
  for name in ('x.tar', 'x.parquet', 'x.npz', 'x.tfrecord'):
    (root / name).write_bytes(b'x' * 600)
  return root


def test_refused_before_tensorflow(folders, tmp_path):
  expected = {
    '--dataset=folder:nowhere': "folder 'nowhere' does not exist: give the folder",
    f'--dataset={folders}/nowhere': 'does not exist: give the folder',
    f'--dataset={folders}/empty': 'holds no images: expected',
    f'--dataset=folder:{folders}/both': f'give --dataset=folder:{folders}/both/val or',
    f'--dataset=folder:{folders}/crane': 'or give --class_folders=name if',
    f'--dataset=folder:{folders}/photos': 'cat.jpg: no label is known for this name',
    f'--dataset=folder:{folders}/flat --split=test': '--split=test: a folder has no',
    f'--dataset=folder:{folders}/flat --class_folders=index': 'no class folders: leave',
    f'--dataset=webdataset:{folders}/x.tar': 'x.tar is not a whole tar file',
    f'--dataset=parquet:{folders}/x.parquet': 'x.parquet is not a readable Parquet',
    f'--dataset=npz:{folders}/x.npz': 'x.npz is not a readable .npz file',
    f'--dataset=tfrecord:{folders}/x.tfrecord': 'x.tfrecord has no record at byte 0',
    '--class_folders=index': '--class_folders=index: imagenet2012_real is no folder',
    '--dataset=photos': "unknown dataset 'photos': known: ",
    f'--data_dir={folders}/tfds/imagenet2012/5.1.0 --dataset=imagenet2012': (
      f'but in {folders}/tfds: give --data_dir={folders}/tfds'
    ),
    f'--data_dir={folders}/tfds': 'but imagenet2012 is, which has the same images',
    f'--data_dir={folders}/no': 'and no --manual_dir was given: get',
    f'--data_dir={folders}/no --manual_dir={folders}': 'img_val.tar does not exist',
    f'--dataset=parquet:{folders}/no.parquet': 'no.parquet does not exist: give',
    f'--dataset=webdataset:{folders}/no-{{0..1}}.tar': '2 of the webdataset files',
    f'--dataset=tfrecord:{folders}/empty': 'holds no tfrecord files',
    f'--dataset=npz:{folders}/no.npz': 'no.npz does not exist: give npz:FILES',
  }
  refused_before_tensorflow(expected, tmp_path)
