"""What is running, as the stack tells: Keras tells its callbacks and metrics little."""

import sys
import types
from collections.abc import Iterator
from typing import Any

import keras

from tfeval.models.keras.versions import both


def callers() -> Iterator[types.FrameType]:
  """Yields the frames of the functions that are being called, the innermost first."""
  frame = sys._getframe(1)
  while frame is not None:
    yield frame
    frame = frame.f_back


def running_callbacks() -> keras.callbacks.CallbackList | None:
  """Returns the callbacks of the innermost `fit`, `evaluate` or `predict` of Keras.

  None outside of these, and before they have made their list.
  """
  found = (frame.f_locals.get('callbacks') for frame in callers())
  kinds = both('callbacks.CallbackList')
  return next((one for one in found if isinstance(one, kinds)), None)


def argument_of_fit(model: keras.Model, name: str) -> Any:
  """Returns an argument of the `fit` of a model that is running; None without one."""
  for frame in callers():
    if frame.f_code.co_name == 'fit' and frame.f_locals.get('self') is model:
      value = frame.f_locals.get(name)
      if value is not None:
        return value
  return None
