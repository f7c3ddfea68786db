"""The thread that rewrites a claim as long as its piece is worked on."""

import logging
import threading

from tfeval.evaluation.pieces import claim
from tfeval.evaluation.pieces.claim import Claim
from tfeval.utils.errors import UserError
from tfeval.utils.paths import Path

_LOG = logging.getLogger('tfeval')
# Of a write that is on its way when the worker ends.
_PATIENCE = 10.0


class Beating:
  """Rewrites the claim that is held, again and again.

  A store that does not answer costs nothing but the beat, at worst the piece is done by
  somebody else too.

  Args:
    seconds: between two beats.
  """

  def __init__(self, seconds: float):
    self._seconds = seconds
    self._held: tuple[Path, Claim] | None = None
    # Held while writing: a beat must not follow what ends a claim.
    self._lock = threading.Lock()
    self._stopped = threading.Event()
    self._thread: threading.Thread | None = None
    self._is_told = False

  def hold(self, path: Path, held: Claim) -> None:
    """Begins with the claim that this worker has just made."""
    with self._lock:
      self._held = path, held
    if self._thread is None:
      self._stopped.clear()
      self._thread = threading.Thread(
        target=self._run, name='tfeval-claim', daemon=True
      )
      self._thread.start()

  def release(self) -> tuple[Path, Claim] | None:
    """Ends with it; returns it as it was written last, None if none was held."""
    with self._lock:
      held, self._held = self._held, None
    return held

  def beat(self) -> None:
    """Rewrites what is held once."""
    with self._lock:
      if self._held is not None:
        path, held = self._held
        self._held = path, held.next_beat()
        self._write(*self._held)

  def end(self, path: Path, ended: Claim) -> None:
    """Writes how a claim that was released has ended; others see it at once."""
    with self._lock:
      self._write(path, ended)

  def stop(self) -> None:
    """Ends the thread; a claim that is still held is left to others."""
    held = self.release()
    if held is not None:
      self.end(held[0], held[1].left())
    self._stopped.set()
    if self._thread is not None:
      self._thread.join(_PATIENCE)
      self._thread = None

  def _run(self) -> None:
    while not self._stopped.wait(self._seconds):
      self.beat()

  def _write(self, path: Path, content: Claim) -> None:
    try:
      claim.write(path, content)
    except (OSError, UserError) as error:
      if not self._is_told:
        _LOG.warning(
          f'{error}; the work goes on, but other workers may take a piece for '
          'abandoned and do it too'
        )
      self._is_told = True
