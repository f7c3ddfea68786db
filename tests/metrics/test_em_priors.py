"""EM of Saerens against the shared vector and a case that is solved by hand."""

import json
import logging

import numpy as np
import pytest
from scipy import optimize, special

from tfeval.metrics.label_shift import adjusted, bootstrap_weights, em_priors


def test_the_shared_vector(shared_data):
  facts = json.loads((shared_data / 'facts/shift_test_vectors.json').read_text())
  labels = np.array([0] * 30 + [1] * 10 + [2] * 5)
  i, k = np.arange(45)[:, None], np.arange(3)
  logits = 0.7 * (labels[:, None] == k) + np.cos(i + 3 * k)
  found = em_priors(special.log_softmax(logits, 1), np.full(3, 1 / 3))
  assert found == pytest.approx(facts['em_saerens_q_prior_from_labels'], abs=5e-7)


def test_two_kinds_of_images_by_hand():
  # Of each kind q solves q = mean of its share: 3 of 4 say the first for sure.
  log_probs = np.log(np.array([[1 - 1e-12, 1e-12]] * 3 + [[1e-12, 1 - 1e-12]]))
  priors = em_priors(log_probs, np.array([0.5, 0.5]))
  assert priors == pytest.approx([0.75, 0.25])
  half = adjusted(np.log([[0.5, 0.5]]), priors / 0.5)
  assert half == pytest.approx(np.array([[0.75, 0.25]]))


def unlike(classes=20, images=400, seed=0):
  """Outputs that hardly tell half of the classes, of which some have no images."""
  random = np.random.default_rng(seed)
  labels = random.integers(0, classes, images) // 2
  features = 1.5 * np.eye(classes)[labels] + random.standard_normal((images, classes))
  return special.log_softmax(1.5 * features, axis=1)


def greatest(log_probs, weights):
  """The greatest likelihood, by SciPy; priors as a softmax."""

  def loss(values):
    log_priors = special.log_softmax(values)
    each = special.logsumexp(log_probs + log_priors, axis=1)
    shares = special.softmax(log_probs + log_priors, axis=1)
    slope = weights @ shares - weights.sum() * np.exp(log_priors)
    return -weights @ each, -slope

  start = np.zeros(log_probs.shape[1])
  found = optimize.minimize(loss, start, jac=True, options={'gtol': 1e-9})
  return special.softmax(found.x), found.fun


def test_classes_that_are_hardly_told_apart_by_scipy():
  log_probs = unlike()
  n, k = log_probs.shape
  equal = np.full(k, 1 / k)
  found = em_priors(log_probs, equal)
  wanted, _ = greatest(log_probs, np.ones(n) / n)
  assert found == pytest.approx(wanted, abs=2e-4)
  weights = bootstrap_weights(n, 6, 3)
  near = 0.9 * found + 0.1 * equal
  draws = em_priors(log_probs, equal, weights, 1e-5, start=near)
  for one, counts in zip(draws, weights.T, strict=True):
    wanted, loss = greatest(log_probs, counts / n)
    mine = -(counts / n) @ np.log(np.exp(log_probs) @ one)
    assert 0 <= mine - loss + 1e-9 < 1e-5 + 2e-9
    assert one == pytest.approx(wanted, abs=0.003)


def test_an_end_that_is_not_reached_is_told(caplog):
  equal = np.full(20, 1 / 20)
  with caplog.at_level(logging.WARNING, 'tfeval'):
    em_priors(unlike(), equal)
    assert not caplog.records
    em_priors(unlike(), equal, most=6)
  assert 'were not found in 6 steps' in caplog.text


def test_images_that_are_possible_under_no_class():
  priors = np.array([0.5, 0.5, 0.0])
  with np.errstate(divide='ignore'):
    nothing = np.log([[0.0, 0.0, 1.0]] * 3)
    some = np.log([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
  with pytest.raises(ValueError, match='no image is possible'):
    em_priors(nothing, priors)
  assert em_priors(some, priors) == pytest.approx([1, 0, 0], abs=1e-6)
