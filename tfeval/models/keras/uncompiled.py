"""Loads models without what they were compiled with, those inside of them too.

`compile=False` leaves that of the outermost model out alone. A model that was compiled
before it became a part of another one brings losses, metrics and an optimizer, perhaps
of the user's own, which nobody who evaluates has.
"""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from keras.src.trainers.trainer import Trainer

# Where a configuration holds it.
COMPILED = 'compile_config'
_LOCK = threading.RLock()


@contextlib.contextmanager
def loading(trainer: Any = Trainer) -> Iterator[None]:
  """Where Keras compiles no model that it loads in this thread.

  Args:
    trainer: whose models: also `Model` of Keras 2.
  """
  thread = threading.get_ident()
  with _LOCK:
    original = trainer.compile_from_config

    def unless_loading(self, config):
      if threading.get_ident() != thread:
        original(self, config)

    trainer.compile_from_config = unless_loading
    try:
      yield
    finally:
      trainer.compile_from_config = original
