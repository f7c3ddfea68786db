"""Where the time of an evaluation goes, and which side waits."""

import contextlib
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

# What time is spent on: images that come, models that compute, ranks and files.
INPUT, MODEL, HOST = 'input', 'model', 'host'
# Who waits does so for this share of the time.
_WAITS = 0.1
_T = TypeVar('_T')


class Stopwatch:
  """Counts seconds of wall time, of several threads."""

  def __init__(self, created: float):
    """Begins at 0, but for `start`.

    Args:
      created: when the work began, as `time.monotonic` tells; `start` goes from there
        to the first batch that is computed with.
    """
    self._created = created
    self._start: float | None = None
    self._seconds = {INPUT: 0.0, MODEL: 0.0, HOST: 0.0}
    # How many threads are at it, and since when any is.
    self._at_it = {INPUT: 0, MODEL: 0, HOST: 0}
    self._since = {INPUT: 0.0, MODEL: 0.0, HOST: 0.0}
    self._lock = threading.Lock()
    self._first: tuple[float, int] | None = None
    self._last: tuple[float, int] | None = None

  @contextlib.contextmanager
  def counting(self, what: str) -> Iterator[None]:
    """Where time is spent on something: `INPUT`, `MODEL` or `HOST`.

    What several threads spend at the same time counts once.
    """
    with self._lock:
      if not self._at_it[what]:
        self._since[what] = time.monotonic()
      self._at_it[what] += 1
    try:
      yield
    finally:
      with self._lock:
        self._at_it[what] -= 1
        if not self._at_it[what]:
          self._seconds[what] += time.monotonic() - self._since[what]

  def arriving(self, batches: Iterable[_T]) -> Iterator[_T]:
    """Yields batches; the time until each comes is `INPUT`, but for the first."""
    iterator = iter(batches)
    while True:
      asked = time.monotonic()
      batch = next(iterator, None)
      if batch is None:
        return
      if self._start is None:
        self._start = time.monotonic() - self._created
      else:
        with self._lock:
          self._seconds[INPUT] += time.monotonic() - asked
      yield batch

  def done(self, images: int) -> None:
    """Hears that so many images more are stored, from one thread."""
    now = time.monotonic()
    before = self._last[1] if self._last else 0
    self._last = now, before + images
    self._first = self._first or self._last

  def waits(self) -> str:
    """Returns which side waits, in words; nothing before there are two batches."""
    if not self._last or self._last == self._first:
      return ''
    model, waited, host = (self._seconds[what] for what in (MODEL, INPUT, HOST))
    if host > max(model, waited) / (1 - _WAITS):
      return 'ranking and storing are slowest'
    if waited > _WAITS * (model + waited):
      return f'the model waits {100 * waited / (model + waited):.0f} %'
    return 'input waits'

  def timing(self) -> dict[str, Any]:
    """Returns where the time went, in seconds and images a second, for JSON.

    Returns:
      `phases`: `start`, up to the first batch; `input`, that the model waited for;
      `model`, that it computed, its tracing and compiling included; `host`, that any
      thread ranked or stored meanwhile; `steady_images_per_second`: after the first
      batch, where there was another one.
    """
    found: dict[str, Any] = {}
    if self._first and self._last and self._last[1] > self._first[1]:
      seconds = self._last[0] - self._first[0]
      found['steady_images_per_second'] = (self._last[1] - self._first[1]) / seconds
    if self._start is not None:
      found['phases'] = {
        name: round(value, 3)
        for name, value in {'start': self._start, **self._seconds}.items()
      }
    return found
