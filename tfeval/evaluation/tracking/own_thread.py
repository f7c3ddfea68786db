"""Calls of libraries that may never come back: in a thread, with a deadline."""

import queue
import threading
from collections.abc import Callable
from typing import Any


class Late(Exception):
  """A call took longer than it may."""


class OwnThread:
  """A thread that calls one function after the other; nobody waits for it at the end.

  >>> OwnThread('example').call(lambda: 1 + 1, seconds=10)
  2
  """

  def __init__(self, name: str):
    self._calls: queue.SimpleQueue[Any] = queue.SimpleQueue()
    self._thread = threading.Thread(target=self._run, name=name, daemon=True)
    self._thread.start()

  def call(self, function: Callable[[], Any], seconds: float) -> Any:
    """Returns what a function returns.

    Raises:
      Late: it takes longer. The thread is in it: call nothing more.
      Exception: what the function raises.
    """
    done: queue.SimpleQueue[Any] = queue.SimpleQueue()
    self._calls.put((function, done))
    try:
      found, error = done.get(timeout=seconds)
    except queue.Empty:
      raise Late(f'no answer within {seconds:g} s') from None
    if error is not None:
      raise error
    return found

  def leave(self) -> None:
    """Lets the thread end."""
    self._calls.put(None)

  def _run(self) -> None:
    while (asked := self._calls.get()) is not None:
      function, done = asked
      try:
        done.put((function(), None))
      except BaseException as error:  # For whoever called.
        done.put((None, error))
