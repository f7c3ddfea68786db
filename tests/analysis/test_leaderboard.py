"""Ranks and tie groups against statsmodels; what may stand on one leaderboard."""

import dataclasses
import itertools

import numpy as np
import pyarrow as pa
import pytest
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from tfeval.analysis import comparison, leaderboard
from tfeval.datasets.labels import sets, subsets
from tfeval.metrics import registry
from tfeval.reports import leaderboard_columns
from tfeval.runs.run import Failure
from tfeval.utils.errors import UserError

N = 300
LABELS = np.arange(N) % 10


def with_hits(hits: np.ndarray) -> np.ndarray:
  """Predictions that are right where they are to be."""
  return np.stack(
    [
      np.where(hits, LABELS, (LABELS + 1) % 10),
      *((LABELS + 20 + i) % 1000 for i in range(4)),
    ],
    axis=1,
  )


def random_hits(rate: float, seed: int) -> np.ndarray:
  return np.random.default_rng(seed).random(N) < rate


def first(n: int) -> np.ndarray:
  return np.arange(N) < n


def by_name(board: leaderboard.Leaderboard) -> dict[str, leaderboard.Row]:
  return {row.name: row for row in board.rows}


@pytest.mark.parametrize('seed', range(5))
def test_groups_against_statsmodels(store_run, seed):
  rates = np.random.default_rng(seed).uniform(0.5, 0.75, 8)
  hits = {f'm{i}': random_hits(rate, 10 * seed + i) for i, rate in enumerate(rates)}
  board = leaderboard.rank(
    [store_run(name, with_hits(hit), LABELS) for name, hit in hits.items()], level=0.1
  )
  names = sorted(hits, key=lambda name: (-hits[name].sum(), name))
  assert [row.name for row in board.rows] == names
  pairs = list(itertools.combinations(names, 2))
  p = [
    mcnemar(
      [[0, (hits[a] & ~hits[b]).sum()], [(hits[b] & ~hits[a]).sum(), 0]], exact=True
    ).pvalue
    for a, b in pairs
  ]
  apart = {
    frozenset(pair): bool(wrong)
    for pair, wrong in zip(
      pairs, multipletests(p, alpha=0.1, method='holm')[0], strict=True
    )
  }
  ranks, best = [], 0
  for i, name in enumerate(names):
    if i and apart[frozenset((names[best], name))]:
      best = i
    ranks.append(best + 1)
  assert [row.ranks['original'] for row in board.rows] == ranks
  assert board.tests == 28
  for row in board.rows:
    assert set(row.ties) == {
      other
      for other in names
      if other != row.name and not apart[frozenset((other, row.name))]
    }


def test_a_group_is_held_against_its_best():
  # 0 - 1 - 2 are chained, 0 and 2 differ; 3 differs from no one but 0 and 1.
  apart = np.zeros((4, 4), bool)
  for i, j in ((0, 2), (0, 3), (1, 3)):
    apart[i, j] = apart[j, i] = True
  assert leaderboard.ranks([0.9, 0.8, 0.7, 0.6], apart) == [1, 1, 3, 3]
  assert leaderboard.ranks([0.9, 0.9, 0.7], None) == [1, 1, 3]
  assert leaderboard.ranks([], None) == []


def test_ranks_by_other_labels(store_run):
  """By the original labels a beats b; where these are wrong b is right."""
  real = [
    [int(label)] if i < 150 else [int(label + 1) % 10] for i, label in enumerate(LABELS)
  ]
  runs = [
    store_run('a', with_hits(first(300)), LABELS, real),
    store_run('b', with_hits(first(150)), LABELS, real),
  ]
  board = leaderboard.rank(runs)
  assert board.sort == ('original', 'top1') and board.labels == ['original', 'real']
  assert [(row.name, row.ranks) for row in board.rows] == [
    ('a', {'original': 1, 'real': 2}),
    ('b', {'original': 2, 'real': 1}),
  ]
  board = leaderboard.rank(runs, sort='real/top1')
  assert [row.name for row in board.rows] == ['b', 'a']
  with pytest.raises(UserError, match="unknown `sort` 'real/top2'.*real/top1"):
    leaderboard.rank(runs, sort='real/top2')


def test_failed_runs_are_rows(store_run):
  good = store_run('good', with_hits(first(9)), LABELS)
  damaged = store_run('damaged', with_hits(first(9)), LABELS)
  (damaged.path / 'predictions' / 'part-00000.parquet').write_bytes(b'')
  board = leaderboard.rank([Failure('gone', 'it is not complete'), good, damaged])
  assert [row.name for row in board.rows] == ['good', 'gone', 'damaged']
  assert by_name(board)['gone'].failure == 'it is not complete'
  assert 'was changed' in by_name(board)['damaged'].failure
  assert by_name(board)['good'].ranks == {'original': 1}
  with pytest.raises(UserError, match='none of 1 runs can be ranked.*not complete'):
    leaderboard.rank([Failure('gone', 'it is not complete')])


def test_a_run_without_the_figure_has_no_rank(store_run):
  board = leaderboard.rank(
    [
      store_run('one', with_hits(first(300))[:, :1], LABELS),
      store_run('five', with_hits(first(9)), LABELS),
    ],
    sort='original/top5',
  )
  assert [(row.name, row.ranks) for row in board.rows] == [
    ('five', {'original': 1}),
    ('one', {}),
  ]


