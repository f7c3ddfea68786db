"""Shape bias against counting by hand."""

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from tfeval.metrics import cue_conflict

RANDOM = np.random.default_rng(0)


def test_decisions_are_those_of_a_loop():
  # 80 images of each of 16 shapes, five textures of each class: 1,280, 80 the same.
  shape, texture = np.repeat(np.arange(16), 80), np.tile(np.arange(16).repeat(5), 16)
  decision = RANDOM.choice([0, 1, 2], 1280, p=[0.2, 0.6, 0.2])
  decision = np.choose(decision, [shape, texture, RANDOM.integers(0, 16, 1280)])
  found = cue_conflict.cue_decisions(decision, shape, texture)
  counts = {'shape': 0, 'texture': 0, 'all': 0}
  for said, s, t in zip(decision, shape, texture, strict=True):
    if s == t:
      continue
    counts['all'] += 1
    counts['shape'] += int(said == s)
    counts['texture'] += int(said == t)
  assert (found.shape, found.texture) == (counts['shape'], counts['texture'])
  assert (found.count, found.same) == (counts['all'], 80) and found.count == 1200
  decided = found.shape + found.texture
  assert found.shape_bias == found.shape / decided
  assert found.decided == decided / 1200
  for interval, pair in (
    (found.shape_bias_interval, (found.shape, decided)),
    (found.decided_interval, (decided, 1200)),
  ):
    assert interval == pytest.approx(proportion_confint(*pair, method='wilson'))


def test_nothing_decided_is_no_bias():
  found = cue_conflict.cue_decisions(np.array([3]), np.array([1]), np.array([2]))
  assert found.shape_bias is None and found.shape_bias_interval is None
  assert found.decided == 0
  none = cue_conflict.cue_decisions(*[np.zeros(0, int)] * 3)
  assert none.decided is None and none.decided_interval is None
  with pytest.raises(ValueError, match='not one for each image'):
    cue_conflict.cue_decisions(np.array([1]), np.array([1, 2]), np.array([1, 2]))
