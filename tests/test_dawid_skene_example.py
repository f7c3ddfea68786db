"""EM of configs/ against a loop written from the paper, and simulated raters."""

import json
import math
import pathlib
import runpy
import subprocess
import sys
import types

import numpy as np
import pytest

from tfeval.analysis.relabel import labels, raters
from tfeval.metrics.dawid_skene import Votes

PATH = pathlib.Path(__file__).resolve().parents[1] / 'configs/dawid_skene.py'
EXAMPLE = types.SimpleNamespace(**runpy.run_path(str(PATH)))


def simulated(seed, items, raters, per_item, classes=2, good=0.8):
  """Votes of raters whose confusion matrices are known, and the truth."""
  rng = np.random.default_rng(seed)
  prior = np.array([0.7, 0.3]) if classes == 2 else np.array([0.5, 0.2, 0.3])
  truth = rng.choice(classes, items, p=prior)
  confusion = rng.dirichlet(np.ones(3), (raters, classes)) * (1 - good)
  for c in range(classes):
    confusion[:, c, 2 * c if classes == 2 else c] += good
  item = np.repeat(np.arange(items), per_item)
  rater = np.concatenate([rng.permutation(raters)[:per_item] for _ in range(items)])
  answer = np.array(
    [rng.choice(3, p=confusion[r, truth[i]]) for r, i in zip(rater, item, strict=True)]
  )
  return Votes(rater, item, answer, raters, items), truth, confusion


def start(votes, classes):
  shares = votes.shares()
  if classes == 3:
    return shares
  right = shares[:, 2] + shares[:, 1] / 2
  return np.stack([1 - right, right], axis=1)


def em_by_loop(votes, posterior, steps):
  """Equations 2.3 to 2.5, number by number."""
  classes = len(posterior[0])
  triples = list(
    zip(votes.rater.tolist(), votes.item.tolist(), votes.answer.tolist(), strict=True)
  )
  for _ in range(steps):
    prior = [sum(row[c] for row in posterior) / votes.items for c in range(classes)]
    pi = {}
    for k in range(votes.raters):
      for c in range(classes):
        found = [
          sum(posterior[i][c] for r, i, a in triples if (r, a) == (k, answer))
          for answer in range(3)
        ]
        for answer in range(3):
          pi[k, c, answer] = found[answer] / sum(found)
    updated = []
    for item in range(votes.items):
      joint = [
        prior[c] * math.prod(pi[r, c, a] for r, i, a in triples if i == item)
        for c in range(classes)
      ]
      updated.append([j / sum(joint) for j in joint])
    posterior = updated
  return np.array(posterior), prior, pi


@pytest.mark.parametrize('classes', [2, 3])
@pytest.mark.parametrize('steps', [1, 7])
def test_against_a_loop(classes, steps):
  votes, *_ = simulated(classes, items=30, raters=5, per_item=4, classes=classes)
  found = EXAMPLE.em(votes, start(votes, classes), 0, steps)
  posterior, prior, pi = em_by_loop(votes, start(votes, classes).tolist(), steps)
  np.testing.assert_allclose(found.posterior, posterior, atol=1e-12)
  np.testing.assert_allclose(found.prior, prior, atol=1e-12)
  for (k, c, answer), value in pi.items():
    assert found.confusion[k, c, answer] == pytest.approx(value, abs=1e-12)
  assert (found.iterations, found.converged) == (steps, False)


@pytest.mark.parametrize('classes', [2, 3])
def test_simulated_raters_are_recovered(classes):
  votes, truth, confusion = simulated(
    3, items=4000, raters=8, per_item=5, classes=classes, good=0.6
  )
  found = EXAMPLE.em(votes, start(votes, classes))
  assert found.converged
  assert np.abs(found.confusion - confusion).max() < 0.08
  assert (found.posterior.argmax(axis=1) == truth).mean() > 0.9
  # Better than the majority, which is what raters are weighed for.
  majority = start(votes, classes).argmax(axis=1)
  assert (found.posterior.argmax(axis=1) == truth).sum() > (majority == truth).sum()


def test_order_of_raters_items_and_votes_changes_nothing():
  votes, *_ = simulated(5, items=200, raters=6, per_item=4)
  rng = np.random.default_rng(0)
  of_rater, of_item = rng.permutation(6), rng.permutation(200)
  order = rng.permutation(len(votes.item))
  other = Votes(
    of_rater[votes.rater][order],
    of_item[votes.item][order],
    votes.answer[order],
    6,
    200,
  )
  found = EXAMPLE.em(votes, start(votes, 2), 0, 20)
  again = EXAMPLE.em(other, start(other, 2), 0, 20)
  np.testing.assert_allclose(again.posterior[of_item], found.posterior, atol=1e-9)
  np.testing.assert_allclose(again.confusion[of_rater], found.confusion, atol=1e-9)


def test_as_a_script(tmp_path):
  info = np.array([[f'ILSVRC2012_val_{1:08d}.JPEG', label] for label in ('65', '7')])
  answers = np.eye(3)[np.array([[2, 0], [2, 0], [2, 1]])]
  np.savez(tmp_path / 'raters.npz', tensor=answers, info=info, ids=np.arange(3))
  arguments = f'--raters={tmp_path}/raters.npz', f'--output={tmp_path}/a.json'
  subprocess.run([sys.executable, PATH, *arguments], check=True)
  found = json.loads((tmp_path / 'a.json').read_text())
  assert (len(found), found[0]) == (50_000, [65])


@pytest.mark.slow
def test_two_classes_agree_with_the_published_scores(shared_data):
  published = raters.load_scores(shared_data / 'real/scores.npz')
  golden = raters.load_votes(shared_data / 'real/golden.npz')
  scores = EXAMPLE.scores(raters.load_votes(shared_data / 'real/raters.npz'), 2)
  agree, of = labels.agreement(scores, published.score > 0.8, published.pairs, 0.8)
  assert 0.98 < agree / of < 0.99
  agree, of = labels.agreement(scores, labels.truth(golden), golden.pairs, 0.8)
  assert agree / of > 0.92
