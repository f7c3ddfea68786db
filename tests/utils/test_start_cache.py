"""What is kept for the next start: whole, the user's own, or nothing."""

import os

import pytest

from tfeval.utils import start_cache


@pytest.fixture
def home(tmp_path, monkeypatch):
  root = tmp_path / 'cache'
  root.mkdir(mode=0o700)
  monkeypatch.setenv('XDG_CACHE_HOME', str(root))
  monkeypatch.delenv('TFEVAL_CACHE_HOME')
  return root


def test_what_is_written_is_read_again(home):
  assert start_cache.read('graphs', 'a') is None
  start_cache.write('graphs', 'a', b'content')
  assert start_cache.read('graphs', 'a') == b'content'
  assert start_cache.read('graphs', 'b') is None
  assert (home / 'tfeval/graphs').stat().st_mode & 0o777 == 0o700


def test_the_umask_of_groups_changes_nothing(home):
  before = os.umask(0o002)
  try:
    os.rmdir(home)
    os.mkdir(home)
    start_cache.write('graphs', 'a', b'content')
  finally:
    os.umask(before)
  assert home.stat().st_mode & 0o777 == 0o775
  assert start_cache.read('graphs', 'a') == b'content'
  assert (home / 'tfeval').stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize('damage', ['cut', 'bit', 'empty', 'pipe', 'link', 'huge'])
def test_what_is_not_whole_is_not_read(home, tmp_path, damage):
  start_cache.write('graphs', 'a', b'content')
  path = home / 'tfeval/graphs/a'
  content = path.read_bytes()
  if damage in ('pipe', 'link'):
    path.unlink()
  if damage == 'pipe':
    os.mkfifo(path)
  elif damage == 'link':
    (tmp_path / 'elsewhere').write_bytes(content)
    path.symlink_to(tmp_path / 'elsewhere')
  elif damage == 'huge':
    os.truncate(path, 1 << 40)
  else:
    damaged = {'cut': content[:-1], 'bit': bytes([content[0] ^ 1]) + content[1:]}
    path.write_bytes(damaged.get(damage, b''))
  assert start_cache.read('graphs', 'a') is None


@pytest.mark.parametrize('writable', ['', 'tfeval', 'tfeval/graphs'])
def test_nothing_is_taken_from_where_others_can_write(home, writable):
  start_cache.write('graphs', 'a', b'content')
  (home / writable).chmod(0o777)
  assert start_cache.read('graphs', 'a') is None
  (home / writable).chmod(0o700)
  assert start_cache.read('graphs', 'a') == b'content'


@pytest.mark.parametrize('place', ['/dev/null', '/proc/none', 'relative', '/a\0b'])
def test_where_there_can_be_no_cache_there_is_none(home, monkeypatch, place):
  if '\0' in place:
    monkeypatch.setattr(start_cache.os, 'environ', {'XDG_CACHE_HOME': place})
  else:
    monkeypatch.setenv('XDG_CACHE_HOME', place)
  start_cache.write('graphs', 'a', b'content')
  assert start_cache.read('graphs', 'a') is None


def test_a_place_can_be_given_or_none(home, tmp_path, monkeypatch):
  (tmp_path / 'own').mkdir(mode=0o700)
  monkeypatch.setenv('TFEVAL_CACHE_HOME', str(tmp_path / 'own'))
  start_cache.write('graphs', 'a', b'content')
  assert (tmp_path / 'own/graphs/a').exists()
  monkeypatch.setenv('TFEVAL_CACHE_HOME', '')
  assert start_cache.read('graphs', 'a') is None
  start_cache.write('graphs', 'b', b'content')
  assert not list(home.iterdir())


def test_a_disk_that_is_almost_full_is_left_alone(home, monkeypatch):
  monkeypatch.setattr(start_cache, '_SPACE_LEFT', 1 << 60)
  start_cache.write('graphs', 'a', b'content')
  assert not (home / 'tfeval/graphs/a').exists()


def test_only_the_newest_files_stay(home, monkeypatch):
  monkeypatch.setattr(start_cache, '_MOST_FILES', 3)
  for number in range(6):
    start_cache.write('graphs', str(number), b'content')
    os.utime(home / f'tfeval/graphs/{number}', (number, number))
  there = {path.name for path in (home / 'tfeval/graphs').iterdir()}
  assert there == {'2', '3', '4', '5'}
