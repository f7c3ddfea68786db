"""A store that was interrupted at any step ends as one that was not, byte for byte."""

import json
import os

import pytest
from interrupted_store import BROKEN, IMAGES, SIZE, content, store

from tfeval.runs.predictions import resume


class Stop(BaseException):
  """As Ctrl-C and SIGKILL, no Exception."""


@pytest.fixture(params=BROKEN)
def broken(request):
  return BROKEN[request.param]


@pytest.fixture
def whole(tmp_path, broken):
  store(tmp_path / 'whole', broken)
  return content(tmp_path / 'whole')


def test_parts_end_where_positions_say(whole, broken):
  parts = json.loads(whole['index.json'])['parts']
  there = [set(resume.positions_of([part])) for part in parts]
  wanted = [
    set(range(i, min(i + SIZE, IMAGES))) - broken for i in range(0, IMAGES, SIZE)
  ]
  assert there == [one for one in wanted if one]


@pytest.mark.parametrize('step', range(12))
@pytest.mark.parametrize('when', ['before', 'after'])
def test_stopped_at_any_step_of_writing(
  tmp_path, monkeypatch, whole, broken, step, when
):
  """The steps: every renaming of a part or of the index into place."""
  replace, calls = os.replace, []

  def stop(source, target):
    calls.append(target)
    if len(calls) == step + 1:
      if when == 'after':
        replace(source, target)
      raise Stop
    replace(source, target)

  directory = tmp_path / 'stopped'
  with monkeypatch.context() as patched:
    patched.setattr(os, 'replace', stop)
    try:
      store(directory, broken)
    except Stop:
      pass
  store(directory, broken)
  assert content(directory) == whole


@pytest.mark.parametrize('flush', [True, False])
@pytest.mark.parametrize('every', [2, 4, 8, 10])
def test_stopped_again_and_again(tmp_path, whole, broken, flush, every):
  """With and without what Ctrl-C flushes, which makes parts shorter for a while."""
  directory = tmp_path / 'stopped'
  for last in range(every, IMAGES + every, every):
    store(directory, broken, last=min(last, IMAGES), flush=flush)
  store(directory, broken)
  assert content(directory) == whole


def test_a_short_part_counts_and_is_filled(tmp_path):
  store(tmp_path / 'a', set(), last=10)
  assert store(tmp_path / 'a', set()) == 10
  assert store(tmp_path / 'a', set()) == IMAGES


@pytest.mark.parametrize(
  'file, damage, left',
  [
    ('part-00001.parquet', lambda data: data[:-9], 6),
    ('part-00001.parquet', lambda data: b'', 6),
    ('part-00000.parquet', lambda data: data[:50] + b'x' + data[51:], 0),
    ('index.json', lambda data: data[: len(data) // 2], 0),
    ('index.json', lambda data: b'', 0),
    ('index.json', lambda data: data.replace(b'12\n', b'13\n'), 6),
    ('index.json', lambda data: data.replace(b'"positions"', b'"position"'), 0),
    ('index.json', lambda data: data.replace(b'00001', b'00007'), 6),
  ],
)
def test_what_is_damaged_is_done_again(tmp_path, file, damage, left):
  directory = tmp_path / 'store'
  store(directory, set())
  whole = content(directory)
  assert damage(whole[file]) != whole[file]
  (directory / file).write_bytes(damage(whole[file]))
  (directory / '.part-00003.parquet.1.tmp').write_bytes(b'torn')
  (directory / 'part-00009.parquet').write_bytes(b'not listed')
  assert store(directory, set()) == left
  assert content(directory) == whole


def test_a_gap_ends_what_is_kept_where_none_may_be(tmp_path):
  store(tmp_path, {8})
  whole = resume.whole_parts(tmp_path, range(IMAGES), gapless=False)
  assert [part['rows'] for part in whole] == [6, 5, 6, 5]
  assert resume.whole_parts(tmp_path, range(IMAGES), gapless=True) == whole[:1]


def test_parts_of_another_share_are_not_kept(tmp_path):
  store(tmp_path, set(), shard=range(6, 18))
  assert len(resume.whole_parts(tmp_path, range(6, 18), gapless=True)) == 2
  assert resume.whole_parts(tmp_path, range(8, 18), gapless=True) == []
  assert len(resume.whole_parts(tmp_path, range(6, 12), gapless=True)) == 1


@pytest.mark.parametrize(
  'ranges',
  [
    None,
    [],
    [[0]],
    [[0, 6.0]],
    [[6, 0]],
    [[0, 3], [2, 5]],
    [[-3, 3]],
    [[True, 7]],
    ['06'],
    {'0': 6},
  ],
)
def test_positions_that_are_none(tmp_path, ranges):
  store(tmp_path, set())
  index = json.loads((tmp_path / 'index.json').read_text())
  index['parts'][0]['positions'] = ranges
  (tmp_path / 'index.json').write_text(json.dumps(index))
  assert resume.whole_parts(tmp_path, range(IMAGES), gapless=False) == []
