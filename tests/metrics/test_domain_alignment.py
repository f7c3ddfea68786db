"""CORAL and subspace alignment beside SciPy, scikit-learn and the shared vector."""

import json

import numpy as np
import pytest
from scipy import linalg
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from tfeval.metrics import domain_alignment

RANDOM = np.random.default_rng(0)
MIX = RANDOM.normal(0, 1, (6, 6))
SOURCE = RANDOM.normal(2, 3, (40, 6))
TARGET = RANDOM.normal(0, 1, (30, 6)) @ MIX


def test_loss_is_the_shared_vector(shared_data):
  known = json.loads((shared_data / 'facts/shift_test_vectors.json').read_text())
  i, j = np.arange(12)[:, None], np.arange(3)
  source, target = np.sin(i + 2 * j), 0.5 + np.cos(1.3 * i[:10] + 0.7 * j)
  found = domain_alignment.coral_loss(source, target)
  assert found == pytest.approx(known['coral_loss_sq_fro_over_4d2'], rel=1e-14)


def scaled(values):
  return StandardScaler().fit_transform(values)


def test_coral_is_algorithm_1():
  source, target = scaled(SOURCE), scaled(TARGET)
  c_s, c_t = (np.cov(one.T) + np.eye(6) for one in (source, target))
  expected = source @ linalg.inv(linalg.sqrtm(c_s)) @ linalg.sqrtm(c_t)
  found = domain_alignment.coral(SOURCE, TARGET)
  np.testing.assert_allclose(found.source, expected, rtol=1e-9, atol=1e-12)
  np.testing.assert_allclose(found.target, target)
  before = domain_alignment.coral_loss(source, target)
  assert domain_alignment.coral_loss(*found) < before


def test_coral_of_more_features_than_images():
  wide = np.concatenate([SOURCE, SOURCE**2, SOURCE**3], axis=1)
  found = domain_alignment.coral(wide[:8], wide[20:27])
  assert np.isfinite(found.source).all() and found.source.shape == (8, 18)


def test_subspaces_are_those_of_pca():
  """Up to the signs of components, which products do not show."""
  found = domain_alignment.subspace(SOURCE, TARGET, 3)
  source, target = scaled(SOURCE), scaled(TARGET)
  p_s, p_t = (PCA(3).fit(one).components_.T for one in (source, target))
  expected = source @ p_s @ p_s.T @ p_t, target @ p_t
  for one, other in ((0, 0), (0, 1), (1, 1)):
    np.testing.assert_allclose(
      found[one] @ found[other].T, expected[one] @ expected[other].T, atol=1e-9
    )
  shares = np.cumsum(PCA().fit(source).explained_variance_ratio_)
  for share in (0.3, 0.8, 0.95):
    count = domain_alignment.components_for(SOURCE, share)
    assert shares[count - 1] >= share and (count == 1 or shares[count - 2] < share)
  assert domain_alignment.components_for(SOURCE, 1) == 6


def test_scales():
  with_constant = np.concatenate([SOURCE, np.full((40, 1), 0.1)], axis=1)
  target = np.concatenate([TARGET, np.full((30, 1), 0.3)], axis=1)
  scaler = StandardScaler().fit(SOURCE)
  found = domain_alignment.by_source(with_constant, target)
  np.testing.assert_allclose(found.source[:, :6], scaler.transform(SOURCE))
  np.testing.assert_allclose(found.target[:, :6], scaler.transform(TARGET))
  np.testing.assert_allclose(found.target[:, 6], 0.2)
  own = domain_alignment.standardised(with_constant, target)
  np.testing.assert_allclose(own.target[:, :6], scaled(TARGET))
  np.testing.assert_allclose(own.target[:, 6], 0, atol=1e-15)


def test_refusals():
  for source, target in (
    (SOURCE, TARGET[:, 1:]),
    (SOURCE[:1], TARGET),
    (SOURCE[:, 0], TARGET),
    (np.where(SOURCE > 2, np.nan, SOURCE), TARGET),
  ):
    with pytest.raises(ValueError, match='features'):
      domain_alignment.coral(source, target)
  for dimension in (0, 7):
    with pytest.raises(ValueError, match='expected 1 to 6'):
      domain_alignment.subspace(SOURCE, TARGET, dimension)
