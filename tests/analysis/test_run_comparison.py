"""`compare` against statsmodels and counting by hand."""

import itertools
import random

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import accuracy_score
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from tfeval.analysis import comparison
from tfeval.datasets.labels import sets, subsets
from tfeval.runs.importing import importer, sources
from tfeval.utils.errors import UserError

N = 200
RANDOM = np.random.default_rng(0)
LABELS = np.where(RANDOM.random(N) < 0.1, -1, RANDOM.integers(0, 40, N))
REAL = [
  RANDOM.choice(40, RANDOM.integers(0, 4), replace=False).tolist() for _ in range(N)
]
KEPT = [f'{i:04d}.JPEG' for i in range(0, N, 3)]


def answers(right: float) -> np.ndarray:
  """int [N, 5]: different classes, the first one right as often as is said."""
  found = np.stack([RANDOM.permutation(40)[:5] for _ in range(N)])
  for i in np.flatnonzero((RANDOM.random(N) < right) & (LABELS >= 0)):
    found[i] = [LABELS[i], *(c for c in found[i] if c != LABELS[i])][:5]
  return found


MODELS = {'a': answers(0.5), 'b': answers(0.6), 'c': answers(0.8)}


@pytest.fixture
def runs(store_run):
  return [
    store_run(name, predicted, LABELS, REAL, seed=seed)
    for seed, (name, predicted) in enumerate(MODELS.items())
  ]


def right(model: str, i: int, labels: str, k: int) -> bool | None:
  """None for an image without a label."""
  wanted = [LABELS[i]] * int(LABELS[i] >= 0) if labels == 'original' else REAL[i]
  return any(c in wanted for c in MODELS[model][i, :k]) if len(wanted) else None


@pytest.mark.parametrize('labels', ['original', 'real', 'real@subset'])
@pytest.mark.parametrize('k', [1, 5])
def test_pairs_against_statsmodels(runs, labels, k):
  subset = subsets.Subset(pa.array(KEPT), None)
  found = comparison.compare(runs, subset=subset, metric=f'top{k}').pairs[labels]
  images = range(0, N, 3 if '@' in labels else 1)
  p = []
  for pair, (one, two) in zip(found, itertools.combinations('abc', 2), strict=True):
    hits = [
      (right(one, i, labels.split('@')[0], k), right(two, i, labels.split('@')[0], k))
      for i in images
    ]
    cells = [[hits.count((a, b)) for b in (True, False)] for a in (True, False)]
    assert cells == [
      [pair.hits.both, pair.hits.first],
      [pair.hits.second, pair.hits.neither],
    ]
    p.append(mcnemar(cells, exact=True).pvalue)
    assert pair.p == pytest.approx(p[-1], rel=1e-9)
    low, high = pair.interval(0.95, seed=0)
    assert low <= pair.hits.difference <= high
    assert (low, high) == pair.interval(0.95, seed=0)
    assert pair.hits.skipped == hits.count((None, None))
  assert len(p) == 3
  adjusted = multipletests(p, method='holm')[1]
  assert [pair.p_holm for pair in found] == pytest.approx(adjusted, rel=1e-9)


def test_agreement_against_scikit_learn(runs):
  found = comparison.compare(runs).agreement
  for (i, one), (j, two) in itertools.product(enumerate('abc'), repeat=2):
    same = accuracy_score(MODELS[one][:, 0], MODELS[two][:, 0], normalize=False)
    assert found[i, j] == same


def test_other_images_need_to_be_allowed(runs, store_run):
  order = random.Random(0).sample(range(N), 120)
  fewer = store_run(
    'fewer',
    MODELS['b'][order],
    LABELS[order],
    [REAL[i] for i in order],
    ids=[f'{i:04d}.JPEG' for i in order],
  )
  with pytest.raises(UserError, match='80 of 200 ids of a are not in fewer.*`common`'):
    comparison.compare([runs[0], fewer])
  found = comparison.compare([runs[0], fewer], common=True)
  hits = [(right('a', i, 'real', 1), right('b', i, 'real', 1)) for i in order]
  (pair,) = found.pairs['real']
  assert pair.hits.first == hits.count((True, False))
  assert pair.hits.second == hits.count((False, True))
  assert pair.hits.skipped == hits.count((None, None))
  assert 'left out: 80 of a' in found.remarks[0]


def test_what_cannot_be_compared(runs, store_run):
  with pytest.raises(UserError, match='two or more'):
    comparison.compare(runs[:1])
  other = store_run('other', MODELS['a'], np.where(LABELS == 3, 4, LABELS), REAL)
  with pytest.raises(UserError, match=r'other labels \(original\) in a than in other'):
    comparison.compare([runs[0], other])
  single = store_run('single', MODELS['a'][:, 0], LABELS, REAL)
  with pytest.raises(UserError, match='single stores 1 of 1000 classes'):
    comparison.compare([runs[0], single], metric='top5')
  assert comparison.compare([runs[0], single]).pairs['original'][0].p == 1


def test_remarks(runs, store_run):
  hashes = [bytes([i]) * 32 for i in range(N)]
  one = store_run('one', MODELS['a'], LABELS, hashes=hashes)
  two = store_run(
    'two', MODELS['b'], LABELS, hashes=hashes[::-1], protocol={'name': 'pil'}
  )
  remarks = ' / '.join(comparison.compare([one, two, runs[2]]).remarks)
  assert 'DIFFERENT IMAGES: 200 of 200' in remarks
  assert 'one and two were evaluated with different protocols: name opencv and pil' in (
    remarks
  )
  assert 'labels real are not used: none are stored of one, two' in remarks
  assert 'no image hashes are stored of c' in remarks


def test_published_predictions(shared_data, tmp_path):
  """Rows are sorted by wnid, 50 images of each: row 50 i is of class i."""
  hits, runs = [], []
  for name in ('resnet50', 'mobilenetV2'):
    path = shared_data / 'predictions/keras_imagenet' / f'{name}_keras_imagenet_top5'
    found = sources.find_sources(
      f'{path}preds.npy', f'{path}probs.npy', str(tmp_path / name)
    )
    runs += importer.import_all(
      found,
      importer.ImportConfig(
        labels=tuple(sets.open_labels(['original'])), order='class_folder'
      ),
    )
    best = np.argmax(np.load(f'{path}probs.npy'), axis=1)
    first = np.load(f'{path}preds.npy')[np.arange(50_000), best]
    hits.append(first == np.arange(50_000) // 50)
  (pair,) = comparison.compare(runs).pairs['original']
  cells = [
    [np.sum(hits[0] & hits[1]), np.sum(hits[0] & ~hits[1])],
    [np.sum(~hits[0] & hits[1]), np.sum(~hits[0] & ~hits[1])],
  ]
  assert cells == [
    [pair.hits.both, pair.hits.first],
    [pair.hits.second, pair.hits.neither],
  ]
  assert pair.hits.first - pair.hits.second == 35175 - 34988
  assert pair.p == pytest.approx(mcnemar(cells, exact=True).pvalue, rel=1e-9)
