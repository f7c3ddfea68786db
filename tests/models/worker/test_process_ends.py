"""A worker ends with whoever started it, and is told as what it was ended by."""

import gc
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tfeval.models import loading
from tfeval.models.worker.child.tfeval_worker import life
from tfeval.utils.errors import UserError

KNOWN = {'preprocess': 'identity', 'input_size': 32, 'output': 'logits'}
# Loads a model in a thread that ends, as an evaluation does, and calls it.
PARENT = """
import sys, threading
import numpy as np
from tfeval.models import loading
found = []
def load():
  found.append(loading.load_model(
      sys.argv[1], preprocess='identity', input_size=32, output='logits'))
thread = threading.Thread(target=load)
thread.start()
thread.join()
model, = found
pixels = np.zeros((5, 32, 32, 3), np.uint8)
model(pixels[:2])  # It has not ended with that thread.
print(model.backend._process._process.pid, flush=True)
model(pixels)
"""


def is_there(pid):
  """Whether a process runs; one that has ended and was not asked for does not."""
  try:
    state = pathlib.Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0]
  except OSError:
    return False
  return state != 'Z'


@pytest.mark.skipif(not os.path.isdir('/proc/self'), reason='needs /proc')
@pytest.mark.parametrize('name', ['hangs', 'holds_the_interpreter'])
def test_it_ends_with_a_parent_that_is_killed(name):
  parent = subprocess.Popen(
    [sys.executable, '-c', PARENT, f'function:odd_models:{name}'],
    stdout=subprocess.PIPE,
    stderr=subprocess.DEVNULL,
  )
  try:
    child = int(parent.stdout.readline())
    time.sleep(1)  # It is at it.
    assert is_there(child)
  finally:
    parent.kill()
    parent.communicate()
  until = time.monotonic() + 10
  while is_there(child) and time.monotonic() < until:
    time.sleep(0.05)
  there = is_there(child)
  if there:
    os.kill(child, signal.SIGKILL)
  assert not there


@pytest.mark.parametrize('before', [True, False])
@pytest.mark.parametrize('has_signal', [True, False])
def test_it_is_killed_when_the_other_end_is_closed(before, has_signal):
  code = (
    'import sys, time, fcntl\n'
    f'sys.path.insert(0, {str(pathlib.Path(life.__file__).parents[1])!r})\n'
    + 'del fcntl.F_SETSIG\n' * (not has_signal)
    + 'sys.stdin.readline()\n' * before
    + 'from tfeval_worker import life\n'
    'life.ends_with(int(sys.argv[1]))\n'
    'print("set", flush=True)\n'
    'time.sleep(60)\n'
  )
  reads, writes = os.pipe()
  process = subprocess.Popen(
    [sys.executable, '-c', code, str(reads)],
    pass_fds=[reads],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
  )
  os.close(reads)
  if before:
    os.close(writes)
    process.communicate(b'\n', 30)
  else:
    assert process.stdout.readline() == b'set\n'
    assert process.poll() is None
    os.close(writes)
    process.communicate(timeout=30)
  assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize(
  ('name', 'why'),
  [('hangs', 'has taken more than 2 s'), ('garbles', 'writes where answers are told')],
)
def test_a_call_after_its_process_was_ended_says_why(name, why):
  name = f'function:odd_models:{name}'
  model = loading.load_model(name, **KNOWN, batch_timeout=2)
  pixels = np.zeros((5, 32, 32, 3), np.uint8)
  for words in ('', 'its process was ended, since '):
    with pytest.raises(Exception, match=f'{name} {why}') as caught:
      model(pixels)
    assert words in str(caught.value)
    assert 'SIGKILL' not in str(caught.value)


def test_an_answer_to_a_call_that_was_interrupted_is_not_taken_for_another():
  model = loading.load_model('function:odd_models:takes_a_second', **KNOWN)
  process = model.backend._process

  def interrupt(signum, frame):
    raise KeyboardInterrupt

  before = signal.signal(signal.SIGALRM, interrupt)
  signal.setitimer(signal.ITIMER_REAL, 0.3)
  try:
    with pytest.raises(KeyboardInterrupt):
      process.run(np.ones((5, 32, 32, 3), np.float32))
  finally:
    signal.signal(signal.SIGALRM, before)
  with pytest.raises(
    UserError, match='takes_a_second was interrupted at a batch: load'
  ):
    process.run(np.zeros((5, 32, 32, 3), np.float32))


def test_no_file_stays_open():
  name, counts = 'function:odd_models:of_halves', []
  gc.collect()  # Models of other tests.
  for _ in range(6):
    model = loading.load_model(name, **KNOWN)
    del model
    with pytest.raises(UserError, match='cannot be started'):
      loading.load_model(name, **KNOWN, model_python='/no/such/python')
    counts.append(len(os.listdir('/dev/fd')))
  # Some are opened once for all, and one may be closed by a thread that is late.
  assert counts[-1] <= counts[1] + 1
