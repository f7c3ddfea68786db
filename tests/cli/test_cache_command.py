"""`tfeval cache` on files that are made here, without TensorFlow."""

import hashlib
import json
import os
import struct
import subprocess
import sys
import time

import numpy as np
import pytest

from tfeval.engine.cache import chunks, entries
from tfeval.utils import files


def framed(record):
  """A TFRecord whose checksums, which only TensorFlow looks at, are zero."""
  return struct.pack('<Q', len(record)) + bytes(4) + record + bytes(4)


def make_chunk(directory, start, stop):
  pixels = np.zeros((2, 2, 3), np.uint8)
  image = framed(chunks.record(bytes(32), pixels))
  content = framed(chunks.header(directory.name, start, stop)) + (stop - start) * image
  path = directory / chunks.name(start, stop, hashlib.sha256(content).hexdigest())
  path.write_bytes(content)
  return path


def make_entry(root, name, images=10):
  description = {
    'format': 1,
    'images': images,
    'made_by': {},
    'protocol': {'spec': name, 'size': 2, 'dtype': 'uint8'},
    'dataset': {'name': 'photos', 'split': 'test'},
  }
  directory = root / entries.key_of(description)
  directory.mkdir()
  files.write_json(directory / entries.ENTRY, description)
  return directory


@pytest.fixture
def cache(tmp_path):
  """An entry that is whole, `a`, and `b`, which lacks its last two images."""
  root, _ = entries.prepare(str(tmp_path / 'c'))
  for name, stop in (('a', 10), ('b', 8)):
    directory = make_entry(root, name)
    for start in range(0, stop, 4):
      make_chunk(directory, start, min(start + 4, stop))
  return root


def paths(cache):
  return sorted(path for path in cache.rglob('*') if path.is_file())


def test_list(cache, tfeval):
  code, out, err = tfeval('cache', 'list', cache, '--json')
  assert (code, err) == (0, '')
  found = {one['protocol']: one for one in json.loads(out)}
  size = sum(path.stat().st_size for path in cache.rglob('*.tfrecord'))
  assert sum(one['bytes'] for one in found.values()) == size
  assert {
    name: (one['cached'], one['images'], one['complete'], one['size'])
    for name, one in found.items()
  } == {'a': (10, 10, True, 2), 'b': (8, 10, False, 2)}
  code, out, err = tfeval('cache', 'list', cache)
  assert (code, err) == (0, '') and '1 of 2 complete' in out
  assert max(map(len, out.splitlines())) <= 80


def test_no_tensorflow(cache):
  code = (
    'import sys; from tfeval import cli; cli.main(sys.argv[1:]); '
    'assert not {"tensorflow", "keras"} & {*sys.modules}'
  )
  for action in ('list', 'verify', 'prune'):
    subprocess.run(
      [sys.executable, '-c', code, 'cache', action, cache],
      check=True,
      stdout=subprocess.DEVNULL,
      stderr=subprocess.DEVNULL,
    )


def test_verify(cache, tfeval):
  code, out, _ = tfeval('cache', 'verify', cache)
  assert (code, out) == (0, '5 of 5 files are whole\n')
  torn = sorted(cache.rglob('*.tfrecord'))[2]
  content = bytearray(torn.read_bytes())
  content[-1] ^= 1
  torn.write_bytes(content)
  code, out, err = tfeval('cache', 'verify', cache, '--json')
  assert code == 1 and '1 of 5 files of' in err.splitlines()[-1]
  assert json.loads(out) == [
    {'file': str(torn), 'fault': 'it was changed after it was written'}
  ]


