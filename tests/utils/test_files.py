"""Atomic writing and reading."""

import errno
import hashlib
import os
import threading

import pytest

from tfeval.utils import files, locks
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
  assert os.listdir(tmp_path) == ['folder']


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
  with pytest.raises(UserError, match='Is a directory'):
    files.read_json(tmp_path)


@pytest.mark.parametrize('content', [b'', b'abc', bytes(1_000_003)])
def test_sha256(tmp_path, content):
  path = tmp_path / 'a'
  path.write_bytes(content)
  assert files.sha256_of(path) == hashlib.sha256(content).hexdigest()


def test_one_at_a_time(tmp_path, caplog):
  caplog.set_level('INFO', 'tfeval')
  path, done = tmp_path / 'made/a.lock', []

  def other():
    with locks.one_at_a_time(path, 'testing'):
      done.append('other')

  with locks.one_at_a_time(path, 'testing'):
    thread = threading.Thread(target=other)
    thread.start()
    thread.join(0.2)
    assert thread.is_alive()
    done.append('first')
  thread.join(10)
  assert done == ['first', 'other']
  assert caplog.messages == ['another process is testing: waiting for it']


def test_digest_of_pairs_by_hand():
  expected = hashlib.sha256(b'a\t3\nb\t\nc\tx\n').hexdigest()
  pairs = [('c', 'x'), ('a', 3), ('b', None)]
  assert files.digest_of_pairs(pairs) == expected
  assert files.digest_of_pairs(reversed(pairs)) == expected
  assert files.digest_of_pairs([('a', 3), ('b', 0), ('c', 'x')]) != expected
