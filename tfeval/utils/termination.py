"""SIGTERM, which comes before a host is taken away: it ends work as Ctrl-C does.

Python hears of a signal when its main thread comes back from C++. TensorFlow may be
there for minutes, in a large step or compiling, and who sent the signal seldom waits
so long: a second thread then stores what there is and ends the process.
"""

import contextlib
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import NoReturn, TypeVar

from tfeval.utils import supervision
from tfeval.utils.printable import printable

EXIT_CODE, USER_ERROR = 128 + signal.SIGTERM, 2
# Two SIGINT within these are one Ctrl-C.
SECONDS_OF_ONE = 0.3
# SLURM and Kubernetes kill after 30.
SECONDS_TO_HEAR = 5
# What threads are called that load models: no process is kept for them.
LOADING_THREAD = 'tfeval-loading'
_Batch = TypeVar('_Batch')


class _Termination:
  """What is known of a SIGTERM, by the main thread and by the one that watches."""

  def __init__(self, wording: Callable[[str], str]):
    self._wording = wording
    self.asked = threading.Event()
    self.save: Callable[[], str] | None = None
    # Of the main thread too, which would otherwise write at the same time.
    self.lock = threading.RLock()
    self._interrupted = -math.inf
    self._reader, self.writer = os.pipe()
    # Python writes the numbers of signals there at once, from C.
    os.set_blocking(self.writer, False)

  def interrupt(self, *_) -> None:
    # To a terminal's processes and to their parent, which passes it on: one Ctrl-C.
    now = time.monotonic()
    if now - self._interrupted > SECONDS_OF_ONE:
      self._interrupted = now
      raise KeyboardInterrupt

  def handle(self, *_) -> None:
    with self.lock:
      # Some send it twice, and storing takes a while.
      if not self.asked.is_set():
        self.asked.set()
        raise KeyboardInterrupt

  def watch(self) -> None:
    with os.fdopen(self._reader, 'rb', buffering=0) as signals:
      while number := signals.read(1):
        if number[0] == signal.SIGTERM and not self.asked.wait(SECONDS_TO_HEAR):
          self._end()

  def _end(self) -> None:
    with self.lock:
      if not self.asked.is_set():
        self._tell_and_end('terminated', EXIT_CODE)

  def end_now(self, text: str) -> None:
    with self.lock:
      self._tell_and_end(text, USER_ERROR)

  def _tell_and_end(self, text: str, code: int) -> NoReturn:
    try:
      words = [f'tfeval: {text}'] + ([self.save()] if self.save else [])
      line = printable(self._wording(': '.join(words)))
      print(line, file=sys.stderr, flush=True)
    finally:
      supervision.end(code)


_current: _Termination | None = None


def end_now(text: str) -> None:
  """Ends the command, from another thread, after storing what there is.

  Where no command handles signals nothing happens.

  Args:
    text: what to say.
  """
  if _current is not None:
    _current.end_now(text)


@contextlib.contextmanager
def handled(wording: Callable[[str], str] = str) -> Iterator[Callable[[], bool]]:
  """Where a SIGTERM raises KeyboardInterrupt, once, or ends the process.

  It does the latter with `EXIT_CODE` if the main thread cannot hear of it, after what
  `storing` was given. Threads other than the main one cannot handle signals: there
  nothing changes.

  Args:
    wording: makes of a message what is printed when the process ends.

  Yields:
    A function that tells whether there was one.
  """
  global _current
  if threading.current_thread() is not threading.main_thread():
    yield lambda: False
    return
  outer, _current = _current, _Termination(wording)
  threading.Thread(target=_current.watch, daemon=True).start()
  wakeup = signal.set_wakeup_fd(_current.writer, warn_on_full_buffer=False)
  handler = signal.signal(signal.SIGTERM, _current.handle)
  interrupt = signal.getsignal(signal.SIGINT)
  if interrupt is signal.default_int_handler:  # Background shells ignore it.
    signal.signal(signal.SIGINT, _current.interrupt)
  try:
    yield _current.asked.is_set
  finally:
    signal.signal(signal.SIGTERM, handler or signal.SIG_DFL)
    signal.signal(signal.SIGINT, interrupt or signal.SIG_DFL)
    signal.set_wakeup_fd(wakeup)
    os.close(_current.writer)  # The thread comes to its end.
    _current = outer


def storing(batches: Iterable[_Batch], save: Callable[[], str]) -> Iterator[_Batch]:
  """Yields batches that take long to come.

  Args:
    batches: none of them None.
    save: stores what came of those before, and says so; called by another thread when
      a SIGTERM comes that this one does not hear of, in the middle of a batch.

  Raises:
    KeyboardInterrupt: there was a SIGTERM.
  """
  iterator = iter(batches)
  while True:
    # What a handler raises inside of a destructor is lost.
    if _current and _current.asked.is_set():
      raise KeyboardInterrupt
    with _saved_by(save):
      batch = next(iterator, None)
    if batch is None:
      return
    yield batch


@contextlib.contextmanager
def _saved_by(save: Callable[[], str]) -> Iterator[None]:
  if _current is None:
    yield
    return
  _current.save = save
  try:
    yield
  finally:
    # Not while another thread is at it.
    with _current.lock:
      _current.save = None
