"""Predictions into a store, after those that are there."""

import contextlib
import logging

import fake_runtime
import numpy as np
import pytest
from fake_runtime import FakeRuntime, make_batch

from tfeval.evaluation import recorder
from tfeval.runs import predictions
from tfeval.runs.result_file import Manifest
from tfeval.utils.errors import UserError

SHARD = range(10)


def make_manifest(on_error='fail', sha256='x'):
  return Manifest.from_json(
    {
      'model': {'output': 'logits', 'weights_sha256': sha256},
      'dataset': {'on_error': on_error},
      'store': {'logits': False, 'rows_per_part': 4, 'classes': 20},
      'compute': {'batch_size': 2},
    }
  )


def scores(n):
  return np.random.default_rng(0).normal(size=(n, 1000)).astype(np.float32)


def record(store, parts, *batches, manifest=None, shard=SHARD):
  one = recorder.Recorder(store, parts, manifest or make_manifest(), shard)
  for positions in batches:
    batch = make_batch(positions)
    rows = predictions.make_rows(
      batch.ids,
      batch.image_sha256,
      batch.labels,
      batch.real_labels,
      scores(len(positions)),
      'logits',
      False,
    )
    one.append(batch, rows, 2)
  return one


@pytest.fixture
def begun(tmp_path):
  """A store of the first five images, of which four are in a full part."""
  store = tmp_path / 'run/predictions'
  record(store, [], [0, 1], [2, 3], [4]).flush()
  return store


def test_only_full_parts_are_on_disk_before_a_flush(tmp_path):
  one = record(tmp_path, [], [0, 1], [2, 3], [4, 5])
  assert (one.added, one.stored, one.positions) == (6, 4, [0, 1, 2, 3, 4, 5])
  one.flush()
  assert one.stored == 6


def test_it_resumes_after_whole_batches(begun, caplog):
  with caplog.at_level(logging.INFO, 'tfeval'):
    parts = recorder.resumable_parts(begun, make_manifest('skip'), SHARD, False)
  assert caplog.messages == [f'{begun.parent} goes on after 5 of 10 images']
  one = record(begun, parts, [6, 7], manifest=make_manifest('skip'))
  assert (one.resumed, one.added, one.remaining) == (5, 2, range(6, 10))
  one.flush()
  rows = [part['rows'] for part in predictions.listed_parts(begun)]
  assert sum(rows) == 7


@pytest.mark.parametrize('why', ['overwrite', 'unidentifiable', 'nothing there'])
def test_nothing_to_resume(begun, tmp_path, why):
  store = tmp_path / 'other' if why == 'nothing there' else begun
  manifest = make_manifest(sha256=None if why == 'unidentifiable' else 'x')
  assert recorder.resumable_parts(store, manifest, SHARD, why == 'overwrite') == []


def test_a_share_begins_where_it_begins(tmp_path):
  assert record(tmp_path, [], shard=range(6, 10)).remaining == range(6, 10)
  assert record(tmp_path, [], shard=range(10, 10)).remaining == range(10, 10)


def test_other_images_at_the_same_positions_are_refused(begun, monkeypatch):
  parts = predictions.listed_parts(begun)
  dataset = FakeRuntime().dataset
  recorder.check_same_images(dataset, begun, parts)
  monkeypatch.setattr('fake_runtime.content', lambda position: b'another')
  with pytest.raises(UserError, match='was begun with other data: image 0 was 0.JPEG'):
    recorder.check_same_images(dataset, begun, parts)


def test_an_image_that_changed_since_it_was_evaluated_is_found(begun, monkeypatch):
  """Wherever it lies: all are looked at, not only the first of a part."""
  parts = predictions.listed_parts(begun)
  dataset = FakeRuntime().dataset
  original = fake_runtime.content
  monkeypatch.setattr(
    'fake_runtime.content', lambda at: b'another' if at == 3 else original(at)
  )
  with pytest.raises(UserError, match='image 3 was 3.JPEG with label .*has changed'):
    recorder.check_same_images(dataset, begun, parts)
  with contextlib.suppress(UserError):
    recorder.check_same_images(dataset, begun, parts, most=2)
  monkeypatch.setattr(
    'fake_runtime.content', lambda at: original(at) if at == 3 else b'another'
  )
  with pytest.raises(UserError, match='image 0 was 0.JPEG'):
    recorder.check_same_images(dataset, begun, parts, most=1)
