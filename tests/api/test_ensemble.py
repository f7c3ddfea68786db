"""Several runs as one, counted again by hand with NumPy alone."""

import csv
import gc
import itertools

import numpy as np
import pytest

import tfeval
from tfeval.analysis.ensemble import combined

N, CLASSES, MODELS = 60, 7, 3
IDS = [f'{i:03d}.png' for i in range(N)]
RNG = np.random.default_rng(5)
LABELS = RNG.integers(0, CLASSES, N)
LOGITS = RNG.normal(size=(MODELS, N, CLASSES)).astype(np.float32)
# Better than chance, none of them alike.
LOGITS += np.float32(1.5) * np.eye(CLASSES, dtype=np.float32)[LABELS]


def softmax(values):
  shifted = np.exp(values.astype(np.float64) - values.max(axis=-1, keepdims=True))
  return shifted / shifted.sum(axis=-1, keepdims=True)


@pytest.fixture
def imported(tmp_path):
  """Imports outputs as a run, its rows in an order of their own."""
  (tmp_path / 'classes.txt').write_text('\n'.join(f'class {i}' for i in range(CLASSES)))
  with open(tmp_path / 'labels.csv', 'w', newline='') as file:
    rows = ([name, str(label)] for name, label in zip(IDS, LABELS, strict=True))
    csv.writer(file).writerows([['id', 'label'], *rows])

  def imported(name, outputs, ids=None, **given):
    order = np.random.default_rng(len(name)).permutation(len(outputs))
    names = IDS[: len(outputs)] if ids is None else ids
    np.save(tmp_path / f'{name}.npy', outputs[order])
    (tmp_path / f'{name}.ids').write_text('\n'.join(names[i] for i in order) + '\n')
    known = {'store_logits': True, 'labels': tmp_path / 'labels.csv', **given}
    (run,) = tfeval.import_predictions(
      tmp_path / f'{name}.npy',
      order=tmp_path / f'{name}.ids',
      classes=tmp_path / 'classes.txt',
      output_dir=tmp_path / name,
      **known,
    )
    return run

  return imported


@pytest.fixture
def members(imported):
  return [imported('m' * (i + 1), LOGITS[i]) for i in range(MODELS)]


def rows_of(run):
  table = run.to_arrow().sort_by('id')
  assert table['id'].to_pylist() == IDS
  return table


def test_the_mean_of_probabilities(members, tmp_path):
  run = tfeval.ensemble(members, output_dir=tmp_path / 'mean')
  by_hand = softmax(LOGITS).mean(axis=0)
  stored = np.array(rows_of(run)['logits'].to_pylist())
  np.testing.assert_allclose(stored, by_hand, rtol=1e-6)
  right = int(np.sum(by_hand.argmax(axis=1) == LABELS))
  top1, top5 = run.metrics
  assert (top1.correct, top1.count) == (right, N)
  best = np.argsort(-by_hand, axis=1)[:, :5]
  assert top5.correct == np.sum((best == LABELS[:, None]).any(axis=1))
  (nll,) = run.score(metrics='nll')
  assert nll.value == pytest.approx(-np.log(by_hand[np.arange(N), LABELS]).mean())


def test_votes(members, tmp_path):
  run = tfeval.ensemble(*members, how='votes', output_dir=tmp_path / 'votes')
  probabilities = softmax(LOGITS)
  elected = []
  for i in range(N):
    votes = np.bincount(probabilities[:, i].argmax(axis=1), minlength=CLASSES)
    keys = [(-votes[c], -probabilities[:, i, c].sum(), c) for c in range(CLASSES)]
    elected.append([c for _, _, c in sorted(keys)])
  stored = np.array(rows_of(run)['classes'].to_pylist())
  np.testing.assert_array_equal(stored, elected)
  assert run.metrics[0].correct == np.sum(stored[:, 0] == LABELS)
  # Votes are no probabilities.
  assert rows_of(run)['log_probs'].null_count == N
  assert run.score(metrics='ece')[0].value is None


