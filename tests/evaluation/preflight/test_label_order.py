"""Labels that a reader numbered otherwise than the classes."""

import types

import numpy as np
import pytest

from tfeval.datasets.labels import imagenet
from tfeval.evaluation.preflight import label_order

MODEL = types.SimpleNamespace(label_space=imagenet.label_space(), said=None)
CLASSES = np.random.default_rng(0).permutation(1000)[:128]


def outputs(right):
  """Outputs that are right for some of the images, of which classes are `CLASSES`."""
  found = np.random.default_rng(1).normal(size=(len(CLASSES), 1000))
  found[np.arange(right), CLASSES[:right]] = 9
  return found.astype(np.float32)


def test_folders_that_were_sorted_as_text():
  names = sorted(map(str, range(1000)))
  labels = np.array([names.index(str(one)) for one in CLASSES])
  (finding,) = label_order.check(MODEL, outputs(60), labels)
  assert 'numbers sorted as text' in str(finding) and 'sort the images' in str(finding)


@pytest.mark.parametrize('right', [0, 3, 60, 128])
def test_nothing_is_said_of_right_labels(right):
  assert label_order.check(MODEL, outputs(right), CLASSES) == []


def test_nothing_is_said_of_a_model_that_knows_none():
  labels = np.random.default_rng(2).integers(0, 1000, len(CLASSES))
  assert label_order.check(MODEL, outputs(0), labels) == []
