"""Atomic writing and reading."""

import errno
import hashlib
import os

import pytest

from tfeval.utils import files, lock_file
from tfeval.utils.errors import UserError


def test_write_creates_and_replaces(tmp_path):
  path = tmp_path / 'a.bin'
  for content in (b'first\0\xff', b'', b'third' * 100_000):
    files.write_atomically(path, content)
    assert path.read_bytes() == content
    assert os.listdir(tmp_path) == ['a.bin']


@pytest.mark.parametrize('function', ['fsync', 'replace'])
def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch, function):
  path = tmp_path / 'a.json'
  path.write_bytes(b'old')

  def full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

  monkeypatch.setattr(os, function, full)
  with pytest.raises(UserError, match='cannot write .*No space left') as error:
    files.write_atomically(path, b'new')
  assert str(path) in str(error.value)
  assert len(str(error.value).splitlines()) == 1
  assert path.read_bytes() == b'old'
  assert os.listdir(tmp_path) == ['a.json']


def test_an_interrupted_write_leaves_what_was_there(tmp_path, monkeypatch):
  path = tmp_path / 'a.json'
  path.write_bytes(b'old')

  def interrupt(*_):
    raise KeyboardInterrupt

  monkeypatch.setattr(os, 'fsync', interrupt)
  with pytest.raises(KeyboardInterrupt):
    files.write_atomically(path, b'new')
  assert path.read_bytes() == b'old'
  assert os.listdir(tmp_path) == ['a.json']


def test_write_where_it_cannot(tmp_path):
  with pytest.raises(UserError, match='No such file or directory'):
    files.write_atomically(tmp_path / 'missing' / 'a', b'x')
  (tmp_path / 'folder').mkdir()
  with pytest.raises(UserError, match='Is a directory'):
    files.write_atomically(tmp_path / 'folder', b'x')
  os.mkfifo(tmp_path / 'pipe')
  (tmp_path / 'link').symlink_to('/dev/null')
  for name in ('pipe', 'link'):
    with pytest.raises(UserError, match='it is a device or a pipe: name a file'):
      files.write_atomically(tmp_path / name, b'x')
  assert {*os.listdir(tmp_path)} == {'folder', 'pipe', 'link'}


@pytest.mark.parametrize(
  'content', [{'text': 'é\n"', 'number': 0.1, 'list': [1, None, True]}, [], 'x', 0]
)
def test_json_round_trip(tmp_path, content):
  path = tmp_path / 'a.json'
  files.write_json(path, content)
  assert files.read_json(path) == content
  assert path.read_bytes().endswith(b'\n')


@pytest.mark.parametrize('value', [float('nan'), float('inf'), -float('inf')])
def test_json_refuses_what_is_not_a_number(tmp_path, value):
  path = tmp_path / 'a.json'
  files.write_json(path, {'old': 1})
  with pytest.raises(ValueError) as error:
    files.write_json(path, {'new': [value]})
  assert not isinstance(error.value, UserError)
  assert files.read_json(path) == {'old': 1}
  assert os.listdir(tmp_path) == ['a.json']


def test_a_directory_that_is_only_checked(tmp_path):
  files.check_directory(tmp_path / 'a/b')
  assert not list(tmp_path.iterdir())
  (tmp_path / 'a').mkdir()
  files.check_directory(tmp_path / 'a/b')
  files.check_directory(tmp_path / 'a')
  assert [one.name for one in tmp_path.iterdir()] == ['a']
  (tmp_path / 'file').touch()
  with pytest.raises(UserError, match='Not a directory'):
    files.check_directory(tmp_path / 'file/b')


@pytest.mark.parametrize('content', [b'', b'{"a": 1', b'\xff\xfe', b'[' * 200_000])
def test_read_refuses_what_is_not_json(tmp_path, content):
  path = tmp_path / 'a.json'
  path.write_bytes(content)
  with pytest.raises(UserError, match='is not JSON') as error:
    files.read_json(path)
  assert str(path) in str(error.value)
  assert len(str(error.value).splitlines()) == 1


