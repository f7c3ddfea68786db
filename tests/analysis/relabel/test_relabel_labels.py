"""Labels at a threshold, aggregation, and proposals against experts."""

import json

import numpy as np
import pytest

from tfeval.analysis.relabel import labels as relabel
from tfeval.analysis.relabel import raters as rated
from tfeval.datasets.labels import imagenet
from tfeval.metrics.dawid_skene import Votes
from tfeval.utils.errors import UserError


@pytest.fixture(scope='module')
def published(shared_data):
  return rated.load_scores(shared_data / 'real/scores.npz')


@pytest.fixture(scope='module')
def answers(shared_data):
  return [
    rated.load_votes(shared_data / f'real/{name}.npz')
    for name in ('raters', 'golden', 'raters_golden')
  ]


def pairs(*found):
  images, labels = zip(*found, strict=True)
  return rated.Pairs(np.array(images), np.array(labels))


def experts(*answers):
  """Golden answers to the pairs (1, 10), (1, 11), (2, 12), ...: a row per expert."""
  answers = np.array(answers)
  raters, items = answers.shape
  rater, item = np.indices(answers.shape).reshape(2, -1)
  found = [(1 + i // 2, 10 + i) for i in range(items)]
  return rated.Rated(
    pairs(*found),
    Votes(rater, item, answers.reshape(-1), raters, items),
    np.arange(raters),
  )


def test_published_labels_are_reproduced(shared_data, published):
  found = relabel.labels_at(published, 0.8)
  assert len(found) == 50_000
  expected = json.loads((shared_data / 'real/real.json').read_text())
  assert found == [sorted(one) for one in expected]


@pytest.mark.parametrize('threshold', [0, 0.3, 0.8, 1])
def test_thresholds_by_a_loop(threshold):
  scores = rated.Scores(
    pairs((2, 9), (1, 5), (2, 3), (50_000, 1)), np.array([0.8, 0.3, 0.9, 0])
  )
  found = relabel.labels_at(scores, threshold)
  original = imagenet.original_validation_labels()
  expected = {
    1: [5] * (threshold < 0.3),
    2: [3] * (threshold < 0.9) + [9] * (threshold < 0.8),
    50_000: [],
  }
  for number in (1, 2, 3, 49_999, 50_000):
    assert found[number - 1] == expected.get(number, [original[number - 1]])


def test_golden_aggregation_nears_the_published_scores(published, answers):
  """Most log-odds are equal to the last digits; the others differ by constants."""
  raters, golden, raters_golden = answers
  scores = relabel.aggregate(raters, golden, raters_golden)

  def odds(score):
    return np.log(score) - np.log1p(-score)

  apart = odds(published.score) - odds(scores.score)
  steps, counts = np.unique(apart.round(4), return_counts=True)
  assert len(steps) == 3
  assert steps[counts.argmax()] == 0
  assert counts.max() / len(apart) > 0.69
  agree, of = relabel.agreement(scores, published.score > 0.8, published.pairs, 0.8)
  assert of == 184_962
  assert agree / of > 0.99
  agree, of = relabel.agreement(scores, relabel.truth(golden), golden.pairs, 0.8)
  assert of == 1135
  assert agree / of > 0.93


def test_golden_confusion_by_hand():
  golden = experts([2, 0, 0, 2], [2, 0, 2, 0], [0, 0, 0, 2])
  assert relabel.truth(golden).tolist() == [True, False, False, True]
  asked = experts([2, 0, 1, 2], [0, 0, 0, 0])
  raters = rated.Rated(
    pairs((9, 9)), Votes(*np.zeros((3, 1), int), 3, 1), np.array([1, 5, 0])
  )
  confusion, prior = relabel.golden_confusion(raters, golden, asked)
  assert prior.tolist() == [0.5, 0.5]
  first, second = [[2, 2, 1], [1, 1, 3]], [[3, 1, 1], [3, 1, 1]]
  np.testing.assert_allclose(confusion[2] * 5, first)
  np.testing.assert_allclose(confusion[0] * 5, second)
  np.testing.assert_allclose(confusion[1] * 5, np.mean([first, second], axis=0))


def test_golden_answers_that_do_not_fit():
  asked, raters = experts([2, 0, 1, 2]), experts([2, 0])
  for golden in (experts([2, 0, 0, 0, 2, 2]), experts([2, 2, 2, 2])):
    with pytest.raises(UserError):
      relabel.golden_confusion(raters, golden, asked)


def test_curves_by_hand():
  golden = experts([2, 0, 2, 2])  # (1, 10), (2, 12) and (2, 13) are right.
  scores = rated.Scores(golden.pairs, np.array([0.9, 0.8, 0.8, 0.1]))
  found = relabel.score_curve(scores, golden)
  assert found.correct.tolist() == [1, 2, 3]
  assert found.proposed.tolist() == [1, 3, 4]
  assert found.positives == 3
  # Image 1 only; (1, 99) was not asked, image 3 is none of the experts'.
  proposed = pairs((1, 99), (1, 10), (3, 10))
  found = relabel.proposal_curve(proposed, np.array([0.9, 0.5, 1.0]), golden)
  assert found.correct.tolist() == [0, 1]
  assert found.proposed.tolist() == [1, 2]
  assert found.positives == 1
  with pytest.raises(UserError, match='have no score'):
    relabel.score_curve(rated.Scores(pairs((1, 10)), np.ones(1)), golden)
  with pytest.raises(UserError, match='of these images'):
    relabel.proposal_curve(pairs((3, 10)), np.ones(1), golden)


def test_original_labels_against_experts(answers):
  _, golden, _ = answers
  original = relabel.original_proposals(golden)
  found = relabel.proposal_curve(original, np.ones(len(original.image)), golden)
  right = {
    (i, k)
    for i, k, yes in zip(
      golden.pairs.image.tolist(),
      golden.pairs.label.tolist(),
      relabel.truth(golden).tolist(),
      strict=True,
    )
    if yes
  }
  labels = imagenet.original_validation_labels()
  images = set(golden.pairs.image.tolist())
  assert found.correct.tolist() == [sum((i, labels[i - 1]) in right for i in images)]
  assert found.proposed.tolist() == [len(images)] == [155]
  assert found.positives == len(right)
