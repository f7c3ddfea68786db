"""The packaged results of public models: made again, counted by hand, shown aside."""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import scored_runs

from tfeval.analysis import leaderboard, reference_results
from tfeval.datasets.labels import imagenet, label_errors
from tfeval.reports.page import of_leaderboard
from tfeval.utils.errors import UserError

ROOT = pathlib.Path(__file__).resolve().parents[2]
TABLE = ROOT / 'tfeval/analysis/reference_results.tsv'
MODEL = 'resnet50_pytorch_imagenet'


@pytest.mark.slow
def test_the_command_makes_the_packaged_table_again(shared_data, tmp_path):
  command = tmp_path / 'tfeval'
  command.write_text(f'#!/bin/sh\nexec {sys.executable} -m tfeval "$@"\n')
  command.chmod(0o755)
  made = subprocess.run(
    [
      ROOT / 'configs/reference_results.sh',
      shared_data / 'predictions',
      shared_data / 'real/real.json',
    ],
    env={
      **os.environ,
      'PATH': f'{tmp_path}:{os.environ["PATH"]}',
      'PYTHONPATH': str(ROOT),
      'TMPDIR': str(tmp_path),
    },
    capture_output=True,
    timeout=300,
  )
  assert made.returncode == 0, made.stderr
  assert made.stdout == TABLE.read_bytes()
  assert [path.name for path in tmp_path.iterdir()] == ['tfeval']


def test_the_command_asks_for_what_it_needs(tmp_path):
  for arguments in ([], [tmp_path, tmp_path / 'labels.json']):
    done = subprocess.run(
      [ROOT / 'configs/reference_results.sh', *arguments], capture_output=True
    )
    assert done.returncode == 2 and b'usage:' in done.stderr


def test_one_model_counted_by_hand(shared_data):
  """With NumPy alone: images in the order of class folders, the best class first."""
  folder = shared_data / 'predictions/pytorch_imagenet'
  classes = np.load(folder / f'{MODEL}_top5preds.npy')
  probabilities = np.load(folder / f'{MODEL}_top5probs.npy')
  labels = np.array(imagenet.original_validation_labels())
  # Class folders sort by wnid, as the classes do; images in them by number.
  image = np.lexsort((np.arange(50_000), labels))
  best = classes[np.arange(50_000), probabilities.argmax(axis=1)]
  real = json.loads((shared_data / 'real/real.json').read_text())
  fixed = {
    int(number): [int(guess)] if votes[1] >= 3 else [given, guess] * (votes[3] >= 3)
    for number, given, guess, votes in zip(
      *(
        getattr(label_errors.read_votes(), name).tolist()
        for name in ('number', 'given', 'guessed', 'votes')
      ),
      strict=True,
    )
    if votes[0] < 3
  }
  sets = {
    'original': [[one] for one in labels],
    'real': real,
    'label_errors': [fixed.get(i + 1, [label]) for i, label in enumerate(labels)],
  }
  (packaged,) = (one for one in reference_results.read_results() if one.name == MODEL)
  for name, right in sets.items():
    top1 = sum(best[row] in right[i] for row, i in enumerate(image))
    top5 = sum(
      bool({*classes[row].tolist()} & {*right[i]}) for row, i in enumerate(image)
    )
    found = [packaged.counts[name, metric].correct for metric in ('top1', 'top5')]
    assert found == [top1, top5]
    assert packaged.counts[name, 'top1'].count == sum(map(bool, right))


def test_counts_are_the_known_ones_and_cannot_be_more_than_the_images():
  known = {one.name: one.counts for one in reference_results.read_results()}
  assert known['alexnet_pytorch_imagenet']['original', 'top5'].correct == 38822
  assert known['resnet152_pytorch_imagenet']['real', 'top1'].correct == 39375
  for counts in known.values():
    for labels in reference_results.LABELS:
      top1, top5 = (counts[labels, metric] for metric in ('top1', 'top5'))
      assert top1.correct < top5.correct < top5.count == top1.count
      assert top1.count + top1.skipped == 50_000


@pytest.fixture
def run(store_run):
  labels = np.arange(200) % 10
  predicted = np.stack([np.where(np.arange(200) < 150, labels, 99), labels + 20], 1)
  return store_run('mine', predicted, labels, where='mine')


