"""Rows of several runs side by side, whatever their order."""

import shutil

import numpy as np
import pyarrow as pa
import pytest

from tfeval.analysis import alignment
from tfeval.datasets.labels import sets, subsets
from tfeval.runs import discovery, run
from tfeval.utils.errors import UserError

N = 30
LABELS = np.arange(N) % 7
REAL = [[] if i % 5 == 0 else [i % 7, 50 + i % 3] for i in range(N)]
RANDOM = np.random.default_rng(1)
PREDICTED = np.stack([RANDOM.permutation(9)[:6] for _ in range(N)])
IDS = [f'{i:04d}.JPEG' for i in range(N)]


def read(
  stored: run.Run, labels=None, subset=None, name=None
) -> alignment.AlignedPredictions:
  return alignment.align_run(
    stored, name or stored.result['model']['name'], labels, subset
  )


@pytest.mark.parametrize('seed', range(4))
def test_rows_come_in_the_order_of_their_ids(store_run, seed):
  answers = read(store_run('a', PREDICTED, LABELS, REAL, seed=seed))
  assert answers.ids.to_pylist() == IDS
  assert (answers.predicted == PREDICTED[:, :5]).all()
  for k in (1, 5):
    original = [LABELS[i] in PREDICTED[i, :k] for i in range(N)]
    real = [bool({*REAL[i]} & {*PREDICTED[i, :k].tolist()}) for i in range(N)]
    assert answers.hits('original', f'top{k}').tolist() == original
    assert answers.hits('real', f'top{k}').tolist() == real
    assert answers.count('real', f'top{k}').skipped == 6
    assert answers.count('real', f'top{k}').correct == sum(real)
    assert answers.count('real', f'top{k}').count == N - 6


def test_a_subset(store_run):
  keep = pa.array(IDS[:11])
  answers = read(
    store_run('a', PREDICTED, LABELS, REAL), subset=subsets.Subset(keep, None)
  )
  names, _ = alignment.used_labels([answers])
  assert names == ['original', 'original@subset', 'real', 'real@subset']
  count = answers.count('real@subset', 'top1')
  right = [i for i in range(11) if PREDICTED[i, 0] in REAL[i]]
  assert (count.correct, count.count, count.skipped) == (len(right), 8, 3)
  with pytest.raises(UserError, match='leave none of the 30 images'):
    read(store_run('a', PREDICTED, LABELS), subset=subsets.Subset(None, pa.array(IDS)))


def test_what_was_not_stored_is_not_known(store_run):
  answers = read(store_run('a', PREDICTED[:, 0], LABELS))
  assert answers.count('original', 'top5') is None
  assert answers.count('original', 'top1').count == N


def test_labels_from_a_file(store_run, tmp_path):
  (tmp_path / 'mine.csv').write_text('id,label\n0003.JPEG,5\n0004.JPEG,6\n')
  labels = sets.open_labels([str(tmp_path / 'mine.csv')])
  answers = read(store_run('a', PREDICTED, LABELS), labels)
  assert np.flatnonzero(answers.counted('mine')).tolist() == [3, 4]
  (tmp_path / 'mine.csv').write_text('id,label\ncat.jpg,5\n')
  with pytest.raises(UserError, match='1 of its 1 ids are neither .*cat.jpg'):
    read(
      store_run('a', PREDICTED, LABELS), sets.open_labels([str(tmp_path / 'mine.csv')])
    )
  with pytest.raises(UserError, match='stores no ReaL labels'):
    read(store_run('a', PREDICTED, LABELS), sets.open_labels(['real']))


def test_rows_that_are_not_those_of_the_result(store_run):
  stored = store_run('a', PREDICTED, LABELS)
  other = store_run('other', PREDICTED, LABELS + 1)
  shutil.rmtree(stored.path / 'predictions')
  shutil.copytree(other.path / 'predictions', stored.path / 'predictions')
  with pytest.raises(UserError, match='label_digest differs'):
    read(stored)


def test_names(store_run):
  runs = [
    store_run(name, PREDICTED, LABELS, where=where)
    for name, where in (('m', 'x/m'), ('n', 'x/n'), ('m', 'y/m'))
  ]
  assert discovery.distinct_names(runs) == ['m (x/m)', 'n', 'm (y/m)']


def test_labels_that_only_some_runs_carry(store_run):
  both = read(store_run('both', PREDICTED, LABELS, REAL))
  one = read(store_run('one', PREDICTED, LABELS))
  names, remarks = alignment.used_labels([both, one])
  assert names == ['original']
  assert remarks == [
    'labels real are not used: none are stored of one; `labels=FILE` gives them to all'
  ]
  none = read(store_run('none', PREDICTED, np.full(N, -1), REAL))
  with pytest.raises(UserError, match='no labels of the same name'):
    alignment.used_labels([one, none])


def test_images_that_all_runs_have(store_run):
  whole = read(store_run('whole', PREDICTED, LABELS))
  fewer = read(store_run('fewer', PREDICTED[14:], LABELS[14:], ids=IDS[14:]))
  kept, remarks = alignment.restrict_to_common([whole, fewer])
  assert [one.ids.to_pylist() for one in kept] == [IDS[14:]] * 2
  assert (kept[0].predicted == PREDICTED[14:, :5]).all()
  assert remarks == [
    'COMMON: only the 16 images that all runs have; left out: 14 of whole'
  ]
  assert alignment.restrict_to_common([whole, whole])[1] == []
  other = read(store_run('other', PREDICTED, LABELS, ids=[f'x{i}' for i in IDS]))
  with pytest.raises(UserError, match='no image in common'):
    alignment.restrict_to_common([whole, other])
