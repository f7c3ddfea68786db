"""Fits of effective robustness, recomputed from the 338 models with SciPy."""

import csv

import numpy as np
import pytest
from scipy import stats

from tfeval.analysis import robustness
from tfeval.utils.errors import UserError

COLUMNS = {
  'imagenet_v2/matched-frequency': 'imagenetv2-matched-frequency-format-val',
  'imagenet_v2/threshold-0.7': 'imagenetv2-threshold-0.7-format-val',
  'imagenet_v2/topimages': 'imagenetv2-top-images-format-val',
  'imagenet_sketch': 'imagenet-sketch',
  'imagenet_r': 'imagenet-r',
  'objectnet': 'objectnet-1.0-beta',
  'imagenet_a': 'imagenet-a',
  'stylized': 'stylized_imagenet',
  'greyscale': 'greyscale',
}
CLASSES = {
  'imagenet_r': 'val-on-imagenet-r-classes',
  'objectnet': 'val-on-objectnet-classes',
  'imagenet_a': 'val-on-imagenet-a-classes',
}


@pytest.fixture(scope='module')
def models(shared_data):
  with (shared_data / 'facts' / 'testbed_natural_shifts.tsv').open() as file:
    rows = list(csv.DictReader(file, delimiter='\t'))
  assert len(rows) == 338
  return rows


def standard(models, x, y):
  """Accuracies of the models that the paper fits, in [0, 1]."""
  return np.array(
    [
      (float(row[x]) / 100, float(row[y]) / 100)
      for row in models
      if row['nat_type'] == 'STANDARD'
      and not any(word in row['model'] for word in ('subsample', 'aws', 'batch64'))
      and float(row['val']) >= 55
      and row[x]
      and row[y]
      and float(row[y]) > 0
    ]
  ).T


@pytest.mark.parametrize('key', robustness.packaged())
def test_fits_are_those_of_the_338_models(models, key):
  name, of = key
  pairs = standard(models, 'val' if of == 'all' else CLASSES[name], COLUMNS[name])
  line = stats.linregress(*np.log(pairs / (1 - pairs)))
  found = robustness.fit(*pairs)
  packaged = robustness.packaged()[key]
  assert found.models == packaged.models == pairs.shape[1]
  assert found.slope == pytest.approx(line.slope)
  assert found.intercept == pytest.approx(line.intercept)
  assert found.pearson_r == pytest.approx(line.rvalue)
  # The table has three digits, the fits were made of more.
  for figure in ('slope', 'intercept', 'pearson_r', 'residual_sd'):
    assert getattr(packaged, figure) == pytest.approx(getattr(found, figure), abs=6e-5)
  residuals = [
    robustness.effective_robustness(name, clean, shifted, of)
    for clean, shifted in pairs.T
  ]
  assert np.std(residuals) == pytest.approx(packaged.residual_sd, abs=1e-3)


def test_published_examples(models):
  (row,) = [row for row in models if row['model'] == 'resnet50']
  found = robustness.effective_robustness(
    'imagenet_v2/matched-frequency', float(row['val']) / 100, 0.6321
  )
  assert round(found, 2) == -0.74
  assert robustness.fit_of('imagenet_r')[0] == 'same'
  assert robustness.fit_of('imagenet_sketch')[0] == 'all'
  assert robustness.relative_robustness(0.45, 0.36) == pytest.approx(9)


def test_what_has_no_fit():
  with pytest.raises(UserError, match='imagenet_x'):
    robustness.effective_robustness('imagenet_x', 0.7, 0.6)
  with pytest.raises(UserError, match="no fit on clean images 'same': it has all"):
    robustness.fit_of('imagenet_sketch', 'same')
  with pytest.raises(UserError, match='between 0 and 1, not 1'):
    robustness.effective_robustness('imagenet_sketch', 1.0, 0.6)
  with pytest.raises(ValueError, match='3 models'):
    robustness.fit(np.array([0.5, 0.6]), np.array([0.4, 0.5]))