def test_prune(cache, tfeval):
  before = paths(cache)
  torn = sorted(cache.rglob('*.tfrecord'))[1]
  torn.write_bytes(torn.read_bytes()[:100])
  entry = torn.parent
  old, new = entry / '.chunk-00000000.a.tmp', entry / '.chunk-00000000.b.tmp'
  foreign = entry / 'notes.txt'
  for path in (old, new, foreign, cache / 'notes.txt'):
    path.write_text('x')
  os.utime(old, times=(0, time.time() - 7200))
  code, out, _ = tfeval('cache', 'prune', cache, '--dry_run', '--json')
  assert code == 0
  assert {one['file'] for one in json.loads(out)} == {str(torn), str(old)}
  assert torn.exists() and old.exists()
  code, out, err = tfeval('cache', 'prune', cache)
  assert (code, err) == (0, '') and '2 files removed' in out
  kept = {*before, new, foreign, cache / 'notes.txt'} - {torn}
  assert {*paths(cache)} == kept
  code, _, _ = tfeval('cache', 'prune', cache, '--all')
  # The other entry is gone with its directory, and nothing that is not ours.
  assert code == 0
  assert {*cache.iterdir()} == {cache / entries.TAG, cache / 'notes.txt', entry}
  assert [*entry.iterdir()] == [foreign]


@pytest.mark.parametrize('damaged', ['[', '[]', '{"images": 3}'])
def test_prune_what_is_old_or_damaged(cache, tfeval, damaged):
  one, other = sorted(path for path in cache.iterdir() if path.is_dir())
  os.utime(one / entries.ENTRY, times=(0, time.time() - 3 * 24 * 3600))
  code, _, _ = tfeval('cache', 'prune', cache, '--older_than=4')
  assert code == 0 and one.is_dir() and other.is_dir()
  code, _, _ = tfeval('cache', 'prune', cache, '--older_than=2')
  assert code == 0 and other.is_dir() and not one.exists()
  (other / entries.ENTRY).write_text(damaged)
  code, out, _ = tfeval('cache', 'list', cache)
  assert code == 0 and 'damaged' in out
  assert tfeval('cache', 'prune', cache)[0] == 0
  assert [*cache.iterdir()] == [cache / entries.TAG]


@pytest.mark.parametrize('action', ['list', 'verify', 'prune'])
def test_another_directory_is_refused(tmp_path, tfeval, action):
  (tmp_path / 'thesis.tex').write_text('')
  for directory in (tmp_path, tmp_path / 'none', tmp_path / 'thesis.tex'):
    code, out, err = tfeval('cache', action, directory)
    assert (code, out) == (2, '')
    (said,) = err.splitlines()
    assert f'{directory} is no cache of tfeval' in said
  assert (tmp_path / 'thesis.tex').exists()


def test_a_description_that_was_crafted(cache, tfeval):
  """Its key is right, and it lacks what it should have."""
  for description in (
    {'images': 1},
    {'images': 1, 'protocol': {}, 'dataset': {}},
    {
      'images': 1,
      'dataset': {'name': 'a', 'split': ''},
      'protocol': {'size': 1 << 40, 'dtype': 'uint8', 'spec': 'opencv'},
    },
  ):
    directory = cache / entries.key_of(description)
    directory.mkdir()
    files.write_json(directory / entries.ENTRY, description)
    make_chunk(directory, 0, 1)
  assert tfeval('cache', 'list', cache)[1].count('damaged') == 3
  code, out, err = tfeval('cache', 'verify', cache)
  assert code == 1 and '3 of 8 files' in err and 'entry.json is missing or' in out


def test_a_link_is_not_followed(cache, tmp_path, tfeval):
  elsewhere = make_entry(tmp_path, 'elsewhere')
  kept = make_chunk(elsewhere, 0, 4)
  (cache / elsewhere.name).symlink_to(elsewhere)
  assert tfeval('cache', 'prune', cache, '--all')[0] == 0
  assert kept.exists()


@pytest.mark.parametrize(
  'arguments, words',
  [
    ([], 'expected list, verify or prune and a directory'),
    (['lst', '.'], 'did you mean list?'),
    (['list', '.', '--all'], '--all is for prune'),
  ],
)
def test_mistakes(tfeval, arguments, words):
  code, out, err = tfeval('cache', *arguments)
  assert (code, out) == (2, '') and words in err
