"""Whether other callbacks of a fit will see what a callback logs."""

import logging
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
from keras.callbacks import CSVLogger, TensorBoard

from tfeval.keras import callers
from tfeval.metrics import registry
from tfeval.utils.errors import UserError

_LOG = logging.getLogger('tfeval')
REAL = 'real_'


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
  for frame in callers.callers():
    yield frame.f_code.co_name, frame.f_locals.get('self')


class _Other(NamedTuple):
  """Another callback of a fit, and what it may want of ours."""

  ours: Any
  callback: Any
  is_before: bool
  every_epochs: int | None  # How often ours logs; None for never.
  monitor: str  # What it monitors of ours, '' for nothing.
  file_name: str  # What of ours its file names have, '' for nothing.

  def is_a(self, *kinds: type) -> bool:
    return isinstance(self.callback, kinds)

  def has_our(self, attribute: str) -> bool:
    """Whether it logs as ours does, and has the same value, other than None."""
    value = getattr(self.ours, attribute)
    is_one = value is not None and _evaluates(self.callback)
    return is_one and getattr(self.callback, attribute) == value

  def misses_epochs(self) -> bool:
    return self.is_before or self.every_epochs != 1

  def monitors_ours(self) -> bool:
    return self.monitor in self.ours.logged

  def monitors_unknown(self) -> bool:
    """Whether nothing logs what it monitors, as far as can be known."""
    is_known = not self.monitor or self.monitors_ours()
    return not is_known and not _may_log(self.ours.model, self.monitor)


_NEVER = (
  '{kind} monitors {monitor}, which is never logged: {name} logs {logged} with these '
  'metrics and this dataset'
)
# What may not stand before or beside a callback of ours, whether it is refused or
# warned of, and why.
_RULES: tuple[tuple[Callable[[_Other], bool], bool, str], ...] = (
  (
    lambda other: other.has_our('prefix'),
    True,
    'two callbacks log {ours.prefix}top1 and so on: give one of them another prefix',
  ),
  (
    lambda other: other.has_our('output_dir'),
    True,
    'two callbacks keep their best run in {ours.output_dir}: give each an output_dir '
    'of its own',
  ),
  (
    lambda other: other.is_before and other.is_a(CSVLogger, TensorBoard),
    False,
    '{kind} stands before {name}, so it does not see {logged}: put {name} first in '
    'callbacks',
  ),
  (
    lambda other: (
      not other.is_before and other.misses_epochs() and other.is_a(CSVLogger)
    ),
    False,
    '{kind} writes what the first epoch logs, so {logged} will not be in its file: '
    'leave every_epochs of {name} out',
  ),
  (
    lambda other: other.monitors_ours() and other.is_before,
    True,
    '{kind} monitors {monitor} and stands before {name}, so it never sees it: put '
    '{name} first in callbacks',
  ),
  (
    lambda other: other.monitors_ours() and other.every_epochs is None,
    True,
    '{kind} monitors {monitor} at the ends of epochs: give every_epochs to {name} '
    'beside every_steps',
  ),
  (lambda other: other.monitors_unknown() and _is_metric(other), True, _NEVER),
  (
    # Another callback may log it.
    lambda other: other.monitors_unknown() and _is_near(other),
    False,
    f'unless something else logs it, {_NEVER}',
  ),
  (
    lambda other: other.file_name != '' and other.misses_epochs(),
    True,
    '{kind} needs {file_name} for its file names after every epoch: put {name} before '
    'it, without every_epochs and every_steps',
  ),
)


def check_order(ours: Any, every_epochs: int | None) -> None:
  """Checks that what others monitor will be there when they look.

  Keras calls callbacks in the order of the list, all with the same logs: what one
  adds at the end of an epoch is seen by those behind it.

  Args:
    ours: the callback that logs, while it is called.
    every_epochs: at the end of every so many epochs it does so; None for never.

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
    other = _Other(ours, one, is_before, every_epochs, monitor, file_name)
    for applies, is_refused, why in _RULES:
      if not applies(other):
        continue
      names = {'kind': type(one).__name__, 'name': type(ours).__name__}
      text = why.format(**other._asdict(), **names, logged=', '.join(ours.logged))
      if is_refused:
        raise UserError(text)
      _LOG.warning(text)


def _monitored(other: Any, ours: Any, callbacks: list[Any]) -> str:
  """Returns what a callback monitors, '' where it is of another one like ours."""
  monitor = getattr(other, 'monitor', None)
  if not isinstance(monitor, str):
    return ''
  prefixes = [one.prefix for one in callbacks if _evaluates(one)]
  owners = [prefix for prefix in prefixes if monitor.startswith(prefix)]
  return monitor if max(owners, key=len, default=ours.prefix) == ours.prefix else ''


def _evaluates(callback: Any) -> bool:
  """Returns whether a callback is one that logs as this package's does."""
  return hasattr(callback, 'prefix') and hasattr(type(callback), 'logged')


def _is_metric(other: _Other) -> bool:
  """Returns whether what is monitored is a name that other metrics would give."""
  try:
    registry.get_metric(
      other.monitor.removeprefix(other.ours.prefix).removeprefix(REAL)
    )
  except UserError:
    return False
  return other.monitor.startswith(other.ours.prefix)


def _is_near(other: _Other) -> bool:
  """Returns whether what is monitored has our prefix, or lacks only that."""
  prefix = other.ours.prefix
  return other.monitor.startswith(prefix) or prefix + other.monitor in other.ours.logged


def _may_log(model: keras.Model, monitor: str) -> bool:
  """Returns whether a model logs a name, or may log anything."""
  if any(
    not getattr(type(model), step).__module__.startswith('keras.')
    for step in ('train_step', 'test_step')
  ):
    return True
  try:
    with warnings.catch_warnings(action='ignore'):  # Of lambdas: nothing is loaded.
      compiled = model.get_compile_config()
  except Exception:  # There is something in it that cannot be saved.
    return True
  # Keras makes metrics of what it was given at the first step.
  given = keras.tree.flatten(
    [compiled.get('metrics'), compiled.get('weighted_metrics')]
  )
  names = [one.name for one in model.metrics]
  names += [text for text in given if isinstance(text, str)]
  outputs = getattr(model, 'output_names', None) or []
  names += [f'{output}_{name}' for output in outputs for name in names]
  return monitor in names or monitor.removeprefix('val_') in names
