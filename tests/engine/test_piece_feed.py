"""Ranges of positions through one pipeline: the batches of each alone."""

import gc
import threading

import numpy as np
import pytest
import tensorflow as tf

from tfeval import datasets
from tfeval.engine import batches, pipeline
from tfeval.engine.piece_feed import PieceFeed
from tfeval.preprocess import protocol

SIZE, BATCH = 32, 2


@pytest.fixture(scope='module')
def dataset(noise):
  return datasets.open_dataset(f'folder:{noise}')


@pytest.fixture(scope='module')
def key():
  return protocol.resolve('slim:rounding=nearest', SIZE), BATCH, False


class Counted(PieceFeed):
  """Counts how often its pipeline is made, which is what takes time."""

  def __init__(self, dataset, key):
    self.made = 0

    def make(start, stop):
      self.made += 1
      return pipeline.batched(dataset, *key, start, stop)

    super().__init__(make)


@pytest.fixture
def feed(dataset, key):
  feed = Counted(dataset, key)
  yield feed
  feed.close()


def values(found):
  return [tf.nest.map_structure(np.asarray, dict(batch)) for batch in found]


def same(a, b):
  assert len(a) == len(b)
  for one, other in zip(a, b, strict=True):
    assert one.keys() == other.keys()
    for name in one:
      np.testing.assert_array_equal(one[name], other[name])


def alone(dataset, key, positions):
  made = pipeline.batched(dataset, *key, positions.start, positions.stop)
  return values(made)


def test_ranges_in_any_order_are_what_each_is_alone(dataset, key, feed):
  orders = [range(6, 10), range(0, 4), range(4, 9), range(0, 10), range(9, 10)]
  for positions in [*orders, *reversed(orders)]:
    found = values(feed.over(positions))
    assert [p for batch in found for p in batch['position']] == list(positions)
    same(found, alone(dataset, key, positions))
  assert feed.made == 1


def test_what_is_read_through_it_is_what_an_evaluation_reads(dataset, key, feed):
  for positions in (range(4, 8), range(0, 3)):
    expected = batches.read_batches(dataset, *key, positions, None)
    found = batches.read_batches(dataset, *key, positions, None, feed.over(positions))
    for one, other in zip(found, expected, strict=True):
      np.testing.assert_array_equal(one.pixels, other.pixels)
      assert (one.positions, one.ids) == (other.positions, other.ids)
      assert one.image_sha256 == other.image_sha256
  assert feed.made == 1


def test_a_range_of_nothing_has_no_batches(feed):
  assert values(feed.over(range(3, 3))) == []
  assert len(values(feed.over(range(0, 4)))) == 2


def failing(at):
  """Positions as batches; one of them cannot be read."""

  def make(start, stop):
    def read(position):
      fine = tf.debugging.assert_none_equal(position, tf.constant(at, tf.int64))
      with tf.control_dependencies([fine]):
        return {'position': position}

    return tf.data.Dataset.range(start, stop).map(read).batch(BATCH)

  return make


def positions_of(found):
  return [int(p) for batch in found for p in batch['position']]


def test_an_error_in_one_range_disturbs_no_other():
  feed = PieceFeed(failing(5))
  for _ in range(2):
    assert positions_of(feed.over(range(0, 4))) == [0, 1, 2, 3]
    with pytest.raises(tf.errors.InvalidArgumentError):
      positions_of(feed.over(range(4, 8)))
    assert positions_of(feed.over(range(6, 9))) == [6, 7, 8]
  feed.close()


def test_a_range_that_is_left_early_leaves_nothing_to_the_next():
  feed = PieceFeed(failing(-1))
  left = feed.over(range(0, 8))
  assert positions_of([next(left)]) == [0, 1]
  left.close()
  assert positions_of(feed.over(range(2, 6))) == [2, 3, 4, 5]
  feed.close()


def test_closed_twice_and_begun_again(feed):
  feed.close()
  assert len(values(feed.over(range(0, 4)))) == 2
  feed.close()
  feed.close()
  assert len(values(feed.over(range(4, 10)))) == 3
  assert feed.made == 2


def test_many_ranges_leave_no_threads_and_no_tensors():
  feed = PieceFeed(failing(-1))
  for start in range(20):
    positions_of(feed.over(range(start, start + 3)))
  gc.collect()
  threads = threading.active_count()
  objects = sum(isinstance(one, tf.Tensor) for one in gc.get_objects())
  for start in range(300):
    assert positions_of(feed.over(range(start, start + 3))) == [
      start,
      start + 1,
      start + 2,
    ]
  gc.collect()
  assert threading.active_count() <= threads
  assert sum(isinstance(one, tf.Tensor) for one in gc.get_objects()) <= objects + 10
  feed.close()


@pytest.mark.slow
def test_feeds_that_are_closed_end_their_threads():
  def live():
    feed = PieceFeed(failing(-1))
    positions_of(feed.over(range(0, 3)))
    return feed

  def native():
    with open('/proc/self/status') as status:
      return next(int(line.split()[1]) for line in status if line.startswith('Threads'))

  for _ in range(3):
    live().close()
  before = native()
  for _ in range(20):
    live().close()
  gc.collect()
  assert native() <= before + 4
