"""Ranking in TensorFlow against the one in NumPy, which is the reference."""

import numpy as np
import pytest
import tensorflow as tf

from tfeval.engine import device_ranking
from tfeval.metrics import competition, ranking
from tfeval.metrics.competition import MAX, MEAN, Rule
from tfeval.runs import predictions

CLASSES, KEPT = 1000, 20
LABELS = np.array([3, -1, 999, 0, 17, 500, 1, -1])
RANDOM = np.random.default_rng(0)


def _scores(kind: str) -> np.ndarray:
  shape = len(LABELS), CLASSES
  normal = RANDOM.normal(size=shape)
  with np.errstate(over='ignore', under='ignore'):
    return {
      'distinct': lambda: normal,
      'ties': lambda: RANDOM.integers(0, 4, shape),
      'constant': lambda: np.zeros(shape),
      'signed zeros': lambda: np.where(normal > 0, -0.0, 0.0),
      'subnormal': lambda: RANDOM.integers(-5, 6, shape) * 1e-45,
      'infinite': lambda: np.where(
        normal > 2, np.inf, np.where(normal < 0, -np.inf, 1)
      ),
      'huge': lambda: np.sign(normal) * 3e38,
      'float16': lambda: (normal / 8).astype(np.float16),
      'bfloat16': lambda: tf.cast(normal, tf.bfloat16).numpy(),
    }[kind]().astype(np.float32)


KINDS = ('distinct', 'ties', 'constant', 'signed zeros', 'subnormal', 'infinite')
KINDS += ('huge', 'float16', 'bfloat16')


def _ranked(scores, jit, is_logits=True):
  found = tf.function(
    lambda *given: device_ranking.ranked(*given, KEPT, is_logits),
    jit_compile=jit,
    autograph=False,
  )(tf.constant(scores), tf.constant(LABELS))
  return {name: value.numpy() for name, value in found.items()}


@pytest.mark.parametrize('jit', [False, True])
@pytest.mark.parametrize('kind', KINDS)
def test_classes_are_those_of_numpy(kind, jit):
  scores = _scores(kind)
  found = _ranked(scores, jit)['classes']
  assert found.dtype == np.int32
  np.testing.assert_array_equal(found, ranking.top_k(scores, KEPT))


@pytest.mark.parametrize('jit', [False, True])
def test_log_probabilities_are_those_of_numpy(jit):
  scores = _scores('distinct')
  found = _ranked(scores, jit)
  expected = ranking.log_softmax(scores)
  best = np.take_along_axis(expected, found['classes'], 1)
  np.testing.assert_allclose(found['log_probs'], best, rtol=1e-12)
  labelled = LABELS >= 0
  np.testing.assert_allclose(
    found['label_log_prob'][labelled],
    expected[labelled, LABELS[labelled]],
    rtol=1e-12,
  )
  assert np.isnan(found['label_log_prob'][~labelled]).all()


def test_probabilities_are_taken_as_they_are():
  scores = np.full((len(LABELS), CLASSES), 1e-3, np.float32)
  found = _ranked(scores, False, is_logits=False)
  np.testing.assert_allclose(found['log_probs'], np.log(1e-3), rtol=1e-6)
  np.testing.assert_allclose(found['total'], 1, atol=1e-4)


def test_what_cannot_be_scores_is_seen():
  scores = _scores('distinct')
  scores[2, 5], scores[4, 7] = np.nan, np.inf
  found = _ranked(scores, False)
  assert np.flatnonzero(~found['finite']).tolist() == [2, 4]
  assert found['lowest'][0] == scores[0].min()


GROUPS = tuple((i, i + 400, i + 700) for i in range(300))


@pytest.mark.parametrize('output', ['logits', 'probabilities', 'sigmoid'])
@pytest.mark.parametrize(('name', 'reduce'), [('all', MAX), ('some', MAX), ('c', MEAN)])
def test_classes_of_a_rule_are_those_of_numpy(output, name, reduce):
  # Few values, so that means of them come near each other.
  scores = RANDOM.integers(1, 40, (len(LABELS), CLASSES)).astype(np.float32) / 41
  if output == 'probabilities':
    scores /= scores.sum(1, keepdims=True)
  contest = competition.contest(Rule(name, GROUPS, reduce), None, CLASSES)
  found = device_ranking.ranked(
    tf.constant(scores), tf.constant(LABELS % 300), KEPT, output == 'logits', contest
  )
  of_rule = competition.Competition(None, {name: contest})
  expected = predictions.rank_scores(scores, LABELS % 300, output, of_rule, name)
  named = contest.classes[found['classes'].numpy()]
  np.testing.assert_array_equal(named, expected.classes)
  if output == 'sigmoid':
    assert expected.log_probs is None
  else:
    of_host = expected.log_probs
    np.testing.assert_allclose(found['log_probs'], of_host, rtol=1e-12, atol=1e-12)
