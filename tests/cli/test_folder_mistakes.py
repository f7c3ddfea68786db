"""Folders that are refused before TensorFlow is imported."""

import os
import subprocess
import sys

import pytest

from tfeval.datasets.labels import imagenet

# Each of its arguments is a dataset; whoever imports TensorFlow gets an ImportError.
_CODE = """
import sys
sys.modules['tensorflow'] = sys.modules['keras'] = None
from tfeval import cli
for text in sys.argv[1:]:
  print(cli.main(['evaluate', '--model=MobileNet', *text.split()]), flush=True)
"""


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
  done = subprocess.run(
    [sys.executable, '-c', _CODE, *expected],
    capture_output=True,
    text=True,
    cwd=tmp_path,
    env={**os.environ, 'COLUMNS': '80'},
  )
  assert done.stdout.split() == ['2'] * len(expected), done.stderr
  lines = done.stderr.splitlines()
  assert len(lines) == len(expected), done.stderr
  for line, words in zip(lines, expected.values(), strict=True):
    assert line.startswith('tfeval: ') and words in line
  assert not list(tmp_path.iterdir())
