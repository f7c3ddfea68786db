"""The model of cost: against a simulation by events, and what must hold of any."""

import dataclasses
import heapq

import hypothesis
import pytest
from hypothesis import strategies as st

from tfeval.evaluation.pieces import cost
from tfeval.evaluation.pieces.cost import Constants, estimate
from tfeval.utils.errors import UserError

# No store, no disk, no time but that of images.
FREE = Constants(
  images_per_second=100,
  start_s=0,
  load_s=0,
  piece_s=0,
  operation_s=0,
  operations=0,
  store_operations_per_s=1e12,
  image_bytes=0,
  plan_run_s=0,
  join_run_s=0,
  join_piece_s=0,
  join_image_s=0,
)


def simulated(pieces, images, workers, constants, runs):
  """Returns the wall seconds of workers that take pieces one after another."""
  c = constants
  start = c.start_s + c.load_s + c.operation_s + runs * c.plan_run_s
  free = [start] * workers
  for _ in range(pieces):
    now = heapq.heappop(free)
    work = images / pieces / c.images_per_second
    heapq.heappush(free, now + work + c.piece_s + c.operations * c.operation_s)
  joined = sum(c.join_run_s for _ in range(runs))
  joined += pieces * (c.join_piece_s + c.join_operations * c.operation_s)
  return max(free) + joined + images * c.join_image_s


@hypothesis.given(
  pieces=st.integers(1, 300),
  images=st.integers(1, 10**6),
  workers=st.integers(1, 80),
  runs=st.integers(1, 20),
)
@hypothesis.settings(max_examples=60, deadline=None)
def test_it_is_what_a_simulation_by_events_takes(pieces, images, workers, runs):
  constants = Constants(image_bytes=0, store_operations_per_s=1e9)
  found = estimate(pieces, runs, images, workers, constants)
  expected = simulated(pieces, images, workers, constants, runs)
  assert found.wall_s == pytest.approx(expected, rel=1e-9)
  assert 0 < found.efficiency <= 1
  assert found.seconds[found.bottleneck] == max(found.seconds.values())


def test_what_is_free_is_divided_exactly():
  assert estimate(1000, 1, 10_000, 1, FREE).wall_s == 100
  assert estimate(1000, 1, 10_000, 10, FREE).wall_s == 10
  # Three workers on ten pieces: one has four of them.
  assert estimate(10, 1, 3000, 3, FREE).wall_s == pytest.approx(12)
  few = estimate(10, 1, 1000, 1000, FREE)
  assert few.wall_s == pytest.approx(1) and few.bottleneck == 'waiting'


@pytest.mark.parametrize(
  'change, expected',
  [
    ({'start_s': 1e4}, 'start'),
    ({'load_s': 1e4}, 'start'),
    ({'plan_run_s': 1e3}, 'plan'),
    ({'piece_s': 1e3}, 'overhead'),
    ({'operations': 10, 'store_operations_per_s': 1}, 'store'),
    ({'image_bytes': 1e5, 'store_bytes_per_s': 1e4}, 'reading'),
    ({'join_run_s': 1e3}, 'join'),
    ({'join_piece_s': 1e2}, 'join'),
    ({'join_image_s': 1}, 'join'),
    ({}, 'work'),
  ],
)
def test_what_is_slow_is_the_bottleneck(change, expected):
  constants = dataclasses.replace(FREE, **change)
  assert estimate(1000, 10, 50_000, 100, constants).bottleneck == expected


def test_a_worker_reads_no_faster_than_its_disk():
  slow = dataclasses.replace(FREE, image_bytes=1e6, worker_bytes_per_s=5e6)
  assert estimate(10, 1, 100, 1, slow).seconds['work'] == 20


def test_models_are_loaded_by_every_worker_and_where_it_goes_on_to_another():
  constants = dataclasses.replace(FREE, load_s=8)

  def loading(workers, models):
    return estimate(1000, 40, 10_000, workers, constants, models).seconds['start']

  assert loading(1, 40) == 8 * 40
  assert loading(1000, 1) == 8
  assert loading(10, 41) == 8 * 5


def test_several_join_at_once_but_no_more_than_there_are_runs():
  constants = dataclasses.replace(FREE, join_run_s=6)

  def joining(joiners):
    return estimate(100, 4, 100, 1, constants, joiners=joiners).seconds['join']

  assert [joining(1), joining(2), joining(100)] == [24, 12, 6]


def test_more_workers_are_worth_it_up_to_a_point():
  useful = cost.useful_workers(100_000, 4360, 218_000_000, models=40)
  assert 1 < useful < 1000
  each = [estimate(100_000, 4360, 218_000_000, n, models=40) for n in (useful, 4096)]
  assert each[0].efficiency >= 0.5 > each[1].efficiency
  assert cost.useful_workers(1, 1, 1) == 1


@pytest.mark.parametrize(
  'name, value', [('start_s', -1), ('images_per_second', 0), ('load_s', float('nan'))]
)
def test_constants_that_cannot_be_are_named(name, value):
  with pytest.raises(UserError, match=f'`{name}={value}`: expected a number'):
    Constants(**{name: value})


def test_numbers_that_cannot_be_are_named():
  with pytest.raises(UserError, match='`workers=0`: expected at least 1'):
    estimate(1, 1, 1, 0)
