"""Signals wait until what must not be half done is done."""

import os
import signal

import pytest

from tfeval.utils.uninterrupted import uninterrupted


@pytest.fixture
def handled():
  """The signals that were handled, in their order; each raises KeyboardInterrupt."""
  seen = []

  def handle(number, _):
    seen.append(number)
    raise KeyboardInterrupt

  before = {
    number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)
  }
  yield seen
  for number, handler in before.items():
    signal.signal(number, handler)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_handled_afterwards(handled, number):
  done = []
  with pytest.raises(KeyboardInterrupt):
    with uninterrupted():
      os.kill(os.getpid(), number)
      done.append(list(handled))
  assert done == [[]] and handled == [number]
  with pytest.raises(KeyboardInterrupt):
    os.kill(os.getpid(), number)


def test_of_both_the_one_that_ends_a_process_is_handled(handled):
  with pytest.raises(KeyboardInterrupt):
    with uninterrupted():
      os.kill(os.getpid(), signal.SIGTERM)
      os.kill(os.getpid(), signal.SIGINT)
  assert handled == [signal.SIGTERM]
