"""Paths of URLs do what those of pathlib do, and say in one line what they cannot."""

import io
import os
import pathlib
import random
import sys

import pytest
import tensorflow as tf

from tfeval.utils import files, locks, paths
from tfeval.utils.errors import UserError

UNKNOWN = 'foo://host/runs'


@pytest.fixture
def remote(tmp_path):
  root = paths.path(f'ram://{tmp_path.name}/root')
  root.mkdir(parents=True, exist_ok=True)
  yield root
  tf.io.gfile.rmtree(f'ram://{tmp_path.name}')


@pytest.fixture
def both(remote, tmp_path):
  return remote, tmp_path


def same(both, look):
  """Holds that something is seen alike on both; returns it."""
  seen = []
  for root in both:
    try:
      seen.append(look(root))
    except OSError as error:
      seen.append((type(error), error.errno, error.strerror))
  assert seen[0] == seen[1]
  return seen[1]


def fill(root):
  for name in (
    'a/part-00001.parquet',
    'a/b/part-00000.parquet',
    'a/.x.1.tmp',
    'c.json',
  ):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(name.encode())


def names(root, found):
  return sorted(str(path).removeprefix(f'{root}/') for path in found)


def test_what_is_there(both):
  for root in both:
    fill(root)
  for look in (
    lambda root: names(root, root.iterdir()),
    lambda root: names(root, (root / 'a').glob('part-*.parquet')),
    lambda root: names(root, (root / 'a').glob('.*.tmp')),
    lambda root: names(root, root.rglob('part-*.parquet')),
    lambda root: [
      ((root / name).exists(), (root / name).is_file(), (root / name).is_dir())
      for name in ('a', 'c.json', 'none')
    ],
    lambda root: (root / 'c.json').read_text('utf-8'),
    lambda root: files.sha256_of(root / 'a/part-00001.parquet'),
    lambda root: [one.match('.*.tmp') for one in sorted((root / 'a').iterdir())],
  ):
    assert same(both, look)


def test_what_is_missing(both):
  missing = same(both, lambda root: (root / 'none').read_bytes())
  assert missing[0] is FileNotFoundError
  assert same(both, lambda root: list((root / 'none').iterdir())) == missing
  assert same(both, lambda root: (root / 'none').unlink()) == missing
  assert same(both, lambda root: (root / 'none').unlink(missing_ok=True)) is None
  assert same(both, lambda root: list((root / 'none').glob('*'))) == []
  assert same(both, lambda root: list((root / 'none').rglob('*'))) == []


def test_parts_of_a_path():
  remote, local = paths.path('gs://bucket/runs/'), pathlib.Path('/bucket/runs')
  for look in (
    lambda p: p.name,
    lambda p: (p / 'x.weights.h5').suffix,
    lambda p: (p / 'a/b').parent.name,
    lambda p: p.with_name('y').name,
  ):
    assert look(remote) == look(local)
  assert str(remote / 'a' / 'b/c') == 'gs://bucket/runs/a/b/c'
  assert str(paths.path('hdfs:///data')) == 'hdfs:///data'
  assert paths.path(remote) is remote
  assert remote.parent.parent == paths.path('gs://bucket')
  assert sorted([remote / 'b', remote / 'a']) == [remote / 'a', remote / 'b']


def test_reading_here_and_there(remote):
  content = random.Random(0).randbytes(1_000_003)
  (remote / 'file').write_bytes(content)
  rng = random.Random(1)
  with (remote / 'file').open('rb') as file, io.BytesIO(content) as wanted:
    for _ in range(200):
      whence = rng.choice((os.SEEK_SET, os.SEEK_CUR, os.SEEK_END))
      here = wanted.tell()
      start = {os.SEEK_SET: 0, os.SEEK_CUR: here, os.SEEK_END: len(content)}[whence]
      offset = rng.randrange(len(content)) - start
      assert file.seek(offset, whence) == wanted.seek(offset, whence)
      count = rng.choice((0, 1, 100, 300_000))
      assert file.read(count) == wanted.read(count)
      assert file.tell() == wanted.tell()


def test_atomic_writing(both):
  def write(root):
    for content in (b'first', b'', b'third' * 100_000):
      files.write_atomically(root / 'a.bin', content)
      assert (root / 'a.bin').read_bytes() == content
    return names(root, root.iterdir())

  assert same(both, write) == ['a.bin']


def test_an_interrupted_write_leaves_what_was_there(remote, monkeypatch):
  (remote / 'a').write_bytes(b'old')

  def interrupt(*_):
    raise KeyboardInterrupt

  monkeypatch.setattr(type(remote), 'replace', interrupt)
  with pytest.raises(KeyboardInterrupt):
    files.write_atomically(remote / 'a', b'new')
  assert names(remote, remote.iterdir()) == ['a']
  assert (remote / 'a').read_bytes() == b'old'


def test_trees_are_removed(both):
  for root in both:
    fill(root)
    files.remove_tree(root / 'a')
    files.remove_tree(root / 'none')
  assert same(both, lambda root: names(root, root.rglob('*'))) == ['c.json']


def test_copies_are_there_as_long_as_they_are_needed(remote, tmp_path):
  fill(remote)
  with paths.local_copy(remote / 'a') as copy:
    assert names(copy, (one for one in copy.rglob('*') if one.is_file())) == [
      '.x.1.tmp',
      'b/part-00000.parquet',
      'part-00001.parquet',
    ]
    assert (copy.name, (copy / 'b/part-00000.parquet').read_text()) == (
      'a',
      'a/b/part-00000.parquet',
    )
  assert not copy.parent.exists()
  with pytest.raises(UserError, match=f'^{remote}/c.json is torn$'):
    with paths.local_copy(remote / 'c.json') as copy:
      raise UserError(f'{copy} is torn')
  assert not copy.parent.exists()
  with pytest.raises(UserError, match='cannot copy .*/none into .*No such file'):
    with paths.local_copy(remote / 'none'):
      pass
  with paths.local_copy(tmp_path) as same_path:
    assert same_path == tmp_path


@pytest.mark.parametrize(
  'touch',
  [
    lambda path: path.is_dir(),
    lambda path: files.read_json(path),
    lambda path: files.write_json(path, 1),
    lambda path: locks.locked(path).__enter__(),
  ],
)
def test_a_scheme_that_is_not_known(touch):
  with pytest.raises(UserError, match='TensorFlow has no file system for foo://') as e:
    touch(paths.path(UNKNOWN))
  assert UNKNOWN in str(e.value) and '\n' not in str(e.value)
  assert 'gs://' in str(e.value)


def test_s3_without_s3fs_names_the_extra(monkeypatch):
  monkeypatch.setitem(sys.modules, 's3fs', None)
  monkeypatch.setenv('AWS_OF_THIS_TEST', 'no file system is kept of it')
  path = paths.path('s3://bucket/run')
  for act in (path.exists, path.read_bytes, lambda: files.make_directory(path)):
    with pytest.raises(UserError, match=r"^s3://bucket/.* pip install 'tfeval\[s3\]'$"):
      act()
