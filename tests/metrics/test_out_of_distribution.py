"""Detection of unknown images against scikit-learn and the authors' definition."""

import numpy as np
import pytest
from sklearn import metrics

from tfeval.metrics import out_of_distribution

RANDOM = np.random.default_rng(0)


def _false_positive_rate(unknown, known):
  """`fpr_and_fdr_at_recall` of natural-adv-examples' calibration_tools.py, in words.

  From the threshold that just all unknown images reach upwards, the first whose recall
  is nearest to 95 %.
  """
  thresholds = sorted({x for x in [*unknown, *known] if x >= min(unknown)})
  distances = [abs(np.mean(unknown >= x) - 0.95) for x in thresholds]
  cutoff = thresholds[distances.index(min(distances))]
  return np.mean(known >= cutoff)


@pytest.mark.parametrize('digits', [1, 2, 12])
@pytest.mark.parametrize('sizes', [(40, 60), (2000, 10_000), (1, 5), (30, 1)])
def test_scikit_learn_says_the_same(digits, sizes):
  unknown = np.round(-RANDOM.beta(3, 2, sizes[0]), digits)
  known = np.round(-RANDOM.beta(5, 2, sizes[1]), digits)
  found = out_of_distribution.detection(unknown, known)
  scores = np.concatenate([unknown, known])
  truth = np.repeat([1, 0], sizes)
  assert found.aupr == pytest.approx(metrics.average_precision_score(truth, scores))
  assert found.auroc == pytest.approx(metrics.roc_auc_score(truth, scores))
  assert found.fpr == _false_positive_rate(unknown, known)
  assert (found.unknown, found.known) == sizes


def test_the_nearest_recall_may_be_below():
  unknown = np.arange(17) / 17  # 16 of 17 are 94.1 %.
  found = out_of_distribution.detection(unknown, np.array([0.0, 0.01, 0.5, -1]))
  # From 0.01 on; with 17 of 17 it is 3/4, from 1/17 on 1/4.
  assert found.fpr == 2 / 4


@pytest.mark.parametrize('bad', [[], [np.nan], [[0.1]]])
def test_scores_that_are_none(bad):
  with pytest.raises(ValueError, match='scores of both sides'):
    out_of_distribution.detection(np.array(bad), np.array([0.1]))
  with pytest.raises(ValueError, match='scores of both sides'):
    out_of_distribution.detection(np.array([0.1]), np.array(bad))
