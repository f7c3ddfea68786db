"""Work that threads do ahead of whoever asks for it: bounded, in order."""

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

# What threads are called that may be in C++, where Python cannot end them.
THREAD_NAME = 'tfeval-ahead'
# An iterator that nobody asks any more waits so long for its thread, of wall time.
_SECONDS_TO_LEAVE = 1.0
_T = TypeVar('_T')


def ahead(source: Iterable[_T], most: int) -> Iterator[_T]:
  """Yields what a thread of its own takes from an iterable, in the same order.

  The thread ends with the source, or soon after nobody asks any more: after the element
  that it is at.

  Args:
    source: is iterated in that thread alone, from the first time on that something is
      asked for.
    most: how many elements it may be ahead, at least 1.

  Raises:
    BaseException: what the source raises, after the elements before.

  >>> list(ahead(range(5), 2))
  [0, 1, 2, 3, 4]
  """
  worker = _Worker(source, most)
  worker.start()
  try:
    while True:
      found = worker.found.get()
      if isinstance(found, _End):
        break
      worker.room.release()
      yield found
  finally:
    worker.leave()
  if found.error is not None:
    raise found.error


class _End:
  """That nothing more comes, and why if that is no good reason."""

  def __init__(self, error: BaseException | None = None):
    self.error = error


class _Worker(threading.Thread):
  """Takes elements while there is room for them."""

  def __init__(self, source: Iterable, most: int):
    super().__init__(name=THREAD_NAME, daemon=True)
    self._source, self._left = source, False
    self.room = threading.Semaphore(most)
    self.found: queue.SimpleQueue[Any] = queue.SimpleQueue()

  def run(self) -> None:
    error = None
    try:
      self._take()
    except BaseException as raised:
      error = raised
    self.found.put(_End(error))

  def _take(self) -> None:
    elements = iter(self._source)
    try:
      while self._has_room():
        self.found.put(next(elements))
    except StopIteration:
      pass
    finally:
      # A generator ends in the thread that it ran in.
      getattr(elements, 'close', lambda: None)()

  def _has_room(self) -> bool:
    self.room.acquire()
    return not self._left

  def leave(self) -> None:
    """Tells the thread that nobody asks any more."""
    self._left = True
    self.room.release()
    self.join(_SECONDS_TO_LEAVE)
