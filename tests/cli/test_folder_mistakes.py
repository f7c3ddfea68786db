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
  ):
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(b'')
  (root / 'empty').mkdir()
  return root


def test_refused_before_tensorflow(folders, tmp_path):
  expected = {
    '--dataset=folder:nowhere': "folder 'nowhere' does not exist: give the folder",
    f'--dataset={folders}/nowhere': 'does not exist: give the folder',
    f'--dataset={folders}/empty': 'holds no images: expected',
    f'--dataset=folder:{folders}/both': f'give folder:{folders}/both/val or folder:',
    f'--dataset=folder:{folders}/crane': 'or give --class_folders=name if',
    f'--dataset=folder:{folders}/photos': 'cat.jpg: no label is known for this name',
    f'--dataset=folder:{folders}/flat --split=test': '--split=test: a folder has no',
    f'--dataset=folder:{folders}/flat --class_folders=index': 'no class folders: leave',
    '--class_folders=index': '--class_folders=index: imagenet2012_real is no folder',
  }
  refused_before_tensorflow(expected, tmp_path)
