"""SIGTERM, in real processes."""

import signal
import subprocess
import sys
import threading

import pytest

from tfeval.utils import termination

# The main thread waits inside of TensorFlow, where no signal handler of Python runs.
WAITS_IN_TENSORFLOW = """
import time
import tensorflow as tf
from tfeval.utils import termination
termination.SECONDS_TO_HEAR = 0.5
def slow():
  yield from range(3)
  print('waits', flush=True)
  time.sleep(100)
batches = tf.data.Dataset.from_generator(
    slow, output_signature=tf.TensorSpec((), 'int32'))
options = tf.data.Options()
# Else the generator may wait while the main thread still listens.
options.experimental_optimization.inject_prefetch = False
batches = batches.with_options(options)
done = []
with termination.handled():
  for batch in termination.storing(batches, lambda: f'{len(done)} are kept'):
    done.append(batch)
"""
LOSES_THE_EXCEPTION = """
import signal
from tfeval.utils import termination
class Loses:
  def __del__(self):
    signal.raise_signal(signal.SIGTERM)
    [0][0]
def batches():
  for number in range(10):
    yield number
with termination.handled() as terminated:
  try:
    for number in termination.storing(batches(), str):
      print(number)
      if number == 3:
        Loses()
  except KeyboardInterrupt:
    print('terminated', terminated())
"""


def start(code: str) -> subprocess.Popen:
  return subprocess.Popen(
    [sys.executable, '-c', code],
    text=True,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
  )


def test_while_tensorflow_computes():
  process = start(WAITS_IN_TENSORFLOW)
  assert process.stdout.readline() == 'waits\n'
  process.send_signal(signal.SIGTERM)
  _, err = process.communicate(timeout=60)
  assert process.returncode == 143
  assert err.splitlines()[-1] == 'tfeval: terminated: 3 are kept'


def test_what_a_destructor_swallows_is_not_lost():
  process = start(LOSES_THE_EXCEPTION)
  out, err = process.communicate(timeout=60)
  assert out.splitlines() == ['0', '1', '2', '3', 'terminated True']
  assert 'ignored' in err


def test_one_is_enough_and_what_was_before_is_back():
  before = signal.getsignal(signal.SIGTERM)
  with termination.handled() as terminated:
    assert not terminated()
    with pytest.raises(KeyboardInterrupt):
      signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)
    assert terminated()
  assert signal.getsignal(signal.SIGTERM) == before
  with termination.handled() as terminated:
    assert not terminated()


def test_of_another_thread_nothing_is_handled():
  before, found = signal.getsignal(signal.SIGTERM), []

  def work():
    with termination.handled() as terminated:
      found.append(terminated())
      found.extend(termination.storing([1, 2], str))

  thread = threading.Thread(target=work)
  thread.start()
  thread.join()
  assert found == [False, 1, 2]
  assert signal.getsignal(signal.SIGTERM) == before
