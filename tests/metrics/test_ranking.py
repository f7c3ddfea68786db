"""Ranking against a full stable sort, log softmax against SciPy."""

import numpy as np
import pytest
import scipy.special

from tfeval.metrics import ranking


def reference(scores: np.ndarray, k: int) -> np.ndarray:
  return np.argsort(-scores, axis=1, kind='stable')[:, :k]


@pytest.mark.parametrize('k', [1, 5, 20, 999, 1000])
@pytest.mark.parametrize('dtype', [np.float16, np.float32, np.float64])
def test_top_k_of_scores(k, dtype):
  # 16 bits leave many ties among a thousand scores.
  scores = np.random.default_rng(k).normal(size=(50, 1000)).astype(dtype)
  ranked = ranking.top_k(scores, k)
  assert ranked.dtype == np.int32
  np.testing.assert_array_equal(ranked, reference(scores, k))


def test_top_k_of_integers_with_many_ties():
  for seed in range(500):
    rng = np.random.default_rng(seed)
    classes = int(rng.integers(1, 40))
    k = int(rng.integers(1, classes + 1))
    rows = int(rng.integers(1, 8))
    scores = rng.integers(0, rng.integers(1, 8), (rows, classes)).astype(np.float32)
    scores[rng.random(scores.shape) < 0.2] = -np.inf
    np.testing.assert_array_equal(ranking.top_k(scores, k), reference(scores, k))


def test_ties_at_the_last_place_go_to_the_lowest_class():
  scores = np.array([[0, 5, 5, 9, 5, 5], [1, 2, 3, 4, 5, 6]], np.float32)
  np.testing.assert_array_equal(ranking.top_k(scores, 3), [[3, 1, 2], [5, 4, 3]])


def test_constant_scores_rank_by_class():
  np.testing.assert_array_equal(
    ranking.top_k(np.full((3, 1000), 0.001, np.float32), 5), [[0, 1, 2, 3, 4]] * 3
  )


def test_minus_infinity_comes_last():
  scores = np.full((2, 6), -np.inf, np.float32)
  scores[0, 4] = -1e30
  np.testing.assert_array_equal(ranking.top_k(scores, 3), [[4, 0, 1], [0, 1, 2]])


def test_negative_zero_ties_with_zero():
  np.testing.assert_array_equal(
    ranking.top_k(np.array([[-0.0, 0.0, -1.0]]), 2), [[0, 1]]
  )


def test_a_row_does_not_depend_on_the_others():
  scores = np.random.default_rng(0).integers(0, 4, (40, 30)).astype(np.float32)
  together = ranking.top_k(scores, 5)
  alone = [ranking.top_k(row[None], 5)[0] for row in scores]
  np.testing.assert_array_equal(together, alone)


def test_scores_are_not_changed():
  scores = np.random.default_rng(0).normal(size=(4, 30))
  before = scores.copy()
  ranking.top_k(scores, 5)
  ranking.log_softmax(scores)
  np.testing.assert_array_equal(scores, before)


def test_no_rows():
  assert ranking.top_k(np.empty((0, 1000), np.float32), 5).shape == (0, 5)


@pytest.mark.parametrize('k', [-1, 0, 7])
def test_k_out_of_range(k):
  with pytest.raises(ValueError, match=rf'k={k} is not in \[1, 6\]'):
    ranking.top_k(np.zeros((2, 6)), k)


@pytest.mark.parametrize('scale', [0.0, 1.0, 30.0, 1e4])
def test_log_softmax_against_scipy(scale):
  logits = (np.random.default_rng(0).normal(size=(20, 1000)) * scale).astype(np.float32)
  ours = ranking.log_softmax(logits)
  assert ours.dtype == np.float64
  np.testing.assert_allclose(
    ours,
    scipy.special.log_softmax(logits.astype(np.float64), axis=1),
    rtol=1e-12,
    atol=1e-12,
  )
  np.testing.assert_allclose(np.exp(ours).sum(axis=1), 1, rtol=1e-12)
  assert ours.max() <= 0