@pytest.mark.parametrize('how', ['mean', 'votes'])
def test_an_ensemble_is_a_run_like_any_other(members, tmp_path, how):
  pytest.importorskip('jsonschema')
  path = tmp_path / how
  run = tfeval.ensemble(*members, how=how, output_dir=path, name='together')
  checked = tfeval.verify(run)
  assert not checked.failed, [c for c in checked[0].checks if c.state == 'FAILED']
  named = run.result.ensemble
  assert named.how == how and [one.name for one in named.members] == [
    'm' * (i + 1) for i in range(MODELS)
  ]
  assert len({one.rows_sha256 for one in named.members}) == MODELS
  assert run.result.model.name == 'together' and 'm, mm, mmm' in repr(run)
  board = tfeval.leaderboard(run, *members)
  assert len(board.rows) == MODELS + 1
  # The same again is what is there; another one is refused.
  before = (path / 'result.json').read_bytes()
  tfeval.ensemble(*members, how=how, output_dir=path, name='together')
  assert (path / 'result.json').read_bytes() == before
  with pytest.raises(tfeval.UserError, match='holds another run'):
    tfeval.ensemble(*members[:2], how=how, output_dir=path, name='together')
  tfeval.ensemble(*members[:2], how=how, output_dir=path, overwrite=True)
  assert len(tfeval.load_run(path).result.ensemble.members) == 2


def test_neither_the_order_of_models_nor_of_images_decides():
  rng = np.random.default_rng(0)
  classes = [np.argsort(rng.random((200, 6)), axis=1)[:, :4] for _ in range(5)]
  # Of few values, so that many sums are equal but for their last digits.
  weights = [rng.choice([0.1, 0.2, 0.3, 0.7], (200, 4)) for _ in range(5)]
  found = combined.vote(classes, weights)
  for order in itertools.islice(itertools.permutations(range(5)), 1, 120, 7):
    again = combined.vote([classes[i] for i in order], [weights[i] for i in order])
    np.testing.assert_array_equal(again, found)
  there = rng.permutation(200)
  again = combined.vote([one[there] for one in classes], [w[there] for w in weights])
  np.testing.assert_array_equal(again, found[there])


def test_rows_in_blocks_are_the_same_rows(members, tmp_path, monkeypatch):
  whole = tfeval.ensemble(*members, output_dir=tmp_path / 'whole')
  monkeypatch.setattr(combined, '_VALUES', 11 * CLASSES)
  parts = tfeval.ensemble(*members, output_dir=tmp_path / 'parts')
  assert rows_of(whole).equals(rows_of(parts))


def test_without_a_directory_a_run_lives_as_long_as_it_is_held(members):
  run = tfeval.ensemble(members)
  path = run.path
  assert run.to_arrow().num_rows == N and path.is_dir()
  del run
  gc.collect()
  assert not path.exists()


def test_what_cannot_be_one_run(members, imported, tmp_path):
  def refused(*runs, words, how='mean'):
    with pytest.raises(tfeval.UserError, match=words) as caught:
      tfeval.ensemble(*runs, how=how, output_dir=tmp_path / 'none')
    assert '--' not in str(caught.value) and '\n' not in str(caught.value)
    assert not (tmp_path / 'none' / 'result.json').exists()

  refused(members[0], words='takes two or more')
  refused(members[0], members[0], words='given twice')
  bare = imported('bare', LOGITS[0], store_logits=False)
  refused(members[1], bare, words='`store_logits`, or give `how=votes`')
  lines = (tmp_path / 'labels.csv').read_text().splitlines()
  (tmp_path / 'few.csv').write_text('\n'.join(lines[:51]))
  fewer = imported('fewer', LOGITS[0][:50], labels=tmp_path / 'few.csv')
  refused(members[1], fewer, words='10 of 60 ids', how='votes')
  refused(*members, words='how', how='median')
  other = tmp_path / 'labels.csv'
  other.write_text('\n'.join([*lines[:-1], f'{IDS[-1]},{(LABELS[-1] + 1) % CLASSES}']))
  refused(
    members[0], imported('else', LOGITS[0]), words='1 of 60 images have other labels'
  )
