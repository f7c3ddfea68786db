"""What is running, as the stack tells: Keras tells its callbacks and metrics little."""

import sys
import types
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

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


def labels_are_indices(model: keras.Model) -> bool | None:
  """Returns whether the `fit` of a model has indices of classes for labels.

  None: that cannot be told, as of a generator.
  """
  labels, x = argument_of_fit(model, 'y'), argument_of_fit(model, 'x')
  if labels is None and isinstance(x, tf.data.Dataset):
    spec = x.element_spec
    labels = spec[1] if isinstance(spec, tuple) and len(spec) > 1 else None
  elif labels is None and hasattr(type(x), 'num_batches'):  # A PyDataset.
    batch = x[0]
    labels = batch[1] if isinstance(batch, tuple | list) and len(batch) > 1 else None
  shape = getattr(labels, 'shape', None)
  if shape is None or getattr(shape, 'rank', len(shape)) not in (1, 2):
    return None
  return len(shape) == 1 or shape[1] == 1
