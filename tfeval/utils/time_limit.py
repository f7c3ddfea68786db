"""How long a model of unknown origin may take, where a command runs it.

No thread can be stopped that is in C++: a second one waits, and ends the process.
"""

import contextlib
import threading
import time
from collections.abc import Iterator

from tfeval.utils import termination

# Compiling takes minutes; a batch takes seconds, but machines are shared.
LEAST_SECONDS, TIMES_SLOWEST = 600.0, 20


class TimeLimit:
  """Ends a command in which a batch of a model takes far too long.

  Where no command handles signals, as in a notebook, nothing is ended.
  """

  def __init__(self, name: str, seconds: float | None = None):
    """Makes a limit.

    Args:
      name: the model's.
      seconds: of wall time for a batch; None: `LEAST_SECONDS`, or `TIMES_SLOWEST` times
        the slowest batch so far if that is more.
    """
    self._name, self._seconds = name, seconds
    self._slowest = 0.0

  @property
  def seconds(self) -> float:
    """How long the next batch may take."""
    if self._seconds is not None:
      return self._seconds
    return max(LEAST_SECONDS, TIMES_SLOWEST * self._slowest)

  @contextlib.contextmanager
  def batch(self, counts: bool = True) -> Iterator[None]:
    """Where one batch is computed.

    Args:
      counts: False for loading, which says nothing of how slow batches are.
    """
    started, limit = time.monotonic(), self.seconds
    timer = _watch(started + limit, self._words(limit))
    try:
      yield
    finally:
      timer.cancelled = True
    if counts:
      self._slowest = max(self._slowest, time.monotonic() - started)

  def _words(self, limit: float) -> str:
    return (
      f'{self._name} has taken more than {limit:g} s for a batch: '
      '`batch_timeout=SECONDS` waits longer, `trust_model` for ever'
    )


class _Deadline:
  """When something has to be done, and what to say if it is not."""

  def __init__(self, at: float, words: str):
    self.at, self.words, self.cancelled = at, words, False


_deadlines: list[_Deadline] = []
_lock = threading.Lock()
_started = False


def _watch(at: float, words: str) -> _Deadline:
  global _started
  deadline = _Deadline(at, words)
  with _lock:
    _deadlines.append(deadline)
    if not _started:
      _started = True
      threading.Thread(target=_wait, daemon=True, name='tfeval-time-limit').start()
  return deadline


def _wait() -> None:
  """Looks every second: what is watched for lasts minutes."""
  while True:
    time.sleep(1)
    with _lock:
      _deadlines[:] = [one for one in _deadlines if not one.cancelled]
      late = [one for one in _deadlines if one.at < time.monotonic()]
    for one in late:
      if not one.cancelled:
        termination.end_now(one.words)
