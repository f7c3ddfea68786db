"""What may not stand before or beside a callback that logs evaluations, and why."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tfeval.keras import compiled, log_readers
from tfeval.keras.from_rows import LOSS
from tfeval.keras.logged import REAL
from tfeval.keras.schedule import Schedule
from tfeval.metrics import registry
from tfeval.models.keras.versions import both
from tfeval.utils.errors import UserError


class Other(NamedTuple):
  """Another callback of a fit, and what it may want of ours."""

  ours: Any
  callback: Any
  is_before: bool
  when: Schedule  # Ours logs.
  monitor: str  # What it monitors of ours, '' for nothing.
  file_name: str  # What of ours its file names have, '' for nothing.

  def has_our(self, attribute: str) -> bool:
    """Whether it logs as ours does, and has the same value, other than None."""
    value = getattr(self.ours, attribute)
    is_one = value is not None and evaluates(self.callback)
    return is_one and getattr(self.callback, attribute) == value

  def monitors_ours(self) -> bool:
    return self.monitor in self.ours.logged

  def monitors_unknown(self) -> bool:
    """Whether nothing logs what it monitors, as far as can be known."""
    is_known = not self.monitor or self.monitors_ours()
    return not is_known and not compiled.may_log(self.ours.model, self.monitor)

  def reads_logs(self) -> bool:
    """Whether it looks into logs that ours adds to, beyond what it monitors."""
    if evaluates(self.callback) or isinstance(
      getattr(self.callback, 'monitor', None), str
    ):
      return False
    hooks = log_readers.AT_EPOCHS
    if self.when.every_steps is not None:
      hooks += log_readers.AT_BATCHES
    return log_readers.reads_any(self.callback, hooks, self.ours.logged)

  @property
  def save_freq(self) -> int | None:
    """After each so many batches it saves; None for epochs, and where it saves none."""
    value = getattr(self.callback, 'save_freq', None)
    is_one = hasattr(self.callback, 'save_best_only') and isinstance(value, int)
    return value if is_one else None

  def saves_best(self) -> bool:
    """Whether it saves the best model by what ours logs, or any where that lacks."""
    is_one = isinstance(self.callback, both('callbacks.ModelCheckpoint'))
    return is_one and self.callback.save_best_only and self.monitors_ours()

  def compares_too_early(self) -> bool:
    """Whether it compares values before Keras 3 lets it, at the end of an epoch."""
    if not self.saves_best() or self.save_freq is None:
      return False
    if getattr(self.callback, 'monitor_op', True) is not None:
      return False
    first = 1 if self.callback.best is not None else 2
    batches = self.when.batches
    return batches is None or first * self.save_freq <= batches

  def swaps_before(self) -> bool:
    """Whether it has put averages in place of the weights that ours evaluates."""
    is_one = isinstance(self.callback, both('callbacks.SwapEMAWeights'))
    swaps = is_one and self.callback.swap_on_epoch and self.is_before
    return swaps and not self.ours.ema

  def keeps_best(self) -> bool:
    """Whether it keeps the model of an epoch, the best by what ours logs."""
    flags = ('save_best_only', 'restore_best_weights')
    return self.looks_at_ends() and any(getattr(self.callback, f, False) for f in flags)

  def needs(self) -> bool:
    """Whether something goes wrong where it finds nothing of ours."""
    return self.file_name != '' or self.saves_best()

  def looks_at_ends(self) -> bool:
    """Whether it looks at what ours logs at the ends of epochs."""
    return self.monitors_ours() and self.save_freq is None

  def guesses_direction(self) -> bool:
    """Whether Keras has to guess if what it monitors is better the higher."""
    is_one = hasattr(self.callback, 'monitor_op')  # As those of Keras have.
    if not is_one or not self.monitors_ours():
      return False
    name = self.monitor.removeprefix('val_')
    if not hasattr(self.callback, 'mode'):
      # Keras 2 takes the lowest, and keeps not what it was given.
      is_lowest = getattr(self.callback, 'monitor_op', None) is np.less
      return is_lowest and not _is_better_lower(self)
    is_auto = self.callback.mode == 'auto'
    return is_auto and name != 'loss' and not compiled.has_metric(self.ours.model, name)

  def logs_other_batches(self) -> bool:
    """Whether it logs each so many batches, and seldom those of evaluations."""
    is_one = type(self.callback).__name__ == 'WandbMetricsLogger'
    every = getattr(self.callback, 'log_freq', None)
    return is_one and isinstance(every, int) and every > 1


_NEVER = (
  '{kind} monitors {monitor}, which is never logged: {name} logs {logged} with these '
  'metrics and this dataset'
)
# When, whether it is refused or warned of, and why. Of those for one callback that are
# refused the first is told.
RULES: tuple[tuple[Callable[[Other], bool], bool, str], ...] = (
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
    lambda other: other.monitors_ours() and other.is_before,
    True,
    '{kind} monitors {monitor} and stands before {name}, so it never sees it: put '
    '{name} first in callbacks',
  ),
  (lambda other: other.monitors_unknown() and _is_metric(other), True, _NEVER),
  (
    # Another callback may log it.
    lambda other: other.monitors_unknown() and _is_near(other),
    False,
    f'unless something else logs it, {_NEVER}',
  ),
  (
    lambda other: other.compares_too_early(),
    True,
    '{kind} with save_freq={callback.save_freq} fails at the second value of the first '
    'epoch, at whose end Keras sets its monitor_op: set that to keras.ops.greater or '
    "keras.ops.less, or give it save_freq='epoch'",
  ),
  (
    lambda other: other.swaps_before(),
    False,
    '{kind} stands before {name}, which so logs the averages of the weights as '
    '{ours.prefix}top1 and so on at ends of epochs: put {name} before it for the '
    'weights themselves, or give it ema=True',
  ),
  (
    lambda other: other.file_name != '' and other.is_before,
    True,
    '{kind} needs {file_name} for its file names: put {name} before it',
  ),
  (
    # Keras raises for it, after an epoch.
    lambda other: other.guesses_direction(),
    True,
    '{kind} monitors {monitor}, and Keras does not know whether more is better: '
    "give it mode='max' or 'min'",
  ),
  (
    lambda other: (
      other.needs() and other.save_freq and not other.when.is_at_each(other.save_freq)
    ),
    True,
    '{kind} saves every {callback.save_freq} batches, and not each of them has an '
    'evaluation: give {name} an every_steps of which that is a multiple',
  ),
  (
    lambda other: (
      other.file_name != '' and not other.save_freq and not other.when.is_in_each_epoch
    ),
    True,
    '{kind} needs {file_name} for its file names after every epoch: give {name} '
    'every_epochs=1',
  ),
  (
    lambda other: (
      other.saves_best() and not other.save_freq and not other.when.is_in_each_epoch
    ),
    True,
    '{kind} takes any model for the best after an epoch without {monitor}: give {name} '
    'every_epochs=1',
  ),
  (
    lambda other: other.looks_at_ends() and other.when.is_in_each_epoch is False,
    False,
    '{kind} monitors {monitor}, which not every epoch logs: {name} with every_epochs=1 '
    'does',
  ),
  (
    lambda other: other.keeps_best() and other.when.is_at_ends is False,
    False,
    '{kind} keeps models as they are at the ends of epochs, and {monitor} is of steps '
    'before: give {name} every_epochs=1 beside every_steps',
  ),
  (
    lambda other: other.is_before and other.reads_logs(),
    False,
    '{kind} stands before {name}, so it does not see {logged}: put {name} first in '
    'callbacks',
  ),
  (
    lambda other: (
      not other.is_before
      and other.when.is_in_each_epoch is False
      and isinstance(other.callback, both('callbacks.CSVLogger'))
    ),
    False,
    '{kind} writes what the first epoch logs, so {logged} may not be in its file: '
    'give {name} every_epochs=1',
  ),
  (
    lambda other: (
      not other.is_before
      and other.when.every_steps is not None
      and other.logs_other_batches()
    ),
    False,
    '{kind} logs every {callback.log_freq} batches, and seldom those of evaluations: '
    "give it log_freq='batch'",
  ),
)


def evaluates(callback: Any) -> bool:
  """Returns whether a callback is one that logs as this package's does."""
  return hasattr(callback, 'prefix') and hasattr(type(callback), 'logged')


def _is_metric(other: Other) -> bool:
  """Returns whether what is monitored is a name that other metrics would give."""
  try:
    registry.get_metric(
      other.monitor.removeprefix(other.ours.prefix).removeprefix(REAL)
    )
  except UserError:
    return False
  return other.monitor.startswith(other.ours.prefix)


def _is_better_lower(other: Other) -> bool:
  """Returns whether what is monitored is better the lower, as far as is known."""
  name = other.monitor.removeprefix(other.ours.prefix).removeprefix(REAL)
  try:
    return name == LOSS or not registry.get_metric(name).higher_is_better
  except UserError:
    return False


def _is_near(other: Other) -> bool:
  """Returns whether what is monitored has our prefix, or lacks only that."""
  prefix = other.ours.prefix
  return other.monitor.startswith(prefix) or prefix + other.monitor in other.ours.logged
