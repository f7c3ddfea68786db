"""A batch that takes too long ends the command, in one line that names the model."""

import subprocess
import sys

import pytest

from tfeval.utils import time_limit

PROGRAM = """
import ctypes, time
from tfeval.utils import termination, time_limit
limit = time_limit.TimeLimit('strange.keras', {seconds})
with termination.handled():
  def late():
    with limit.batch():
      ctypes.CDLL(None).sleep({sleep})
    yield 1
  for _ in termination.storing(late(), lambda: '6 of 10 are kept'):
    print('in time')
"""


def run(seconds, sleep):
  return subprocess.run(
    [sys.executable, '-c', PROGRAM.format(seconds=seconds, sleep=sleep)],
    capture_output=True,
    text=True,
    timeout=60,
  )


def test_a_late_batch_ends_the_command_and_keeps_what_there_is():
  ended = run(seconds=1, sleep=30)
  assert ended.returncode == 2
  assert ended.stderr == (
    'tfeval: strange.keras has taken more than 1 s for a batch: '
    '`batch_timeout=SECONDS` waits longer, `trust_model` for ever: 6 of 10 are kept\n'
  )


def test_a_batch_in_time_ends_nothing():
  ended = run(seconds=20, sleep=0)
  assert (ended.returncode, ended.stdout, ended.stderr) == (0, 'in time\n', '')


def test_the_limit_grows_with_the_slowest_batch(monkeypatch):
  limit = time_limit.TimeLimit('m')
  assert limit.seconds == 600
  now = [0.0]
  monkeypatch.setattr(time_limit.time, 'monotonic', lambda: now[0])
  with limit.batch():
    now[0] += 40
  assert limit.seconds == 800
  with limit.batch():
    now[0] += 1
  assert limit.seconds == 800
  assert time_limit.TimeLimit('m', 5).seconds == pytest.approx(5)