def test_references_stand_beside_runs_without_rank_or_test(run, tfeval):
  board = reference_results.with_references(leaderboard.rank([run]))
  rates = [row.counts['original', 'top1'].rate for row in board.rows]
  assert rates == sorted(rates, reverse=True)
  (mine,) = (row for row in board.rows if not row.reference)
  # 75 %: between ResNet-152, 77.61, and ResNet-50 of Keras, 70.35.
  at = board.rows.index(mine)
  assert board.rows[at - 1].name == MODEL and rates[at - 1] > 0.75
  assert board.tests == 0 and mine.ranks == {'original': 1} and mine.ties == []
  code, out, err = tfeval('leaderboard', run.path, '--reference')
  assert code == 0, err
  assert out.count('(reference)') == len(board.rows) - 1
  assert 'no difference from them is tested' in ' '.join(out.split())
  assert 'DIFFERENT IMAGES: these runs are of 200 images' in out
  rows = json.loads(tfeval('leaderboard', run.path, '--reference', '--json')[1])['rows']
  for row in rows:
    assert (row['rank'] is None) == bool(row.get('reference'))
  states = tfeval('leaderboard', run.path, '--reference', '--format=csv')[1]
  assert states.count(',reference\n') == len(board.rows) - 1


def test_packaged_ranks_and_intervals_are_shown_as_of_references_alone(run, tfeval):
  from scipy import stats

  given = 'leaderboard', run.path, '--reference'
  rows = json.loads(tfeval(*given, '--json')[1])['rows']
  packaged = {one.name: one for one in reference_results.read_results()}
  assert len(rows) == len(packaged) + 1
  for row in rows:
    if not row.get('reference'):
      assert row['reference_rank'] is None and row['rank'] == 1
      continue
    one = packaged[row['model']]
    assert row['reference_rank'] == one.ranks['original']
    count = one.counts['original', 'top1']
    test = stats.binomtest(count.correct, count.count)
    interval = test.proportion_ci(method='wilson')
    assert [row['low'], row['high']] == pytest.approx([*interval])
  table = [
    line.split(',')
    for line in tfeval(*given, '--format=csv')[1].splitlines()
    if line.endswith((',reference', ',state'))
  ]
  places = [table[0].index(name) for name in ('rank', 'reference_rank', 'low', 'high')]
  assert [table[1][i] for i in places[:2]] == ['', '1']
  assert all(row[i] for row in table for i in places[1:])
  out = tfeval(*given)[1]
  assert 'among all references alone' in ' '.join(out.split())
  # No such columns where nothing stands beside the runs.
  assert 'refs' not in tfeval(*given[:-1])[1]


def test_models_on_one_packaged_rank_are_marked(run):
  from tfeval.reports import leaderboard as report
  from tfeval.reports import leaderboard_columns

  board = reference_results.with_references(leaderboard.rank([run]))
  by = {'labels': ['label_errors'], 'sort': ('label_errors', 'top1')}
  board = dataclasses.replace(board, **by)
  chosen = leaderboard_columns.choose(board, ['model', 'reference_rank'])
  cells = [report._cells(board, row, chosen) for row in board.rows]
  marked = [name for (name, *_), rank in cells if rank == '=4']
  assert sorted(marked) == ['mobilenetV2_keras_imagenet', 'resnet50_keras_imagenet']


def test_a_page_has_references_below_the_runs(run, tfeval, tmp_path):
  page = tmp_path / 'a.html'
  given = 'report', run.path, f'--output={page}', '--reference'
  code, _, err = tfeval(*given)
  assert code == 2 and '--reference is for --kind=leaderboard' in err
  assert tfeval(*given, '--kind=leaderboard')[0] == 0
  text = page.read_text('utf-8')
  assert 'rank among references' in text and MODEL in text
  board = reference_results.with_references(leaderboard.rank([run]))
  figure = of_leaderboard.ranks(board)
  assert [row[1] for row in figure.table.rows] == [
    'mine',
    *(one.name for one in reference_results.read_results()),
  ]
  assert [row[0] for row in figure.table.rows] == [1, *[None] * 7]
  assert [row[-1] for row in figure.table.rows] == [None, 1, 2, 3, 4, 5, 6, 7]


def test_references_are_of_other_classes_than_ones_own(tmp_path):
  from tfeval.datasets.labels.spaces import LabelSpace

  space = LabelSpace('pets', ('cat', 'dog'), ('cat', 'dog'))
  scores = np.eye(2, dtype=np.float32)[[0, 1, 1]]
  run = scored_runs.store(tmp_path / 'pets', scores, np.array([0, 1, 0]), space=space)
  with pytest.raises(UserError, match='leave `reference` out'):
    reference_results.with_references(leaderboard.rank([run]))


def test_a_table_of_counts_is_of_the_three_label_sets(run, tfeval):
  code, out, err = tfeval('leaderboard', run.path, '--format=tsv')
  assert (code, out) == (2, '')
  assert 'original, real, label_errors' in err and '--format=tsv' in err
