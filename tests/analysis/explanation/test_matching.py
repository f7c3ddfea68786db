"""Answers of others, whatever their classes mean, against ours."""

import numpy as np
import pytest

from tfeval.analysis.explanation import matching
from tfeval.analysis.explanation.matching import Reading
from tfeval.datasets.labels import imagenet
from tfeval.datasets.labels.spaces import LabelSpace

SPACE = imagenet.label_space()
N = 300


@pytest.fixture
def ours():
  rng = np.random.default_rng(0)
  return np.stack([rng.permutation(1000)[:5] for _ in range(N)])


def found(ours, theirs, scored=False):
  """The reading under which most agree, and how many do."""
  agree = {
    reading: int(matching.agreeing(ours, theirs, reading, SPACE).sum())
    for reading in matching.readings(theirs, scored, SPACE)
  }
  best = max(agree, key=lambda one: (agree[one], -len(one.departures)))
  return dict(best.departures), agree[best]


def test_class_orders(ours):
  ids = np.array(imagenet.ilsvrc_ids())  # Of each class, from 1.
  text = sorted(range(1000), key=str)
  names = sorted(range(1000), key=SPACE.class_names.__getitem__)
  best = ours[:, 0]
  for name, theirs in {
    '': best,
    'one_too_high': best + 1,
    'ilsvrc_id': ids[best],
    'ilsvrc_id_from_0': ids[best] - 1,
    'text': np.array([text.index(one) for one in best]),
    'name': np.array([names.index(one) for one in best]),
  }.items():
    expected = {'class_order': name} if name else {}
    assert found(ours, theirs[:, None]) == (expected, N), name


def test_columns(ours):
  assert found(ours, ours[:, ::-1]) == ({'columns': 'ascending'}, N)
  rng = np.random.default_rng(1)
  # The first of each row stands somewhere else.
  shuffled = np.stack([np.roll(one, rng.integers(1, 4)) for one in ours])
  assert found(ours, shuffled) == ({'columns': 'unsorted'}, N)
  both = ours[:, ::-1] + 1
  assert found(ours, both) == (
    {'class_order': 'one_too_high', 'columns': 'ascending'},
    N,
  )
  # Of scores the best is known.
  assert all(not one.columns for one in matching.readings(ours, True, SPACE))


def test_some_agree(ours):
  theirs = ours[:, :1].copy()
  theirs[:10] = (theirs[:10] + 500) % 1000
  assert found(ours, theirs) == ({}, N - 10)


def test_chance():
  assert matching.is_unrelated(1, 300, 1000) and not matching.is_unrelated(9, 300, 1000)
  assert matching.is_unrelated(120, 256, 2) and not matching.is_unrelated(180, 256, 2)


def test_classes_of_ones_own():
  space = LabelSpace('own', ('ant', 'bee', 'Zebra'), ('ant', 'bee', 'Zebra'))
  assert {*matching.class_orders(space)} >= {'', 'name', 'one_too_high', 'reversed'}
  reading = Reading('name')  # Zebra, ant, bee.
  ours = np.array([[2], [0], [1]])
  assert matching.agreeing(ours, np.array([[0], [1], [2]]), reading, space).all()
