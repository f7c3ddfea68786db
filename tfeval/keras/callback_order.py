"""Whether other callbacks of a fit will see what a callback logs."""

import sys
from collections.abc import Collection
from typing import Any

import keras

from tfeval import scoring
from tfeval.errors import UserError

REAL = 'real_'
PREFIX = 'val_'


def callbacks_around(callback: keras.callbacks.Callback) -> list[Any]:
  """Returns the callbacks among which one is being called, itself included.

  Keras tells a callback nothing of the others: the list that calls it is looked for
  on the stack. Empty where no list calls it.
  """
  frame = sys._getframe(1)
  while frame is not None:
    found = frame.f_locals.get('self')
    if isinstance(found, keras.callbacks.CallbackList) and any(
        one is callback for one in found.callbacks):
      return list(found.callbacks)
    frame = frame.f_back
  return []


def check(callback: keras.callbacks.Callback, callbacks: list[Any],
          logged: Collection[str], every_epoch: bool) -> None:
  """Holds that what others monitor will be there when they look.

  Keras calls callbacks in the order of the list, all with the same logs: what one
  adds at the end of an epoch is seen by those behind it.

  Args:
    callback: the one that logs.
    callbacks: all of them, in order.
    logged: what it adds to logs.
    every_epoch: whether it does so at the ends of epochs.

  Raises:
    UserError: one monitors what it never sees.
  """
  name = type(callback).__name__
  before = True
  for other in callbacks:
    before = before and other is not callback
    kind, monitor = type(other).__name__, getattr(other, 'monitor', None)
    if other is callback:
      continue
    if before and isinstance(other, keras.callbacks.CSVLogger
                             | keras.callbacks.TensorBoard):
      print(f'tfeval: warning: {kind} stands before {name}, so it does not see '
            f'{", ".join(logged)}: put {name} first in callbacks', file=sys.stderr)
    if not isinstance(monitor, str):
      continue
    if monitor in logged:
      if before:
        raise UserError(f'{kind} monitors {monitor} and stands before {name}, so it '
                        f'never sees it: put {name} first in callbacks')
      if not every_epoch:
        raise UserError(f'{kind} monitors {monitor} at the ends of epochs: give '
                        f'every_epochs to {name} beside every_steps')
    elif _is_ours(monitor) and not _is_of_model(callback.model, monitor):
      raise UserError(f'{kind} monitors {monitor}, which is never logged: {name} logs '
                      f'{", ".join(logged)} with these metrics and this dataset')


def _is_ours(monitor: str) -> bool:
  try:
    scoring.metric_of(monitor.removeprefix(PREFIX).removeprefix(REAL))
  except UserError:
    return False
  return monitor.startswith(PREFIX)


def _is_of_model(model: keras.Model, monitor: str) -> bool:
  """Returns whether a metric that the model was compiled with has a name."""
  # What `compile` was given: Keras makes metrics of it at the first step.
  metrics = getattr(getattr(model, '_compile_metrics', None), '_user_metrics', None)
  return monitor.removeprefix(PREFIX) in [
      one if isinstance(one, str) else getattr(one, 'name', None)
      for one in keras.tree.flatten(metrics)]
