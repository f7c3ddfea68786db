"""Where Ctrl-C and SIGTERM wait until something that must not be half done is done."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
  """Where a SIGINT or SIGTERM is handled afterwards, as it would have been.

  In threads other than the main one, where none arrives, nothing changes.
  """
  before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
  handled = {one: handler for one, handler in before.items() if callable(handler)}
  if threading.current_thread() is not threading.main_thread():
    handled = {}
  waiting: list[tuple[Any, ...]] = []
  for one in handled:
    signal.signal(one, lambda *arguments: waiting.append(arguments))
  try:
    yield
  finally:
    for one, handler in handled.items():
      signal.signal(one, handler)
    if waiting:  # SIGTERM, if there were both: it ends more than Ctrl-C.
      number, frame = max(waiting, key=lambda one: one[0])
      handled[number](number, frame)
