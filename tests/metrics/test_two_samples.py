"""Two-sample tests against published formulas' values, SciPy, OpenCV and counting."""

import itertools
import json

import numpy as np
import pytest
from scipy import linalg, special, stats

from tfeval.metrics import label_shift, unlabelled
from tfeval.metrics.shift import (
  classifier,
  frechet,
  image_statistics,
  matched,
  outputs,
  reweighted,
  two_sample,
)

FIRST = np.sin(np.arange(12)[:, None] + 2 * np.arange(3))
SECOND = 0.5 + np.cos(1.3 * np.arange(10)[:, None] + 0.7 * np.arange(3))
LABELS = np.arange(60) % 3
TARGET_LABELS = np.repeat([0, 1, 2], [30, 10, 5])


def logits(labels, of_row):
  rows, classes = np.arange(len(labels))[:, None], np.arange(3)
  return 0.7 * (labels[:, None] == classes) + of_row(rows, classes)


SOURCE = special.softmax(logits(LABELS, lambda i, k: np.sin(i + 2 * k)), axis=1)
TARGET = special.softmax(logits(TARGET_LABELS, lambda i, k: np.cos(i + 3 * k)), axis=1)


@pytest.fixture(scope='module')
def vectors(shared_data):
  """Values of other implementations, of the samples above."""
  return json.loads((shared_data / 'facts/shift_test_vectors.json').read_text())


def exactly(value):
  return pytest.approx(value, rel=1e-13)


def rounded(value):
  return pytest.approx(value, abs=5.1e-7)


def test_vectors_of_two_samples(vectors):
  distances = two_sample.pair_distances(FIRST, SECOND)
  sigma = two_sample.median_distance(distances)
  assert sigma == exactly(vectors['median_pairwise_distance_of_pooled_distinct_pairs'])

  def mmd2(sigmas, unbiased=True):
    return two_sample.mmd2(two_sample.rbf_kernel(distances, sigmas), 12, unbiased)

  assert mmd2([1]) == exactly(vectors['mmd2_unbiased_sigma1'])
  assert mmd2([1], False) == exactly(vectors['mmd2_biased_sigma1'])
  assert mmd2([sigma]) == exactly(vectors['mmd2_unbiased_sigma_median'])
  assert mmd2([sigma / 2, sigma, sigma * 2]) == exactly(
    vectors['mmd2_unbiased_mean_over_sigma_median_times_0.5_1_2']
  )
  energy = two_sample.energy_distance(distances, 12)
  assert energy == exactly(vectors['energy_distance_squared_V'])
  energy = two_sample.energy_distance(distances, 12, unbiased=True)
  assert energy == exactly(vectors['energy_distance_squared_U'])
  found = frechet.frechet_distance(FIRST, SECOND, any_size=True)
  assert found == exactly(vectors['frechet_squared'])


def test_vectors_of_label_shift(vectors):
  said = [label_shift.hard(one.argmax(axis=1), 3) for one in (SOURCE, TARGET)]
  found = label_shift.bbse(said[0], LABELS, said[1])
  assert found.tolist() == rounded(vectors['bbse_hard_w'])
  found = label_shift.bbse(SOURCE, LABELS, TARGET)
  assert found.tolist() == rounded(vectors['bbse_soft_w'])

  wanted = vectors['em_saerens_q_prior_from_labels']
  found = label_shift.em_priors(np.log(TARGET), np.full(3, 1 / 3))
  assert found.tolist() == pytest.approx(wanted, abs=5.1e-6)
  # Step by step: counted from 0, the one that changes so little that it is the last.
  priors, changes = np.full((1, 3), 1 / 3), []
  counts = np.full((len(TARGET), 1), 1 / len(TARGET))
  while not changes or changes[-1] >= 1e-12:
    after, _ = label_shift._em_step(3 * TARGET, counts, priors)
    changes.append(np.abs(after - priors).sum())
    priors = after
  assert len(changes) - 1 == vectors['em_iterations_tol_1e-12_L1']
  assert found == pytest.approx(priors[0], abs=1e-8)


def test_vectors_of_accuracy_without_labels(vectors):
  hits = SOURCE.argmax(axis=1) == LABELS
  assert hits.mean() == rounded(vectors['acc_source'])
  sure = SOURCE.max(axis=1), TARGET.max(axis=1)
  found = unlabelled.average_confidence(sure[1])
  assert found == rounded(vectors['average_confidence_target'])
  found = unlabelled.difference_of_confidences(hits, *sure)
  assert found == rounded(vectors['doc_prediction'])
  entropies = outputs.negative_entropy(SOURCE), outputs.negative_entropy(TARGET)
  for name, scores in ('mc', sure), ('ne', entropies):
    found = unlabelled.threshold(hits, scores[0])
    assert found == rounded(vectors[f'atc_{name}_threshold'])
    found = unlabelled.above_threshold(hits, *scores)
    assert found == rounded(vectors[f'atc_{name}_prediction'])


