"""Whatever ends a command, its exit code is what it said, or says that it did not."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

PROGRAM = """
import ctypes, os, signal, sys, time
from tfeval.utils import supervision
def work():
  supervision.note('rows are kept in D\\x1b[31m')
  print(os.getpid(), flush=True)
  {work}
supervision.run(work)
"""
WAIT = 'time.sleep(60); return 0'
HOLD = 'ctypes.PyDLL(None).sleep(60); return 0'


def start(work):
  return subprocess.Popen(
    [sys.executable, '-c', PROGRAM.format(work=work)],
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )


@pytest.mark.parametrize(
  ('work', 'code', 'words'),
  [
    ('return 0', 0, ''),
    ('return 130', 130, ''),
    ('supervision.end(2)', 2, ''),
    ('ctypes.CDLL(None).exit(0)', 70, 'ended by code below Python, with 0 and no'),
    ('ctypes.CDLL(None).exit(1)', 70, 'ended by code below Python, with 1 and no'),
    ('os._exit(0)', 70, 'ended by code below Python, with 0 and no result'),
    ('os.abort()', 134, 'ended by SIGABRT, Aborted'),
    ('ctypes.string_at(0)', 139, 'ended by SIGSEGV'),
    ('os.kill(os.getpid(), 9)', 137, 'ended by SIGKILL, Killed (out of memory'),
  ],
)
def test_exit_codes_are_what_was_said(work, code, words):
  process = start(work)
  _, errors = process.communicate(timeout=60)
  assert process.returncode == code
  if words:
    assert errors.startswith(f'tfeval: {words}')
    assert errors.endswith(r': rows are kept in D\x1b[31m' + '\n')
  assert errors.count('\n') == bool(words)


def test_a_defect_is_a_traceback_and_no_failed_check():
  process = start('raise RuntimeError("why")')
  _, errors = process.communicate(timeout=60)
  assert process.returncode == 70
  assert errors.endswith('RuntimeError: why\n')


@pytest.mark.parametrize('work', [WAIT, HOLD])
def test_the_work_ends_with_its_parent(work):
  """Also where Python cannot run: else it would hold the locks of a killed command."""
  process = start(work)
  child = int(process.stdout.readline())
  process.kill()
  process.wait(60)
  for _ in range(100):
    if not is_running(child):
      return
    time.sleep(0.02)
  os.kill(child, signal.SIGKILL)
  pytest.fail('the child outlived its parent')


def is_running(pid):
  try:
    status = pathlib.Path(f'/proc/{pid}/stat').read_text()
  except OSError:
    return False
  return status.rpartition(')')[2].split()[0] != 'Z'


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP])
def test_signals_are_passed_on(number):
  process = start(f'signal.signal({number:d}, lambda *_: os._exit(2)); {WAIT}')
  process.stdout.readline()
  time.sleep(0.2)
  process.send_signal(number)
  _, errors = process.communicate(timeout=60)
  assert process.returncode == 70
  assert 'with 2 and no result' in errors


_ARROW_READS_ON = """
import io, threading, time
import pyarrow as pa, pyarrow.parquet as pq
from tfeval.utils import supervision

class Slow(io.BytesIO):
  def read(self, *size):
    reading.set()
    for _ in range(2000):
      time.sleep(0.0005)
    return super().read(*size)

def work():
  read = lambda: pq.read_table(pa.PythonFile(Slow(content.getvalue()), mode='r'))
  threading.Thread(target=read, daemon=True).start()
  reading.wait()
  return 2

content, reading = io.BytesIO(), threading.Event()
pq.write_table(pa.table({'a': range(10)}), content)
supervision.run(work)
"""


def test_a_thread_in_a_library_says_nothing_when_a_command_ends():
  done = subprocess.run(
    [sys.executable, '-c', _ARROW_READS_ON], capture_output=True, text=True
  )
  assert (done.returncode, done.stdout, done.stderr) == (2, '', '')


def test_what_is_to_be_done_at_the_end_is_done():
  code = (
    'import atexit, sys, threading, time\n'
    'from tfeval.utils import supervision\n'
    'def late(): time.sleep(0.2); print("thread")\n'
    'def work():\n'
    '  atexit.register(print, "handler")\n'
    '  threading.Thread(target=late).start()\n'
    '  sys.stdout.write("work ")\n'
    '  return 0\n'
    'supervision.run(work)\n'
  )
  done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
  assert (done.returncode, done.stdout) == (0, 'work thread\nhandler\n')
