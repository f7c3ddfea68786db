"""Precision, recall and F1 against scikit-learn's."""

import hypothesis
import hypothesis.extra.numpy as numpy_strategies
import hypothesis.strategies as st
import numpy as np
import pytest
import sklearn.metrics

from tfeval.metrics import class_averages, registry


def by_sklearn(labels, predicted, average):
  """Precision, recall and F1 as it computes them by default, but for its warnings."""
  found = sklearn.metrics.precision_recall_fscore_support(
    labels, predicted, average=average, zero_division=0
  )
  return dict(zip(class_averages.SCORES, found[:3], strict=True))


_CLASSES = numpy_strategies.arrays(np.int64, 40, elements=st.integers(0, 12))


@hypothesis.given(_CLASSES, _CLASSES)
def test_every_average_is_that_of_scikit_learn(labels, predicted):
  found = class_averages.class_scores(labels, predicted)
  for average in class_averages.AVERAGES:
    for score, value in by_sklearn(labels, predicted, average).items():
      assert found.averaged(score, average) == pytest.approx(value, abs=1e-12)
  for score, values in by_sklearn(labels, predicted, None).items():
    np.testing.assert_allclose(found.of_classes(score), values, rtol=0, atol=1e-12)


def test_of_a_thousand_classes():
  rng = np.random.default_rng(0)
  labels = rng.integers(0, 1000, 50_000)
  predicted = np.where(rng.random(50_000) < 0.7, labels, rng.integers(0, 900, 50_000))
  found = class_averages.class_scores(labels, predicted)
  for average in class_averages.AVERAGES:
    for score, value in by_sklearn(labels, predicted, average).items():
      assert found.averaged(score, average) == pytest.approx(value, abs=1e-12)


def test_a_class_counts_that_has_images_or_predictions_and_no_other():
  # By hand: class 0 of 2 images has 1 right of 1; class 1 is predicted once, wrongly.
  found = class_averages.class_scores(np.array([0, 0]), np.array([0, 1]))
  assert found.classes.tolist() == [0, 1]
  assert found.of_classes('precision').tolist() == [1, 0]
  assert found.of_classes('recall').tolist() == [0.5, 0]
  assert found.averaged('f1', 'macro') == pytest.approx((2 / 3 + 0) / 2)
  assert found.averaged('f1', 'weighted') == pytest.approx(2 / 3)
  assert found.averaged('f1', 'micro') == 0.5


@pytest.mark.parametrize(
  ('score', 'average'), [('f2', 'macro'), ('f1', 'samples'), ('', '')]
)
def test_others_are_refused(score, average):
  found = class_averages.class_scores(np.array([0]), np.array([0]))
  with pytest.raises(ValueError, match='expected one of'):
    found.averaged(score, average)


def test_the_registry_has_each_by_name_and_micro_is_the_accuracy():
  names = [
    score + ('' if average == 'macro' else f'_{average}')
    for score in class_averages.SCORES
    for average in class_averages.AVERAGES
  ]
  assert set(names) < set(registry.METRICS)
  assert all(registry.get_metric(name).higher_is_better for name in names)
