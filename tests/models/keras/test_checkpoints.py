"""Checkpoints as they are found in a folder."""

import hashlib

import pytest

from tfeval.models.keras import checkpoints
from tfeval.utils.errors import UserError


def names(folder):
  return [
    (one.name, one.kind, one.step) for one in checkpoints.find_checkpoints(folder)
  ]


def test_all_kinds_by_their_steps(tmp_path):
  for name in (
    '10-0.52.keras',
    '9.weights.h5',
    'ckpt-2.index',
    'ckpt-2.data-00000-of-00001',
    'checkpoint',
    'log.csv',
    '.4.keras.tmp',
    '.5.keras',
    'best.keras',
    'old.h5',
  ):
    (tmp_path / name).write_text(name)
  for name in ('3', '4.orbax-checkpoint-tmp-17', 'logs'):
    (tmp_path / name).mkdir()
  for name in ('3', '4.orbax-checkpoint-tmp-17'):
    (tmp_path / name / '_CHECKPOINT_METADATA').write_text('{}')
  assert names(tmp_path) == [
    ('ckpt-2', 'tensorflow', 2),
    ('3', 'orbax', 3),
    ('9.weights.h5', 'weights', 9),
    ('10-0.52.keras', 'keras', 10),
    ('best.keras', 'keras', None),
  ]


def test_written_over_or_gone(tmp_path):
  path = tmp_path / 'best.keras'
  path.write_bytes(b'one')
  (first,) = checkpoints.find_checkpoints(tmp_path)
  assert checkpoints.now(first) == first
  assert first.sha256() == hashlib.sha256(b'one').hexdigest()
  path.write_bytes(b'another')
  assert checkpoints.now(first) not in (None, first)
  path.unlink()
  assert checkpoints.now(first) is None
  with pytest.raises(OSError):
    first.sha256()


def test_tensorflow_is_known_by_all_of_its_files(tmp_path):
  for name in ('ckpt-2.index', 'ckpt-2.data-00000-of-00001', 'ckpt-21.index'):
    (tmp_path / name).write_text(name)
  one, _ = checkpoints.find_checkpoints(tmp_path)
  assert [path.name for path in one.files()] == [
    'ckpt-2.data-00000-of-00001',
    'ckpt-2.index',
  ]
  before = one.sha256()
  (tmp_path / 'ckpt-2.data-00000-of-00001').write_text('other')
  assert checkpoints.now(one) == one and one.sha256() != before


def test_folders_that_are_none(tmp_path):
  assert checkpoints.find_checkpoints(tmp_path / 'later') == []
  (tmp_path / 'file').touch()
  with pytest.raises(UserError, match='cannot read .*file: Not a directory'):
    checkpoints.find_checkpoints(tmp_path / 'file')
