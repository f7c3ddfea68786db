"""A process that runs a model of another framework, seen from here."""

import collections
import os
import pathlib
import queue
import select
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from typing import IO, Any

import numpy as np

from tfeval.models.worker import failures
from tfeval.models.worker.child.tfeval_worker import channel
from tfeval.models.worker.failures import OutOfMemory
from tfeval.utils import environment
from tfeval.utils.errors import UserError
from tfeval.utils.time_limit import LEAST_SECONDS, TIMES_SLOWEST

_CHILD = pathlib.Path(channel.__file__).parents[1]
# Of what it writes to stderr, the lines that are kept for when it ends.
_LINES = 8
# Seconds that it has to end by itself, once nobody speaks to it any more.
_TO_END = 2.0
# Batches that have memory of their own: one is computed while the next is copied.
SLOTS = 2


class Process:
  """A process with one model. It computes a batch at a time, in the order of calls.

  As many calls as there are slots copy and wait at once, further ones until one of
  these is done.

  Attributes:
    cpu_seconds: CPU time that it has taken up to the last batch, of all its threads;
      not that of processes that it starts.
  """

  def __init__(self, name: str, python: str | None, seconds: float | None):
    """Starts it.

    Args:
      name: the model's, for errors.
      python: the interpreter; None: this one.
      seconds: that a batch, and loading, may take; None: 600, or 20 times the slowest
        batch so far.

    Raises:
      UserError: there is no such interpreter, or it lacks NumPy.
    """
    self._name, self._seconds, self._slowest = name, seconds, 0.0
    # Why it was ended here, once it was.
    self._fault, self.cpu_seconds = '', 0.0
    self._lock = threading.Lock()
    self._memories = [channel.SharedMemory() for _ in range(SLOTS)]
    self._free: queue.SimpleQueue[int] = queue.SimpleQueue()
    for slot in range(SLOTS):
      self._free.put(slot)
    python = sys.executable if python is None else python
    there, here, life = os.pipe(), os.pipe(), os.pipe()
    theirs = (life[0], there[0], here[1], *(one.file for one in self._memories))
    try:
      self._process = subprocess.Popen(
        [python, str(_CHILD), *map(str, theirs)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        pass_fds=theirs,
        env=environment.of_user(),
      )
    except OSError as error:
      for file in (*there, *here, *life):
        os.close(file)
      for memory in self._memories:
        memory.close()
      raise UserError(
        f'model_python {python} cannot be started: {error.strerror}: give the python '
        'of an environment, such as VENV/bin/python'
      ) from error
    for file in (there[0], here[1], life[0]):
      os.close(file)
    self._pipe = channel.Pipe(here[0], there[1])
    self._ends = _pidfd(self._process.pid)
    self._said: collections.deque[str] = collections.deque(maxlen=_LINES)
    self._reader = threading.Thread(
      target=_listen, args=(self._process.stderr, self._said), daemon=True
    )
    self._reader.start()
    self.close = weakref.finalize(
      self, _end, self._process, self._pipe, (life[1], *self._ends), self._memories
    )

  def load(self, message: Mapping[str, Any]) -> dict[str, Any]:
    """Has it load a model; returns what that tells of itself.

    Raises:
      UserError: it cannot.
    """
    try:
      return self._call({'do': 'load', **message}, LEAST_SECONDS)
    except OutOfMemory as error:
      raise UserError(f'{error}: it does not fit where it is loaded') from error

  def code_sha256(self) -> str:
    """Returns the hash of all files of the user's that it has imported so far.

    Raises:
      UserError: its process ended.
    """
    return self._call({'do': 'code'}, LEAST_SECONDS)

  def run(self, images: np.ndarray) -> dict[str, np.ndarray]:
    """Computes a batch.

    Args:
      images: [n, height, width, channels].

    Returns:
      float32 arrays by the names of outputs.

    Raises:
      OutOfMemory: there is no room for so many images.
      UserError: the model raises, or its process ended.
    """
    slot = self._free.get()
    try:
      return self._run(slot, images)
    finally:
      self._free.put(slot)

  def _run(self, slot: int, images: np.ndarray) -> dict[str, np.ndarray]:
    """Does what `run` does, in one of the memories."""
    memory = self._memories[slot]
    memory.reserve(channel.aligned(images.nbytes))
    memory.array(0, images.shape, images.dtype.str)[...] = images
    described = {'shape': images.shape, 'dtype': images.dtype.str}
    with self._lock:
      started = time.monotonic()
      limit = max(LEAST_SECONDS, TIMES_SLOWEST * self._slowest)
      reply = self._call({'do': 'run', 'slot': slot, **described}, limit)
      self._slowest = max(self._slowest, time.monotonic() - started)
      self.cpu_seconds = reply['cpu_seconds']
    return {
      one['name']: memory.array(one['at'], one['shape'], 'float32').copy()
      for one in reply['outputs']
    }

  def _call(self, message: dict[str, Any], limit: float) -> Any:
    """Sends a message and waits for what comes back."""
    if self._fault:  # What may still come is the answer to another call.
      raise UserError(f'its process was ended, since {self._fault}')
    limit = limit if self._seconds is None else self._seconds
    try:
      reply = self._answer(message, limit)
    except UserError:
      raise
    except BaseException:  # Ctrl-C: the answer would be taken for one to the next call.
      self._kill(f'{self._name} was interrupted at a batch: load it again')
      raise
    if reply is None:
      self._reader.join(_TO_END)
      raise failures.ended(self._name, self._process, self._said)
    if 'error' in reply:
      raise failures.raised(self._name, reply['error'])
    return reply['ok']

  def _answer(self, message: dict[str, Any], limit: float) -> dict[str, Any] | None:
    """Returns what comes back for a message, None where the process is gone."""
    try:
      self._pipe.send(message)
      self._wait(limit)
      return self._pipe.receive()
    except OSError:
      return None
    except UserError:
      raise
    except ValueError as error:
      raise self._kill(f'{self._name} writes where answers are told') from error

  def _wait(self, limit: float) -> None:
    """Waits until there is a reply, or the process has ended.

    Raises:
      UserError: neither within so many seconds.
    """
    found = select.select([self._pipe.reads, *self._ends], [], [], limit)[0]
    if not found:
      raise self._kill(
        f'{self._name} has taken more than {limit:g} s: `batch_timeout=SECONDS` waits '
        'longer'
      )
    if self._pipe.reads not in found:
      # What it has started may live on, and has the pipe.
      raise ConnectionError

  def _kill(self, why: str) -> UserError:
    """Ends it; returns what to say."""
    self._process.kill()
    self._fault = why
    return UserError(why)


def _pidfd(process: int) -> tuple[int, ...]:
  """Returns a file that can be read once a process has ended, none where that lacks."""
  try:
    return (os.pidfd_open(process),)
  except (AttributeError, OSError):  # Before Linux 5.3, and elsewhere.
    return ()


def _listen(stderr: IO[bytes], said: collections.deque[str]) -> None:
  """Reads what a process writes to stderr, of which the last lines are kept."""
  with stderr:
    for line in iter(lambda: stderr.readline(1 << 14), b''):
      said.append(line.decode(errors='replace'))


def _end(
  process: subprocess.Popen[bytes],
  pipe: channel.Pipe,
  files: Sequence[int],
  memories: list[channel.SharedMemory],
) -> None:
  """Ends a process: it does so by itself when nobody speaks to it any more."""
  pipe.close()
  try:
    process.wait(_TO_END)
  except subprocess.TimeoutExpired:
    process.kill()
    process.wait()
  for file in files:
    os.close(file)
  for memory in memories:
    memory.close()
