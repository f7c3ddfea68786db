"""Class orders that models are found in: named where that cannot be luck."""

import numpy as np
import pytest

from tfeval.datasets.labels import imagenet, orders
from tfeval.datasets.labels.spaces import LabelSpace

IMAGENET = imagenet.label_space()


def predicted_outputs(truth, right, output_of_class, rng):
  """Outputs of a model that is right for `right` examples and guesses for others.

  Args:
    truth: int [n], class indices.
    right: how many answers are right.
    output_of_class: int [1000], the output that stands for each class.
    rng: random generator.
  """
  wrong = (truth + rng.integers(1, 1000, len(truth))) % 1000
  answers = np.where(rng.permutation(len(truth)) < right, truth, wrong)
  return output_of_class[answers]


ILSVRC_OUTPUTS = np.array(imagenet.ilsvrc_ids()) - 1


@pytest.mark.parametrize('n, right', [(200, 60), (10, 8)])
def test_ilsvrc_order_is_named(n, right):
  for seed in range(100):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 1000, n)
    outputs = predicted_outputs(truth, right, ILSVRC_OUTPUTS, rng)
    assert orders.other_class_order(outputs, truth, IMAGENET) == 'ilsvrc_id'


@pytest.mark.parametrize('n, right', [(200, 60), (200, 2), (10, 8), (1, 1)])
def test_the_expected_order_is_never_named_otherwise(n, right):
  for seed in range(300):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 1000, n)
    outputs = predicted_outputs(truth, right, np.arange(1000), rng)
    assert orders.other_class_order(outputs, truth, IMAGENET) is None


@pytest.mark.parametrize('n', [1, 10, 200])
def test_random_answers_name_no_order(n):
  for seed in range(1000):
    rng = np.random.default_rng(seed)
    truth, outputs = rng.integers(0, 1000, (2, n))
    assert orders.other_class_order(outputs, truth.tolist(), IMAGENET) is None


def test_another_order_is_not_called_ilsvrc():
  for seed in range(100):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 1000, 200)
    outputs = predicted_outputs(truth, 60, rng.permutation(1000), rng)
    assert orders.other_class_order(outputs, truth, IMAGENET) is None


@pytest.mark.parametrize('expected_hits, named', [(19, 'ilsvrc_id'), (20, None)])
def test_the_order_is_named_only_with_four_times_the_hits(expected_hits, named):
  # Of 100 answers, so many fit the expected order and all others ILSVRC's.
  truth = np.flatnonzero(np.arange(1000) != ILSVRC_OUTPUTS)[:100]
  outputs = np.where(np.arange(100) < expected_hits, truth, ILSVRC_OUTPUTS[truth])
  assert orders.other_class_order(outputs, truth, IMAGENET) == named


def test_no_examples_name_no_order():
  assert orders.other_class_order(np.array([]), [], IMAGENET) is None


def space_of(*ids, names=None):
  return LabelSpace('test', ids, names or ids)


@pytest.mark.parametrize(
  'ids, names, order, outputs',
  [
    # As text the classes are 0, 1, 10, 100, 2; a model may have them as numbers.
    (('0', '1', '10', '100', '2'), None, 'number', ['0', '1', '2', '10', '100']),
    (('Zebra', 'ant', 'bee'), None, 'name_lower_case', ['ant', 'bee', 'Zebra']),
    (('b1', 'a2', 'c3'), None, 'name', ['a2', 'b1', 'c3']),
    (('1', '2', '3'), ('pear', 'apple', 'fig'), 'name', ['2', '3', '1']),
    (('a', 'b', 'c'), None, 'reversed', ['c', 'b', 'a']),
  ],
)
def test_orders_of_any_space(ids, names, order, outputs):
  space = space_of(*ids, names=names)
  found = orders.other_class_orders(space)
  assert [ids[i] for i in found[order]] == outputs
  truth = np.random.default_rng(0).integers(0, len(ids), 100)
  class_of = found[order]
  predicted = np.argsort(class_of)[truth]
  # Also where the two orders agree on most classes.
  assert orders.other_class_order(predicted, truth, space) == order
  assert orders.other_class_order(truth, truth, space) is None


@pytest.mark.parametrize('right', [0.1, 0.3, 0.6, 0.9])
def test_a_model_that_takes_neighbours_for_each_other_is_in_its_own_order(right):
  ids = sorted(['Zebra', *'abcdefghi'])
  space = space_of(*ids)
  for seed in range(50):
    random = np.random.default_rng(seed)
    truth = random.integers(0, 10, 128)
    near = (truth + random.choice([-1, 1], 128)) % 10
    guess = np.where(random.random(128) < 0.5, near, random.integers(0, 10, 128))
    predicted = np.where(random.random(128) < right, truth, guess)
    assert orders.other_class_order(predicted, truth, space) is None


def test_no_order_is_there_twice_or_the_own():
  found = orders.other_class_orders(space_of('a', 'b', 'c'))
  assert sorted(found) == ['one_too_high', 'one_too_low', 'reversed']
