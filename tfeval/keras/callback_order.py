"""Whether other callbacks of a fit will see what a callback logs."""

import logging
from typing import Any

import keras

from tfeval.keras import callers
from tfeval.keras.callback_rules import RULES, Other, evaluates
from tfeval.keras.schedule import Schedule
from tfeval.models.keras.versions import both
from tfeval.utils.errors import UserError

_LOG = logging.getLogger('tfeval')


def callbacks_around(callback: keras.callbacks.Callback) -> list[Any]:
  """Returns the callbacks among which one is being called, itself included.

  Keras tells a callback nothing of the others: the list that calls it is looked for
  on the stack. Empty where no list calls it.
  """
  return next(
    (
      list(found.callbacks)
      for _, found in _callers()
      if isinstance(found, both('callbacks.CallbackList'))
      and any(one is callback for one in found.callbacks)
    ),
    [],
  )


def swaps_before(callback: keras.callbacks.Callback) -> bool:
  """Returns whether the averages are the weights where an epoch of a callback ends.

  `SwapEMAWeights(swap_on_epoch=True)` before it has put them there, and the weights
  where the optimizer keeps the averages.
  """
  for one in callbacks_around(callback):
    if one is callback:
      return False
    if isinstance(one, both('callbacks.SwapEMAWeights')) and one.swap_on_epoch:
      return True
  return False


def is_in_fit(model: keras.Model) -> bool:
  """Returns whether the `fit` of a model, or its own version of it, is running."""
  return any(name == 'fit' and found is model for name, found in _callers())


def _callers():
  """Yields the functions on the stack, each with its `self` or None."""
  for frame in callers.callers():
    yield frame.f_code.co_name, frame.f_locals.get('self')


def check_order(ours: Any, when: Schedule) -> None:
  """Checks that what others monitor will be there when they look.

  Keras calls callbacks in the order of the list, all with the same logs: what one
  adds at the end of a batch or an epoch is seen by those behind it.

  Args:
    ours: the callback that logs, while it is called.
    when: it does so.

  Raises:
    UserError: one monitors what it never sees, or logs the same.
  """
  callbacks, is_before = callbacks_around(ours), True
  for one in callbacks:
    if one is ours:
      is_before = False
      continue
    path = str(getattr(one, 'filepath', ''))
    file_name = next((name for name in ours.logged if f'{{{name}' in path), '')
    monitor = _monitored(one, ours, callbacks)
    other = Other(ours, one, is_before, when, monitor, file_name)
    for applies, is_refused, why in RULES:
      if not applies(other):
        continue
      names = {'kind': type(one).__name__, 'name': type(ours).__name__}
      logged = ', '.join(ours.logged)
      text = why.format(**other._asdict(), **names, logged=logged)
      if is_refused:
        raise UserError(text)
      _LOG.warning(text)


def _monitored(other: Any, ours: Any, callbacks: list[Any]) -> str:
  """Returns what a callback monitors, '' where it is of another one like ours."""
  monitor = getattr(other, 'monitor', None)
  is_unused = monitor == 'val_loss' and not getattr(other, 'save_best_only', True)
  if not isinstance(monitor, str) or is_unused:
    return ''
  prefixes = [one.prefix for one in callbacks if evaluates(one)]
  owners = [prefix for prefix in prefixes if monitor.startswith(prefix)]
  return monitor if max(owners, key=len, default=ours.prefix) == ours.prefix else ''