def test_read_what_is_not_there(tmp_path):
  with pytest.raises(UserError, match='No such file'):
    files.read_json(tmp_path / 'a.json')
  with pytest.raises(UserError, match='is a directory'):
    files.read_json(tmp_path)


@pytest.mark.parametrize('content', [b'', b'abc', bytes(1_000_003)])
def test_sha256(tmp_path, content):
  path = tmp_path / 'a'
  path.write_bytes(content)
  assert files.sha256_of(path) == hashlib.sha256(content).hexdigest()


def test_what_a_killed_process_has_left_is_removed(tmp_path):
  """Of the same file alone, and not while its process lives."""
  names = ['.a.0123456789abcdef.tmp', '.b.0123456789abcdef.tmp', '.a.mine.tmp']
  for name in names:
    (tmp_path / name).write_text('torn')
  alive = lock_file.take(tmp_path / '.a.fedcba9876543210.tmp')
  files.write_atomically(tmp_path / 'a', b'x')
  assert sorted(os.listdir(tmp_path)) == sorted(
    [*names[1:], '.a.fedcba9876543210.tmp', 'a']
  )
  os.close(alive)
  files.write_atomically(tmp_path / 'a', b'y')
  assert sorted(os.listdir(tmp_path)) == sorted([*names[1:], 'a'])


def test_links_that_wait_for_a_writer_are_not_followed(tmp_path, monkeypatch):
  monkeypatch.setattr(files.secrets, 'token_hex', lambda count: 'ab' * count)
  victim = tmp_path / 'victim'
  victim.write_text('mine')
  (tmp_path / f'.a.{"ab" * 8}.tmp').symlink_to(victim)
  with pytest.raises(UserError, match='File exists'):
    files.write_atomically(tmp_path / 'a', b'x')
  assert victim.read_text() == 'mine' and not (tmp_path / 'a').exists()


def test_a_tree_is_removed_with_what_is_left_of_one(tmp_path):
  for name in ('tree', '.tree.0123456789abcdef.tmp', '.trees.0123456789abcdef.tmp'):
    (tmp_path / name / 'a').mkdir(parents=True)
  (tmp_path / 'link').symlink_to(tmp_path / 'tree')
  files.remove_tree(tmp_path / 'link')
  assert (tmp_path / 'link/a').is_dir()
  files.remove_tree(tmp_path / 'tree')
  files.remove_tree(tmp_path / 'none')
  assert {*os.listdir(tmp_path)} == {'link', '.trees.0123456789abcdef.tmp'}


def test_digest_of_pairs_by_hand():
  expected = hashlib.sha256(b'a\t3\nb\t\nc\tx\n').hexdigest()
  pairs = [('c', 'x'), ('a', 3), ('b', None)]
  assert files.digest_of_pairs(pairs) == expected
  assert files.digest_of_pairs(reversed(pairs)) == expected
  assert files.digest_of_pairs([('a', 3), ('b', 0), ('c', 'x')]) != expected


def test_digests_of_ids_with_tabs_and_line_feeds_by_hand():
  expected = hashlib.sha256(b'\ta\\tb\\nc\\\\\t3\nd\\\t4\n').hexdigest()
  assert files.digest_of_pairs([('d\\', 4), ('a\tb\nc\\', 3)]) == expected
  ambiguous = [
    [('a\t1\nb', 2)],
    [('a', 1), ('b', 2)],
    [('a', '1\nb\t2')],
    [('a\\t1\\nb', 2)],
    [('', 'a\\t1\\nb\t2')],
    [('\ta', 1), ('b', 2)],
    [('a\\', 1), ('b', 2)],
  ]
  assert len({files.digest_of_pairs(pairs) for pairs in ambiguous}) == len(ambiguous)
