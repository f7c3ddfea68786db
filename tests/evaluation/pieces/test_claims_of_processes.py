"""Real workers that share a folder: killed, stopped, of one name, unconditional."""

import collections
import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from tfeval.evaluation.pieces import claim

# Does pieces by sleeping; says each when it begins. Waits for the file `go` before.
_WORKER = """
import pathlib, sys, time
from tfeval.evaluation.pieces.claims import Claims
from tfeval.utils import exclusive

root, count, seconds, timeout, start, name, conditional = sys.argv[1:]
root = pathlib.Path(root)

def create(path, content):
  # As on tf.io.gfile: a look, the way to the store, a write.
  if path.exists():
    return False
  time.sleep(0.005)
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_bytes(content)
  return True

if conditional == 'no':
  exclusive.create = create

claims = Claims(
  root / 'claims',
  int(count),
  lambda number: (root / f'{number}.done').exists(),
  worker=name,
  timeout=float(timeout),
  start=None if start == 'any' else int(start),
)
print('ready', flush=True)
while not (root / 'go').exists():
  time.sleep(0.01)
with claims:
  for number in claims.pieces():
    print(number, flush=True)
    time.sleep(float(seconds))
    (root / f'{number}.done').touch()
"""


class Workers:
  """Processes with the files that they write to; none outlives the test."""

  def __init__(self, root, count):
    self.root, self.count = root, count
    self.processes, self.said = [], []

  def start(self, seconds, timeout, start='any', name='w', conditional='yes'):
    said = self.root / f'{len(self.said)}.said'
    arguments = [self.root, self.count, seconds, timeout, start, name, conditional]
    with said.open('wb') as file:
      process = subprocess.Popen(
        [sys.executable, '-c', _WORKER, *map(str, arguments)], stdout=file
      )
    self.processes.append(process)
    self.said.append(said)
    return process

  def go(self):
    for said in self.said:
      wait_until(lambda said=said: said.read_text())
    (self.root / 'go').touch()

  def began(self, index):
    return [int(word) for word in self.said[index].read_text().split()[1:]]

  def times(self):
    return collections.Counter(
      number for index in range(len(self.said)) for number in self.began(index)
    )

  def all_done(self):
    return all((self.root / f'{i}.done').exists() for i in range(self.count))

  def end(self):
    for process in self.processes:
      with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGCONT)
      process.kill()
      process.wait()


@pytest.fixture
def workers(tmp_path):
  with contextlib.ExitStack() as stack:

    def make(count):
      found = Workers(tmp_path, count)
      stack.callback(found.end)
      return found

    yield make


def wait_until(holds, timeout=60):
  end = time.monotonic() + timeout
  while not holds():
    assert time.monotonic() < end, 'waited in vain'
    time.sleep(0.01)


def attempts(root: pathlib.Path, number: int) -> int:
  return claim.latest(root / 'claims', number)[0] + 1


@pytest.mark.parametrize('start', ['any', 0])
def test_each_piece_is_done_once_by_workers_of_one_name(workers, tmp_path, start):
  four = workers(250)
  for _ in range(4):
    four.start(0.001, 60, start, name='twin')
  four.go()
  assert [process.wait(60) for process in four.processes] == [0] * 4
  assert four.times() == {number: 1 for number in range(250)}
  assert four.all_done()
  assert sum(bool(four.began(index)) for index in range(4)) > 1


def test_what_killed_workers_had_is_done_by_the_others(workers, tmp_path):
  some = workers(120)
  doomed = [some.start(0.01, 1.0) for _ in range(4)]
  some.go()
  held = set()
  for index, process in enumerate(doomed):
    wait_until(lambda index=index: len(some.began(index)) >= 3 * index + 1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    held.add(some.began(index)[-1])
  last = some.start(0.001, 1.0)
  assert last.wait(60) == 0
  assert some.all_done()
  times = some.times()
  assert {number for number, count in times.items() if count > 1} <= held
  # Of some the record was there already, just before the kill.
  assert any(attempts(tmp_path, number) == 2 for number in held)


def test_a_worker_that_was_stopped_wakes_to_find_its_piece_done(workers, tmp_path):
  two = workers(20)
  sleeper = two.start(1.0, 0.8, start=0, name='sleeper')
  two.go()
  wait_until(lambda: two.began(0))
  sleeper.send_signal(signal.SIGSTOP)
  assert two.start(0.001, 0.8, start=0).wait(60) == 0
  assert two.all_done() and attempts(tmp_path, 0) == 2
  sleeper.send_signal(signal.SIGCONT)
  assert sleeper.wait(60) == 0
  assert two.times() == {0: 2, **{number: 1 for number in range(1, 20)}}


def test_without_conditional_creation_every_piece_is_done(workers, tmp_path):
  three = workers(60)
  for _ in range(3):
    three.start(0.002, 60, start=0, conditional='no')
  three.go()
  assert [process.wait(60) for process in three.processes] == [0] * 3
  assert three.all_done()
  assert set(three.times()) == set(range(60))
