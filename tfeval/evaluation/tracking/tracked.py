"""Logging to trackers, whatever becomes of them: an evaluation never ends by it."""

import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tfeval.evaluation.tracking import artifacts, config_values
from tfeval.evaluation.tracking.own_thread import Late, OwnThread
from tfeval.evaluation.tracking.trackers import Target, Tracker, without_password
from tfeval.runs.run import Failure, Run
from tfeval.utils import errors

_LOG = logging.getLogger('tfeval')
# Seconds after which a call is given up: one for values, one for files.
SECONDS, SECONDS_FOR_FILES = 60.0, 600.0
# Of a series, after so many failures in a row a tracker is left alone.
_TRIES = 3
_LONGEST, _SHORT = 200, 80


def log_runs(targets: Sequence[Target], runs: Sequence[Run | Failure]) -> None:
  """Logs complete runs, each as one of each tracker, its metrics at step 0.

  What cannot be logged is told in a line for each tracker, and is nothing else.
  """
  complete = [run for run in runs if isinstance(run, Run)]
  for target in targets:
    for at, run in enumerate(complete):
      one = _Guarded(target, run.path.name)
      one.log(config_values.values_of(run), 0, _config(run, False))
      one.store(run, '')
      one.end(True)
      if one.fault is not None:
        left = complete[at + 1 :]
        names = errors.listed([x.path.name for x in left])
        more = f', nor {len(left)} more runs ({names})' if left else ''
        one.tell(f'{one.lost} of {run.path.name}{more}')
        break
      _LOG.info('%s is logged to %s', run.path.name, target.shown)


class Series:
  """Evaluations of one training, logged by their steps as they come."""

  def __init__(self, targets: Sequence[Target], name: str):
    """Nothing is begun before there are values.

    Args:
      targets: where to log.
      name: of the run that each tracker has of it.
    """
    self._trackers = [_Guarded(target, name) for target in targets]

  def log(self, values: Mapping[str, float], step: int, run: Run) -> None:
    """Logs finite values of a step; those that could not be logged before, too."""
    if not self._trackers:
      return
    config = _config(run, True)
    for one in self._trackers:
      if not one.is_left:
        one.log(values, step, config)
        one.tell_once(f'step {step}')

  def store(self, run: Run, folder: str = '') -> None:
    """Stores the files of a run."""
    for one in self._trackers:
      if not one.is_left and one.has_begun:
        one.store(run, folder)
        one.tell_once(folder or run.path.name)

  def close(self, succeeded: bool = True) -> None:
    """Ends what was begun."""
    for one in self._trackers:
      one.end(succeeded)
      if not one.is_left:
        one.tell_once('its end')
    self._trackers = []


def _config(run: Run, in_training: bool) -> dict[str, Any]:
  return config_values.config_of(run.result, in_training)


class _Guarded:
  """A run of a tracker whose failures are kept, not raised.

  Attributes:
    fault: what went wrong last; None: nothing.
    lost: what could not be done then, in words.
    is_left: whether the tracker is left alone.
    has_begun: whether the tracker has the run.
  """

  def __init__(self, target: Target, name: str):
    self._target, self._name = target, name
    self._tracker: Tracker | None = None
    self._thread: OwnThread | None = None
    self._waiting: list[tuple[dict[str, float], int]] = []
    self._failures = 0
    self.fault: str | None = None
    self.lost = ''
    self.is_left = self.has_begun = False

  def log(
    self, values: Mapping[str, float], step: int, config: Mapping[str, Any]
  ) -> None:
    self._waiting.append((dict(values), step))
    if not self.has_begun:
      self._do('the metrics', lambda tracker: tracker.begin(self._name, config))
      self.has_begun = self.fault is None
    while self._waiting and self.fault is None and self.has_begun:
      logged, at = self._waiting[0]
      self._do('the metrics', lambda tracker, v=logged, s=at: tracker.log(v, s))
      if self.fault is None:
        del self._waiting[0]

  def store(self, run: Run, folder: str) -> None:
    """Stores the files of a run, if nothing went wrong before."""
    if self.fault is not None:
      return
    with contextlib.ExitStack() as stack:
      try:
        found = stack.enter_context(artifacts.of_run(run))
      except Exception as error:  # Whatever a report or a disk is short of.
        self._failed('the files', error)
        return
      self._do(
        'the files', lambda tracker: tracker.store(found, folder), SECONDS_FOR_FILES
      )

  def end(self, succeeded: bool) -> None:
    before = self.fault, self.lost
    if self.has_begun and not self.is_left:
      self.fault = None
      ok = succeeded and before[0] is None
      self._do('the end', lambda tracker: tracker.end(ok))
      if before[0] is not None:
        self.fault, self.lost = before
    self.has_begun = False
    if self._thread is not None:
      self._thread.leave()

  def _do(
    self, what: str, function: Callable[[Tracker], Any], seconds: float | None = None
  ) -> None:
    seconds = SECONDS if seconds is None else seconds
    if self._thread is None:
      self._thread = OwnThread('tfeval-tracker')
    try:
      self._thread.call(lambda: function(self._opened()), seconds)
    except Exception as error:  # Of a library: anything.
      self._failed(what, error)
      # The thread is still in it.
      self.is_left = self.is_left or isinstance(error, Late)
    else:
      self._failures, self.fault = 0, None

  def _opened(self) -> Tracker:
    if self._tracker is None:
      self._tracker = self._target.open()
    return self._tracker

  def _failed(self, what: str, error: Exception) -> None:
    self.fault, self.lost = _reason(error), what
    self._failures += 1

  def tell_once(self, of: str) -> None:
    """Tells what went wrong, if something did; the next call is another try."""
    if self.fault is None:
      return
    self.is_left = self.is_left or self._failures >= _TRIES
    self.tell(f'{self.lost} of {of}' + ', nor anything behind it' * self.is_left)
    self.fault = None

  def tell(self, what: str) -> None:
    """Tells what is not logged, and why."""
    _LOG.warning('%s: not logged: %s: %s', self._target.shown, what, self.fault)


def _reason(error: BaseException) -> str:
  """Returns why something failed: what the system said, if it is behind it."""
  behind: BaseException | None = error
  for _ in range(20):
    if isinstance(behind, OSError):
      # Of `requests` all are such, with long texts around what the system said.
      said = behind.strerror or str(behind)
      if 0 < len(said) <= _SHORT:
        return f'{type(error).__name__}: {without_password(said)}'
    behind = behind and (behind.__cause__ or behind.__context__)
  text = without_password(errors.one_line(error))
  text = text if len(text) <= _LONGEST else f'{text[:_LONGEST]}...'
  return text or type(error).__name__