def test_a_source_without_errors_says_that_all_are_right_whatever_the_score():
  hits = np.ones(60, bool)
  for one in (lambda p: p.max(axis=1), outputs.negative_entropy):
    assert unlabelled.above_threshold(hits, one(SOURCE), one(TARGET)) == 1
    assert unlabelled.above_threshold(~hits, one(SOURCE), one(TARGET)) < 0.1


def test_permutations_against_shuffled_matrices():
  distances = two_sample.pair_distances(FIRST, SECOND)
  kernel = two_sample.rbf_kernel(distances, [1.0])
  # Of 3 and 2 images there are ten ways, and their share is known.
  small = kernel[np.ix_(range(9, 14), range(9, 14))]
  ways = [
    two_sample.mmd2(small[np.ix_(order, order)], 3)
    for first in itertools.combinations(range(5), 3)
    for order in [[*first, *sorted({*range(5)} - {*first})]]
  ]
  null = two_sample.permuted(small, 3, 4000)
  assert sorted(set(null.round(9))) == sorted(set(np.round(ways, 9)))
  exact = np.mean(np.array(ways) >= ways[0] - 1e-12)
  value, p = two_sample.mmd_test(small, 3, 4000)
  assert value == exactly(two_sample.mmd2(small, 3))
  assert p == pytest.approx(exact, abs=0.03)


def test_p_values_count_the_sample_itself():
  kernel = two_sample.rbf_kernel(two_sample.pair_distances(FIRST, FIRST + 9), [1.0])
  assert two_sample.mmd_test(kernel, 12, 99)[1] == pytest.approx(1 / 100)


@pytest.mark.parametrize('n, d', [(40, 5), (6, 30)])
def test_frechet_against_the_root_of_a_matrix(n, d):
  random = np.random.default_rng(0)
  first = random.standard_normal((n, d)) @ random.standard_normal((d, d))
  second = random.standard_normal((n, d)) + 0.5
  covariances = np.cov(first.T), np.cov(second.T)
  root = linalg.sqrtm(covariances[0] @ covariances[1]).real
  means = first.mean(axis=0) - second.mean(axis=0)
  expected = means @ means + np.trace(covariances[0] + covariances[1] - 2 * root)
  assert frechet.frechet_distance(first, second) == pytest.approx(expected, rel=1e-5)
  assert frechet.frechet_distance(first, first) == pytest.approx(0, abs=1e-9)
  with pytest.raises(ValueError, match='biased by how many'):
    frechet.frechet_distance(first, second[1:])


def test_what_is_far_from_chance_has_a_p_value():
  """1 - cdf is 0 from 8.3 standard deviations on."""
  pytest.importorskip('sklearn')
  random = np.random.default_rng(0)
  first, second = random.standard_normal((2, 600, 4)) + np.array([0, 5])[:, None, None]
  found = classifier.classifier_test(first, second)
  assert found.accuracy > 0.99 and 0 < found.p < 1e-100


def test_a_classifier_finds_what_is_there_and_nothing_else():
  random = np.random.default_rng(1)
  samples = random.standard_normal((20, 2, 150, 40))
  p = [classifier.classifier_test(*pair).p for pair in samples]
  assert sum(one <= 0.05 for one in p) <= 4
  found = classifier.classifier_test(samples[0, 0], samples[0, 1] + 0.3)
  assert found.p < 1e-3 and found.accuracy > 0.6
  # A classifier that always says the larger one is no better than chance.
  larger = np.concatenate(samples[1:11, 0])
  found = classifier.classifier_test(samples[0, 0], larger)
  assert 0.35 < found.accuracy < 0.65 and found.p > 0.01


def test_outputs_against_scipy():
  said = SOURCE.argmax(axis=1), TARGET.argmax(axis=1)
  found = outputs.of_classes(*said, permutations=20_000)
  table = [np.bincount(one, minlength=3) for one in said]
  expected = stats.chi2_contingency(table, correction=False)
  assert found.value == exactly(expected.statistic)
  assert found.p == pytest.approx(expected.pvalue, abs=0.02)
  # Rounded, so that there are ties.
  sides = SOURCE.round(1), TARGET.round(1)
  each = [stats.ks_2samp(a, b) for a, b in zip(sides[0].T, sides[1].T, strict=True)]
  found = outputs.of_probabilities(*sides)
  assert found.value == max(one.statistic for one in each)
  assert found.p == pytest.approx(min(1, 3 * min(one.pvalue for one in each)))
  entropies = outputs.negative_entropy(SOURCE)
  assert entropies == pytest.approx(-stats.entropy(SOURCE, axis=1))
  assert outputs.negative_entropy(np.eye(3)).tolist() == [0, 0, 0]


