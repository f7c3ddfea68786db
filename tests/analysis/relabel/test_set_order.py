"""The order of CPython's sets, which up to 18 values is still that of 3.6."""

import random

import pytest

from tfeval.analysis.relabel import set_order


@pytest.mark.parametrize('size', range(19))
def test_small_sets_are_those_of_this_python(size):
  chance = random.Random(size)
  for _ in range(300):
    values = chance.sample(range(1000), size)
    found = set()
    for value in values:
      found.add(value)
    assert set_order.set_order(values) == list(found)
