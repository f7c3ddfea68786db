"""Threads that work ahead: everything, in order, no further than allowed."""

import threading
import time

import pytest

from tfeval.utils.ahead import THREAD_NAME, ahead


def threads() -> int:
  return sum(one.name == THREAD_NAME for one in threading.enumerate())


def wait_until(true, seconds=10):
  end = time.monotonic() + seconds
  while not true() and time.monotonic() < end:
    time.sleep(0.01)
  return true()


def test_everything_comes_in_order_and_the_thread_ends():
  before = threads()
  assert list(ahead(iter(range(100)), 3)) == list(range(100))
  assert threads() == before


def test_no_more_than_so_many_are_taken_before_they_are_asked_for():
  taken = []

  def source():
    for number in range(10):
      taken.append(number)
      yield number

  found = ahead(source(), 3)
  assert taken == []
  assert next(found) == 0
  assert wait_until(lambda: len(taken) == 4)
  time.sleep(0.05)
  assert taken == [0, 1, 2, 3]
  assert list(found) == list(range(1, 10))


def test_the_source_runs_in_another_thread_only():
  used = set()

  def source():
    try:
      for _ in range(4):
        used.add(threading.current_thread())
        yield
    finally:
      used.add(threading.current_thread())

  found = ahead(source(), 1)
  next(found)
  found.close()
  assert wait_until(lambda: len(used) == 1)
  assert threading.current_thread() not in used


@pytest.mark.parametrize('kind', [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_comes_after_what_was_before_it(kind):
  def source():
    yield from range(3)
    raise kind('why')

  found = ahead(source(), 8)
  assert [next(found) for _ in range(3)] == [0, 1, 2]
  with pytest.raises(kind, match='why'):
    next(found)


def test_who_leaves_does_not_wait_for_what_takes_long():
  release = threading.Event()

  def source():
    yield 0
    release.wait(60)
    yield 1

  found = ahead(source(), 2)
  next(found)
  started = time.monotonic()
  found.close()
  assert time.monotonic() - started < 10
  release.set()


def test_two_of_them_one_behind_the_other():
  inner = ahead(range(50), 2)
  outer = ahead((2 * number for number in inner), 2)
  assert list(outer) == list(range(0, 100, 2))
