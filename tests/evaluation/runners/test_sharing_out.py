"""Who does which piece, with workers that come, fail and go."""

import random
import time

import pytest
from planned import plan_of

from tfeval.evaluation.runners.sharing_out import TRIES, SharingOut


def _all(share, worker, workers):
  """Takes and does pieces until there are none for a worker."""
  found = []
  while (number := share.take(worker, workers)) is not None:
    share.done(worker, number)
    found.append(number)
  return found


def test_one_worker_does_all_in_order():
  plan = plan_of(models=3, runs=2, pieces=4)
  share = SharingOut(plan, range(plan.count))
  assert _all(share, 'a', ['a']) == [*range(24)]
  assert share.left == share.waiting == 0 and not share.failures


def test_each_worker_keeps_its_model_as_long_as_it_has_pieces():
  plan, workers = plan_of(models=3, runs=4, pieces=5), ['a', 'b', 'c']
  share, models = SharingOut(plan, range(plan.count)), {one: [] for one in 'abc'}
  while share.left:
    for worker in workers:
      number = share.take(worker, workers)
      share.done(worker, number)
      models[worker].append(number // 20)
  assert sorted(map(tuple, models.values())) == [(i,) * 20 for i in range(3)]


def test_idle_workers_get_whole_runs_of_another_model_and_in_the_end_halves():
  plan, workers = plan_of(models=1, runs=3, pieces=8), ['a', 'b', 'c', 'd']
  share = SharingOut(plan, range(plan.count))
  assert [share.take(one, workers) for one in workers] == [0, 16, 8, 4]
  taken = {0, 16, 8, 4}
  while share.left > 4:
    for worker in workers:
      number = share.take(worker, workers)
      if number is not None:
        assert number not in taken
        taken.add(number)
        share.done(worker, number)
  assert taken == {*range(24)}


def test_pieces_that_are_done_are_left_out():
  plan = plan_of(models=2, runs=2, pieces=3)
  to_do = [0, 2, 5, 6, 7, 11]
  share = SharingOut(plan, to_do)
  assert share.left == 6 and _all(share, 'a', ['a']) == to_do


def test_what_failed_is_tried_by_others_and_given_up_after_three():
  plan, workers = plan_of(models=1, runs=1, pieces=2), ['a', 'b']
  share = SharingOut(plan, range(2))
  assert share.take('a', workers) == 0
  share.failed('a', 0, 'first')
  assert share.take('a', workers) == 1  # b has not tried the other.
  assert share.take('a', workers) is None
  assert share.take('b', workers) == 0
  share.failed('b', 0, 'second')
  share.done('a', 1)
  assert share.take('a', workers) == 0  # Both have.
  share.failed('a', 0, 'third')
  assert share.failures == {0: 'third'} and share.left == 0


def test_who_had_failed_at_what_another_does_is_told():
  share = SharingOut(plan_of(models=1, runs=1, pieces=1), range(1))
  share.take('a', 'ab')
  share.failed('a', 0, 'no')
  share.take('b', 'ab')
  assert share.done('b', 0) == ['a'] and share.left == 0


def test_a_run_of_which_nothing_can_be_done_is_given_up():
  plan = plan_of(models=2, runs=1, pieces=50)
  share, tries = SharingOut(plan, range(100)), 0
  while share.left:
    number = share.take('a', 'a')
    if number < 50:
      tries += 1
      share.failed('a', number, 'no weights')
    else:
      share.done('a', number)
  assert sorted(share.failures) == [*range(50)]
  assert tries == TRIES * TRIES and share.waiting == 0
  assert sum('not tried, 3 others' in one for one in share.failures.values()) == 47


@pytest.mark.parametrize('seed', range(20))
def test_every_piece_is_done_once_or_given_up_whoever_is_lost(seed):
  rng = random.Random(seed)
  plan = plan_of(models=rng.randint(1, 4), runs=rng.randint(1, 4), pieces=7)
  numbers = sorted(rng.sample(range(plan.count), rng.randint(1, plan.count)))
  bad = set(rng.sample(numbers, len(numbers) // 8))
  share, flying, done, born = SharingOut(plan, numbers), {}, [], 0
  while share.left:
    while len(flying) < 4:
      flying[born] = []
      born += 1
    worker = rng.choice([*flying])
    if rng.random() < 0.1:  # It is lost: with what it does, and what waits for it.
      waited_for = flying.pop(worker)
      for number in waited_for[1:]:
        share.put_back(number)
      share.gone(worker)
      if waited_for:
        share.failed(worker, waited_for[0], 'lost')
    elif len(flying[worker]) < 2 and rng.random() < 0.6:
      number = share.take(worker, flying)
      if number is not None:
        assert number not in done and number not in sum(flying.values(), [])
        flying[worker].append(number)
    elif flying[worker]:
      number = flying[worker].pop(0)
      if number in bad:
        share.failed(worker, number, 'bad')
      else:
        share.done(worker, number)
        done.append(number)
  assert sorted([*done, *share.failures]) == numbers
  assert bad <= set(share.failures)


def test_a_hundred_thousand_pieces_are_handed_out_in_seconds():
  plan, workers = plan_of(models=40, runs=25, pieces=100), list(range(300))
  share, start = SharingOut(plan, range(plan.count)), time.process_time()
  while share.left:
    for worker in workers:
      number = share.take(worker, workers)
      if number is not None:
        share.done(worker, number)
  assert plan.count == 100_000 and time.process_time() - start < 10