def test_pairs_and_their_differences_against_counting():
  distances = two_sample.pair_distances(FIRST, SECOND)[:12, 12:]
  expected, left = set(), distances.copy()
  while np.isfinite(left).any():
    i, j = np.unravel_index(left.argmin(), left.shape)
    expected.add((int(i), int(j)))
    left[i], left[:, j] = np.inf, np.inf
  found = set(zip(*map(np.ndarray.tolist, matched.pairs(distances)), strict=True))
  assert found == expected and len(found) == 10
  near = {pair for pair in expected if distances[pair] <= 1}
  found = set(zip(*map(np.ndarray.tolist, matched.pairs(distances, 1)), strict=True))
  assert found == near and 0 < len(near) < 10
  differences = np.array([1.0, 1, 1, 1, 1, 0, 0, -1])
  mean, p = matched.mean_difference_test(differences, 20_000)
  exact = stats.permutation_test(
    (differences,), np.mean, permutation_type='samples', n_resamples=np.inf
  )
  assert mean == 0.5 and p == pytest.approx(exact.pvalue, abs=0.02)


def test_balance_sees_what_all_pairs_share():
  random = np.random.default_rng(2)
  first = random.standard_normal((80, 6))
  pairs = np.arange(80), np.arange(80)

  def p(away):
    noise = 0.5 * random.standard_normal((2, 80, 6))
    distances = two_sample.pair_distances(first + noise[0], first + noise[1] + away)
    return matched.balance_p(two_sample.rbf_kernel(distances, [3.0]), 80, pairs)

  assert sum(p(0) <= 0.05 for _ in range(20)) <= 4
  assert p(0.3) < 0.01


def test_a_sample_that_is_reweighted_fits_and_one_that_moved_does_not():
  random = np.random.default_rng(3)

  def draw(of_first, away=0.0):
    classes = random.random(250) < of_first
    features = random.standard_normal((250, 8)) + 3 * classes[:, None]
    features[:, 0] += away
    # The posterior of class 1 with equal priors, known from the normal densities.
    return features, special.expit(3 * (features.sum(axis=1) - 0.5 * 8 * 3))

  def p(target, weights):
    (first, p_first), (second, p_second) = draw(0.5), target
    distances = two_sample.pair_distances(first, second)
    kernel = two_sample.rbf_kernel(distances, [two_sample.median_distance(distances)])
    one = np.concatenate([p_first, p_second])
    posteriors = np.stack([1 - one, one], axis=1)
    return reweighted.reweighted_test(kernel, 250, posteriors, weights, 199)[1]

  fitting = [p(draw(0.8), np.array([0.4, 1.6])) for _ in range(20)]
  assert sum(one <= 0.05 for one in fitting) <= 4
  assert p(draw(0.5, 0.8), np.ones(2)) < 0.01
  assert p(draw(0.8, 0.8), np.array([0.4, 1.6])) < 0.01


def test_statistics_of_an_image_against_opencv():
  cv2 = pytest.importorskip('cv2')
  random = np.random.default_rng(4)
  image = cv2.GaussianBlur(random.integers(0, 256, (60, 90, 3), np.uint8), (0, 0), 1.5)
  found = image_statistics.of_pixels(image)
  grey = image.astype(np.float64) @ [0.299, 0.587, 0.114]
  laplacian = cv2.Laplacian(grey, cv2.CV_64F)[1:-1, 1:-1]
  assert found == pytest.approx(
    {
      'brightness': grey.mean(),
      'contrast': grey.std(),
      'sharpness': laplacian.var(),
      'width': 90,
      'height': 60,
      'aspect': 1.5,
    },
    rel=1e-4,
  )
  for quality in (1, 10, 49, 50, 75, 90, 95, 100):
    _, encoded = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert image_statistics.jpeg_quality(encoded.tobytes()) == quality
  encoded = encoded.tobytes()
  assert image_statistics.jpeg_quality(cv2.imencode('.png', image)[1].tobytes()) is None
  # Whatever is cut off or damaged: a number or nothing, never an error.
  for size in range(0, 200):
    assert image_statistics.jpeg_quality(encoded[:size]) in (None, 100)
  for _ in range(300):
    damaged = bytearray(encoded[:700])
    damaged[random.integers(2, 200)] = random.integers(256)
    assert image_statistics.jpeg_quality(bytes(damaged)) in (None, *range(1, 101))


@pytest.mark.parametrize(
  'first, second, said',
  [
    (FIRST, SECOND[:, :2], 'shapes'),
    (FIRST[:0], SECOND, 'empty'),
    (FIRST, SECOND * np.nan, 'not finite'),
  ],
)
def test_samples_that_cannot_be_compared(first, second, said):
  with pytest.raises(ValueError, match=said):
    two_sample.pair_distances(first, second)


def test_constant_features_have_no_width():
  distances = two_sample.pair_distances(np.ones((5, 3)), np.ones((4, 3)))
  with pytest.raises(ValueError, match='constant'):
    two_sample.median_distance(distances)
