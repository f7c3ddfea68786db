"""Whether other callbacks of a fit will see what a callback logs."""

import difflib
import logging
import sys
from typing import Any

import keras

from tfeval.metrics import registry
from tfeval.utils.errors import UserError

_LOG = logging.getLogger('tfeval')
REAL = 'real_'
# As close to a name as a slip of the pen.
_CLOSE = 0.8


def callbacks_around(callback: keras.callbacks.Callback) -> list[Any]:
  """Returns the callbacks among which one is being called, itself included.

  Keras tells a callback nothing of the others: the list that calls it is looked for
  on the stack. Empty where no list calls it.
  """
  return next(
    (
      list(found.callbacks)
      for _, found in _callers()
      if isinstance(found, keras.callbacks.CallbackList)
      and any(one is callback for one in found.callbacks)
    ),
    [],
  )


def is_in_fit(model: keras.Model) -> bool:
  """Returns whether the `fit` of a model, or its own version of it, is running."""
  return any(name == 'fit' and found is model for name, found in _callers())


def _callers():
  """Yields the functions on the stack, each with its `self` or None."""
  frame = sys._getframe(1)
  while frame is not None:
    yield frame.f_code.co_name, frame.f_locals.get('self')
    frame = frame.f_back


def check(
  callback: keras.callbacks.Callback,
  callbacks: list[Any],
  logged: list[str],
  every_epochs: int | None,
) -> None:
  """Checks that what others monitor will be there when they look.

  Keras calls callbacks in the order of the list, all with the same logs: what one
  adds at the end of an epoch is seen by those behind it.

  Args:
    callback: the one that logs.
    callbacks: all of them, in order.
    logged: what it adds to logs.
    every_epochs: at the end of every so many epochs it does so; None for never.

  Raises:
    UserError: one monitors what it never sees, or logs the same.
  """
  name = type(callback).__name__
  before = True
  for other in callbacks:
    if other is callback:
      before = False
      continue
    if _evaluates(other):
      _check_apart(callback, other)
    if isinstance(other, keras.callbacks.CSVLogger | keras.callbacks.TensorBoard):
      _warn_of_missing(other, name, logged, before, every_epochs)
    monitor = getattr(other, 'monitor', None)
    if (
      isinstance(monitor, str)
      and _owner(monitor, callback, callbacks) == callback.prefix
    ):
      _check_monitored(
        callback, type(other).__name__, monitor, logged, before, every_epochs
      )
    _check_path(other, name, logged, before, every_epochs)


def _owner(monitor: str, callback: Any, callbacks: list[Any]) -> str:
  """Returns the prefix of the one, of several like a callback, whose name it may be."""
  return max(
    (
      one.prefix
      for one in callbacks
      if _evaluates(one) and monitor.startswith(one.prefix)
    ),
    key=len,
    default=callback.prefix,
  )


def _evaluates(callback: Any) -> bool:
  """Returns whether a callback is one that logs as this package's does."""
  return hasattr(callback, 'prefix') and hasattr(type(callback), 'logged')


def _check_apart(one: Any, other: Any) -> None:
  if one.prefix == other.prefix:
    raise UserError(
      f'two callbacks log {one.prefix}top1 and so on: give one of them another prefix'
    )
  if one.output_dir is not None and one.output_dir == other.output_dir:
    raise UserError(
      f'two callbacks keep their best run in {one.output_dir}: give each '
      'an output_dir of its own'
    )


def _warn_of_missing(
  other: keras.callbacks.Callback,
  name: str,
  logged: list[str],
  before: bool,
  every_epochs: int | None,
) -> None:
  kind, them = type(other).__name__, ', '.join(logged)
  if before:
    _LOG.warning(
      f'{kind} stands before {name}, so it does not see {them}: '
      f'put {name} first in callbacks'
    )
  elif every_epochs != 1 and isinstance(other, keras.callbacks.CSVLogger):
    _LOG.warning(
      f'{kind} writes what the first epoch logs, so {them} will '
      f'not be in its file: leave every_epochs of {name} out'
    )


def _check_monitored(
  callback: keras.callbacks.Callback,
  kind: str,
  monitor: str,
  logged: list[str],
  before: bool,
  every_epochs: int | None,
) -> None:
  name = type(callback).__name__
  if monitor in logged:
    if before:
      raise UserError(
        f'{kind} monitors {monitor} and stands before {name}, so it '
        f'never sees it: put {name} first in callbacks'
      )
    if every_epochs is None:
      raise UserError(
        f'{kind} monitors {monitor} at the ends of epochs: give '
        f'every_epochs to {name} beside every_steps'
      )
    return
  if _is_of_model(callback.model, monitor):
    return
  never = (
    f'{kind} monitors {monitor}, which is never logged: {name} logs '
    f'{", ".join(logged)} with these metrics and this dataset'
  )
  if _is_ours(monitor, callback.prefix) and not _logs_freely(callback.model):
    raise UserError(never)
  if callback.prefix + monitor in logged or difflib.get_close_matches(
    monitor, logged, n=1, cutoff=_CLOSE
  ):
    # Other callbacks may log it.
    _LOG.warning(f'unless something else logs it, {never}')


def _check_path(
  other: Any, name: str, logged: list[str], before: bool, every_epochs: int | None
) -> None:
  """Checks that what a file name is made of is there at the end of every epoch."""
  path = str(getattr(other, 'filepath', ''))
  wanted = next((one for one in logged if f'{{{one}' in path), None)
  if wanted is not None and (before or every_epochs != 1):
    raise UserError(
      f'{type(other).__name__} needs {wanted} for its file names after '
      f'every epoch: put {name} before it, without every_epochs and '
      'every_steps'
    )


def _is_ours(monitor: str, prefix: str) -> bool:
  """Returns whether a name is one that other metrics would give."""
  try:
    registry.get_metric(monitor.removeprefix(prefix).removeprefix(REAL))
  except UserError:
    return False
  return monitor.startswith(prefix)


def _logs_freely(model: keras.Model) -> bool:
  """Returns whether a model has steps of its own, which may log anything."""
  return any(
    not getattr(type(model), step).__module__.startswith('keras.')
    for step in ('train_step', 'test_step')
  )


def _is_of_model(model: keras.Model, monitor: str) -> bool:
  """Returns whether a metric that the model was compiled with has a name."""
  # What `compile` was given: Keras makes metrics of it at the first step.
  compiled = getattr(model, '_compile_metrics', None)
  metrics = [
    model.metrics,
    *(
      getattr(compiled, key, None)
      for key in ('_user_metrics', '_user_weighted_metrics')
    ),
  ]
  names = [
    one if isinstance(one, str) else getattr(one, 'name', None)
    for one in keras.tree.flatten(metrics)
  ]
  outputs = getattr(model, 'output_names', None) or []
  return monitor.removeprefix('val_') in [
    *names,
    *(f'{output}_{name}' for output in outputs for name in names),
  ]