def test_other_data_are_refused_unless_allowed(store_run):
  whole = store_run('whole', with_hits(first(200)), LABELS)
  fewer = store_run('fewer', with_hits(first(100))[:100], LABELS[:100])
  for run in (whole, fewer):
    digest = run.result['dataset']['label_digest'][:8]
    with pytest.raises(UserError, match=f'200 of 300 ids.*{digest}.*`allow=data`'):
      leaderboard.rank([whole, fewer])
  board = leaderboard.rank([whole, fewer], allow=['data'])
  assert [(row.name, row.ranks['original']) for row in board.rows] == [
    ('fewer', 1),
    ('whole', 2),
  ]
  assert board.tests is None and board.different == ['data']
  assert not any(row.ties for row in board.rows)
  assert 'significance is not computed' in board.remarks[0]


def test_other_labels_and_contents_are_other_data(store_run, tmp_path):
  one = store_run('one', with_hits(first(9)), LABELS, hashes=[bytes(32)] * N)
  for other in (
    store_run('labels', with_hits(first(9)), LABELS + 1),
    store_run('images', with_hits(first(9)), LABELS, hashes=[bytes([1] * 32)] * N),
  ):
    with pytest.raises(
      UserError,
      match='300 (of 300 )?images have an?o?ther|300 of 300 images have other labels',
    ):
      leaderboard.rank([one, other])
  # Labels of a file are the same for all.
  (tmp_path / 'mine.csv').write_text('id,label\n0003.JPEG,5\n')
  labels = sets.open_labels([str(tmp_path / 'mine.csv')])
  leaderboard.rank([one, store_run('x', with_hits(first(9)), LABELS + 1)], labels)


def test_unknown_contents_are_no_other_data(store_run):
  board = leaderboard.rank(
    [
      store_run('one', with_hits(first(9)), LABELS, hashes=[bytes(32)] * N),
      store_run('two', with_hits(first(9)), LABELS),
    ]
  )
  assert board.tests == 1
  assert any('image contents were not compared' in line for line in board.remarks)


def test_what_has_no_hashes_does_not_hide_what_differs(store_run):
  runs = [
    store_run('a', with_hits(first(9)), LABELS),
    store_run('b', with_hits(first(9)), LABELS, hashes=[bytes(32)] * N),
    store_run('c', with_hits(first(9)), LABELS, hashes=[b'1' * 32] * N),
  ]
  for order in itertools.permutations(runs):
    with pytest.raises(UserError, match='another content'):
      leaderboard.rank(order)
    found = comparison.compare(order).remarks
    assert any(line.startswith('DIFFERENT IMAGES') for line in found)


def test_other_protocols_are_refused_unless_allowed(store_run):
  runs = [
    store_run('a', with_hits(first(9)), LABELS),
    store_run('b', with_hits(first(9)), LABELS, protocol={'size': 299}),
    store_run(
      'c', with_hits(first(9)), LABELS, protocol={'name': 'pil', 'spec': 'pil'}
    ),
  ]
  assert leaderboard.rank(runs[:2]).different == []
  with pytest.raises(UserError, match='a and c: name opencv and pil.*`allow=protocol`'):
    leaderboard.rank(runs)
  board = leaderboard.rank(runs, allow=['protocol'])
  assert board.remarks[0] == 'DIFFERENT PROTOCOL: opencv: a, b; pil: c'
  assert board.tests == 3


def test_a_subset(store_run):
  keep = subsets.Subset(pa.array([f'{i:04d}.JPEG' for i in range(50)]), None)
  board = leaderboard.rank(
    [
      store_run('a', with_hits(first(40)), LABELS),
      store_run('b', with_hits(~first(45)), LABELS),
    ],
    subset=keep,
    sort='original@subset/top1',
  )
  assert [(row.name, row.ranks) for row in board.rows] == [
    ('a', {'original': 2, 'original@subset': 1}),
    ('b', {'original': 1, 'original@subset': 2}),
  ]


def test_change_of_rank_is_places_lost(store_run):
  """1 by the original labels and 3 by ReaL ones is two places lost: +2."""
  wrong = [[(label + 1) % 1000] for label in LABELS]
  runs = [
    store_run('a', with_hits(first(90)), LABELS, real=wrong),
    store_run('b', with_hits(first(10)), LABELS, real=wrong),
  ]
  board = leaderboard.rank(runs)
  assert [row.name for row in board.rows] == ['a', 'b']
  change = leaderboard_columns.columns(board)['real/change'].value
  for row in board.rows:
    assert change(row) == row.ranks['real'] - row.ranks['original']
  moved = dataclasses.replace(board.rows[0], ranks={'original': 1, 'real': 3})
  assert change(moved) == 2


def test_the_lowest_is_first_where_lower_is_better(store_run, monkeypatch):
  lower = dataclasses.replace(registry.METRICS['top1'], higher_is_better=False)
  monkeypatch.setitem(registry.METRICS.entries, 'top1', lower)
  hits = {'low': first(100), 'high': first(200)}
  board = leaderboard.rank(
    [store_run(name, with_hits(hit), LABELS) for name, hit in hits.items()]
  )
  assert [row.name for row in board.rows] == ['low', 'high']
