"""Loads models without what they were compiled with, those inside of them too.

`compile=False` leaves that of the outermost model out alone. A model that was compiled
before it became a part of another one brings losses, metrics and an optimizer, perhaps
of the user's own, which nobody who evaluates has.
"""

import contextlib
import threading
from collections.abc import Iterator

from keras.src.trainers.trainer import Trainer

# Where a configuration holds it.
COMPILED = 'compile_config'
_LOCK = threading.RLock()


@contextlib.contextmanager
def loading() -> Iterator[None]:
  """Where Keras compiles no model that it loads in this thread."""
  thread = threading.get_ident()
  with _LOCK:
    original = Trainer.compile_from_config

    def unless_loading(self, config):
      if threading.get_ident() != thread:
        original(self, config)

    Trainer.compile_from_config = unless_loading
    try:
      yield
    finally:
      Trainer.compile_from_config = original
