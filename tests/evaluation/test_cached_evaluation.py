"""Whole evaluations with --cache_dir: the same bytes as without it."""

import json
import os
import signal

import limits
import pytest
import tensorflow as tf
from evaluations import content, ended, make_inputs, start

from tfeval import cli
from tfeval.engine import pipeline
from tfeval.engine.cache import chunks, entries
from tfeval.utils import files

IMAGES = 50


@pytest.fixture(scope='module')
def inputs(tmp_path_factory):
  directory = tmp_path_factory.mktemp('inputs')
  return [*make_inputs(directory, IMAGES), '--batch_size=4', '--rows_per_part=8']


@pytest.fixture(scope='module')
def whole(inputs, tmp_path_factory):
  output = tmp_path_factory.mktemp('whole')
  assert cli.main([*inputs, f'--output_dir={output}']) == 0
  return content(output)


@pytest.fixture
def run(inputs, tmp_path, monkeypatch):
  """Evaluates with a cache of small chunks."""
  monkeypatch.setattr(chunks, 'images_per_chunk', lambda *_: 8)
  return lambda output, *more: cli.main(
    [
      *inputs,
      f'--output_dir={tmp_path / output}',
      f'--cache_dir={tmp_path / "c"}',
      *more,
    ]
  )


def faults(cache):
  found = entries.listed(str(cache))
  assert found
  return [
    entry.fault(chunk)
    for entry in found
    for chunk in entry.chunks
    if entry.fault(chunk)
  ]


def test_a_second_run_decodes_nothing(run, whole, tmp_path, monkeypatch):
  assert run('first') == 0
  monkeypatch.setattr(pipeline, 'decoded', lambda *_: pytest.fail('decoded'))
  assert run('second') == 0
  assert content(tmp_path / 'first') == content(tmp_path / 'second') == whole
  assert 'cache' not in json.dumps(content(tmp_path / 'second'), default=str)
  assert faults(tmp_path / 'c') == []


def test_an_interrupted_run(run, whole, tmp_path, monkeypatch):
  write, calls = files.write_atomically, []

  def interrupt(path, data, *flag):
    calls.append(path)
    if len(calls) == 11:
      signal.raise_signal(signal.SIGINT)
    write(path, data, *flag)

  with monkeypatch.context() as patched:
    patched.setattr(files, 'write_atomically', interrupt)
    assert run('a') == 130
  assert 0 < len([*(tmp_path / 'c').rglob('chunk-*')]) < 7
  assert not [*(tmp_path / 'c').rglob('*.tmp')]
  assert run('a') == 0
  assert content(tmp_path / 'a') == whole
  assert run('b') == 0
  assert content(tmp_path / 'b') == whole
  assert (len([*(tmp_path / 'c').rglob('chunk-*')]), faults(tmp_path / 'c')) == (7, [])


@pytest.mark.slow
def test_hosts(run, tmp_path, monkeypatch):
  # Of four chunks the shares, up to 24 and from there, have parts of the second.
  monkeypatch.setattr(chunks, 'images_per_chunk', lambda *_: 16)
  for output in ('first', 'second'):
    for index in (1, 0):
      assert run(output, '--num_hosts=2', f'--host_index={index}') == 0
  first, second = (content(tmp_path / output) for output in ('first', 'second'))
  assert first == second
  assert len([*(tmp_path / 'c').rglob('chunk-*')]) == 3
  assert run('one') == 0
  one = content(tmp_path / 'one')
  parts = [name for name in one if name.endswith('.parquet')]
  assert len(parts) == 7 and all(one[name] == first[name] for name in parts)


def test_a_full_disk(inputs, whole, tmp_path, capsys):
  """No file may have more than 100,000 bytes; the only chunk has 154,000."""
  flags = [f'--output_dir={tmp_path / "a"}', f'--cache_dir={tmp_path / "c"}']
  with limits.largest_file(100_000):
    assert cli.main([*inputs, *flags]) == 0
  said = capsys.readouterr().err
  assert said.count('warning: images are not cached') == 1
  assert 'File too large' in said
  assert content(tmp_path / 'a') == whole
  assert not [*(tmp_path / 'c').rglob('*chunk*')]


@pytest.mark.slow
def test_two_runs_at_once(inputs, whole, tmp_path):
  command = [*inputs, f'--cache_dir={tmp_path / "c"}']
  both = [start([*command, f'--output_dir={tmp_path / name}']) for name in 'ab']
  assert [ended(process)[0] for process in both] == [0, 0]
  assert content(tmp_path / 'a') == content(tmp_path / 'b') == whole
  (entry,) = entries.listed(str(tmp_path / 'c'))
  assert (entry.images, faults(tmp_path / 'c')) == (IMAGES, [])


@pytest.mark.parametrize(
  'make, words',
  [
    (lambda path: path.write_text(''), 'cannot write'),
    (
      lambda path: (path.mkdir(), (path / 'thesis.tex').write_text('')),
      'is not empty and no cache of tfeval',
    ),
  ],
)
def test_what_can_be_no_cache(run, tmp_path, capsys, make, words):
  make(tmp_path / 'c')
  assert run('a') == 2
  (said,) = capsys.readouterr().err.splitlines()
  assert words in said and '--cache_dir' in said


def test_urls_and_services_are_refused(inputs, tmp_path, capsys):
  for flags, words in (
    (['--cache_dir=gs://bucket/c'], 'is a URL: give a local directory'),
    (
      [f'--cache_dir={tmp_path / "c"}', '--tf_data_service=localhost:1'],
      'leave one of them out',
    ),
  ):
    assert cli.main([*inputs, f'--output_dir={tmp_path / "a"}', *flags]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert words in said


def test_a_cache_of_other_pixels_with_right_checksums_is_refused(run, tmp_path, capsys):
  """Each chunk is named by its content: who changes it can name it anew."""
  assert run('first') == 0
  for entry in entries.listed(str(tmp_path / 'c')):
    for chunk in entry.chunks:
      records = list(tf.data.TFRecordDataset(str(chunk.path)).as_numpy_iterator())
      with tf.io.TFRecordWriter(str(tmp_path / 'changed')) as writer:
        writer.write(records[0])
        for record in records[1:]:
          writer.write(record[:40] + bytes([record[40] ^ 1]) + record[41:])
      sha256 = files.sha256_of(tmp_path / 'changed')
      chunk.path.unlink()
      (tmp_path / 'changed').rename(
        chunk.path.with_name(chunks.name(chunk.start, chunk.stop, sha256))
      )
  assert faults(tmp_path / 'c') == []
  capsys.readouterr()
  assert run('second') == 2
  said = capsys.readouterr().err
  assert 'than are made of it: somebody has changed the cache' in said
  assert not list((tmp_path / 'second').glob('*/result.json'))


@pytest.mark.parametrize('which', ['cache', 'entry'])
def test_a_cache_that_others_can_write_to_is_refused(run, tmp_path, capsys, which):
  assert run('first') == 0
  (entry,) = entries.listed(str(tmp_path / 'c'))
  (tmp_path / 'c' if which == 'cache' else entry.directory).chmod(0o777)
  assert run('second') == 2
  assert 'can be written by others' in capsys.readouterr().err


def test_a_cache_is_made_for_one_user_alone(run, tmp_path):
  before = os.umask(0)
  try:
    assert run('first') == 0
  finally:
    os.umask(before)
  (entry,) = entries.listed(str(tmp_path / 'c'))
  for directory in (tmp_path / 'c', entry.directory):
    assert directory.stat().st_mode & 0o777 == 0o755
  assert run('second') == 0
