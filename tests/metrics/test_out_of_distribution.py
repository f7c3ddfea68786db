"""Detection of unknown images against scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics

from tfeval.metrics import out_of_distribution

RANDOM = np.random.default_rng(0)


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
  fpr, tpr, _ = metrics.roc_curve(truth, scores, drop_intermediate=False)
  assert found.fpr == pytest.approx(fpr[tpr >= 0.95][0])
  assert (found.unknown, found.known) == sizes


@pytest.mark.parametrize('bad', [[], [np.nan], [[0.1]]])
def test_scores_that_are_none(bad):
  with pytest.raises(ValueError, match='scores of both sides'):
    out_of_distribution.detection(np.array(bad), np.array([0.1]))
  with pytest.raises(ValueError, match='scores of both sides'):
    out_of_distribution.detection(np.array([0.1]), np.array(bad))
