"""EM of Saerens against the shared vector and a case that is solved by hand."""

import json

import numpy as np
import pytest
from scipy import special

from tfeval.metrics.label_shift import adjusted, em_priors


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
