"""Where Ctrl-C waits until something that must not be half done is done."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
  """Where a SIGINT is handled afterwards, as it would have been.

  In threads other than the main one, where none arrives, nothing changes.
  """
  before = signal.getsignal(signal.SIGINT)
  if threading.current_thread() is not threading.main_thread() or not callable(before):
    yield
    return
  waiting: list[tuple[Any, ...]] = []
  signal.signal(signal.SIGINT, lambda *arguments: waiting.append(arguments))
  try:
    yield
  finally:
    signal.signal(signal.SIGINT, before)
    if waiting:
      before(*waiting[0])
