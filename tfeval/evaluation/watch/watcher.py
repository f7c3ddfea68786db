"""Evaluates the checkpoints of a training as they appear: what `tfeval watch` does."""

import contextlib
import dataclasses
import logging
import os
import pathlib
import time
from collections.abc import Iterator, Sequence
from typing import Any

from tfeval.evaluation import loop, resolve, runtime
from tfeval.evaluation.config import EvaluationConfig, find_cluster, identity
from tfeval.evaluation.job import Job
from tfeval.evaluation.plans import ModelRequest, directory_name
from tfeval.evaluation.tracking import config_values, event_files, tracked
from tfeval.evaluation.tracking.trackers import Target
from tfeval.evaluation.watch.checkpoint_model import WatchedModel
from tfeval.evaluation.watch.watch_log import Watched
from tfeval.models.keras import checkpoints
from tfeval.models.keras.checkpoints import Checkpoint
from tfeval.runs.run import Run
from tfeval.utils import errors, locks, paths
from tfeval.utils.errors import BeingWritten, DataError, Lasting, UserError
from tfeval.utils.progress import Progress

_LOG = logging.getLogger('tfeval')
# How often a checkpoint that does not change is tried: it may come over a slow network.
TRIES = 3


@dataclasses.dataclass(frozen=True)
class Schedule:
  """When to look, and when to stop.

  Attributes:
    newest_first: of several that wait, whether the newest is evaluated first.
    poll_seconds: between two looks at a folder without anything new.
    timeout: seconds without a new checkpoint after which to stop, None for never.
    final_step: to stop once a checkpoint of it or a later step is there and none
      waits, None for never.
  """

  newest_first: bool = False
  poll_seconds: float = 10
  timeout: float | None = None
  final_step: int | None = None


class Watcher:
  """Evaluates each checkpoint in a folder once.

  Attributes:
    failed: what is wrong with those that were given up, by their names.
    came: whether there was any checkpoint, now or before a restart.
  """

  def __init__(
    self,
    folder: str | os.PathLike[str],
    request: ModelRequest | None,
    config: EvaluationConfig,
    log_dir: str | None,
    progress: Progress,
    checkpoint_object: str | None = None,
    log_to: Sequence[Target] = (),
  ):
    """Opens the dataset and builds the model.

    Args:
      folder: of checkpoints; it may be made later.
      request: the model that they are of; None if each is one itself, `.keras`.
      config: how; run directories and `watched.json` are made in its `output_dir`.
      log_dir: scalars are written here, None for `tensorboard` in `output_dir`.
      progress: is told how far an evaluation is.
      checkpoint_object: what the model is called in a `tf.train.Checkpoint`, None to
        look, see `checkpoint_objects`.
      log_to: where values by step and the files of runs are logged too.

    Raises:
      UserError: something that the user can fix; another watcher has `output_dir`.
    """
    if paths.is_url(folder):
      raise UserError(f'{folder} is a URL, which cannot be watched: mount it')
    hosts = find_cluster(config)
    if hosts.count > 1:
      raise UserError(
        f'tfeval watch runs on one host, {hosts.count} are told of: give '
        f'`strategy=default` or mirrored{hosts.told}'
      )
    self.failed: dict[str, str] = {}
    self.came = False
    self._folder = pathlib.Path(folder).expanduser().absolute()
    self._request, self._config = request, config
    (self._runtime,) = runtime.open_runtimes([config], hosts, progress)
    self._called = checkpoint_object
    self._model = WatchedModel(request, config, self._runtime, checkpoint_object)
    output_dir = paths.path(config.store.output_dir)
    self._tries: dict[Checkpoint, int] = {}
    self._faults: dict[Checkpoint, str] = {}
    self._runtime.log_devices(config)
    with contextlib.ExitStack() as stack:
      stack.enter_context(locks.locked(output_dir))
      self._watched = Watched(output_dir, self._identity())
      self._writer = event_files.ScalarWriter(
        str(output_dir / 'tensorboard') if log_dir is None else log_dir
      )
      stack.callback(self._writer.close)
      self._series = tracked.Series(log_to, self._folder.name)
      stack.callback(self._series.close)
      self._open = stack.pop_all()

  def _identity(self) -> dict[str, Any]:
    return {
      'folder': str(self._folder),
      'model': None if self._request is None else self._request.spec.text,
      **self._model.digests(),
      **({} if self._called is None else {'checkpoint_object': self._called}),
      'dataset': self._runtime.dataset.identity(),
      **identity(self._config),
    }

  def watch(self, schedule: Schedule) -> Iterator[dict[str, Any]]:
    """Yields an entry of `watched.json` for each checkpoint that was evaluated.

    Raises:
      UserError: the dataset is at fault, or `watched.json` cannot be written. What is
        wrong with a checkpoint, or with its run, is logged and stops nothing.
      Interrupted: Ctrl-C or SIGTERM; what was evaluated is kept.
    """
    seen: set[Checkpoint] = set()
    news = time.monotonic()
    while True:
      found = checkpoints.find_checkpoints(self._folder)
      waiting = [one for one in found if not self._is_done(one)]
      if set(found) - seen:
        self.came = True
        seen.update(found)
        news = time.monotonic()
      fresh = [one for one in waiting if one not in self._tries]
      if fresh:
        entry = self._try(fresh[-1 if schedule.newest_first else 0])
        news = time.monotonic()
        if entry is not None:
          yield entry
        continue
      if not waiting and _is_final(found, schedule.final_step):
        return
      if schedule.timeout is not None and time.monotonic() - news >= schedule.timeout:
        self.failed |= {one.name: self._faults[one] for one in waiting}
        return
      time.sleep(schedule.poll_seconds)
      for checkpoint in waiting:
        entry = self._try(checkpoint)
        if entry is not None:
          yield entry

  def close(self) -> None:
    self._open.close()

  def _is_done(self, checkpoint: Checkpoint) -> bool:
    entry = self._watched.entry(checkpoint)
    return (
      self._tries.get(checkpoint, 0) >= TRIES
      or entry is not None
      and entry['metrics'] is not None
    )

  def _try(self, checkpoint: Checkpoint) -> dict[str, Any] | None:
    """Evaluates a checkpoint, or says why not."""
    try:
      run, entry = self._evaluate(checkpoint)
    except DataError:
      raise
    except (UserError, OSError) as error:
      lasts = isinstance(error, Lasting)
      self._log_failure(checkpoint, errors.one_line(error), lasts)
      return None
    self.failed.pop(checkpoint.name, None)
    return self._record(run, entry)

  def _log_failure(self, checkpoint: Checkpoint, why: str, lasts: bool) -> None:
    """Says what becomes of a checkpoint that could not be read."""
    current = checkpoints.now(checkpoint)
    self._faults[checkpoint] = why
    self._tries[checkpoint] = tries = self._tries.get(checkpoint, 0) + 1
    if current is None:
      self._tries[checkpoint] = TRIES
      what = 'was deleted before it was evaluated: left out'
    elif current != checkpoint:
      self._tries[checkpoint] = TRIES  # What it is now is another one.
      what = 'was written over while it was read: trying again'
    elif lasts:
      self._tries[checkpoint] = TRIES
      self.failed[checkpoint.name] = why
      what = f'is left out: {why}'
    elif tries < TRIES:
      what = f'cannot be evaluated, trying again: {why}'
    else:
      self.failed[checkpoint.name] = why
      what = f'is left out after {TRIES} tries: {why}'
    if current != checkpoint or lasts or tries in (1, TRIES):
      _LOG.warning('%s %s', checkpoint.name, what)

  def _evaluate(self, checkpoint: Checkpoint) -> tuple[Run, dict[str, Any]]:
    request, model, forward = self._model.with_values_of(checkpoint)
    entry = self._watched.begin(checkpoint, directory_name(request, self._config))
    request = dataclasses.replace(request, directory=entry['run'])
    protocol = resolve.resolve_protocol(request, self._config, model)
    try:
      job = Job(request, model, protocol, self._config, self._runtime, forward)
      return loop.run_one(job), entry
    except (BeingWritten, DataError):
      raise
    except UserError as error:
      if isinstance(error.__cause__, OSError):  # Such as of a full disk.
        raise
      raise Lasting(str(error)) from error  # Of a model that was read whole.

  def _record(self, run: Run, entry: dict[str, Any]) -> dict[str, Any]:
    entry['metrics'], entry['counts'] = {}, {}
    for metric in run.metrics:
      if run.classes.is_partner(metric.rule):
        continue
      # As EvaluateCallback names them.
      name = ('val_real_' if metric.labels == 'real' else 'val_') + metric.key
      entry['metrics'][name] = metric.value
      entry['counts'][name] = [metric.correct, metric.count]
    self._writer.write(
      {name: value for name, value in entry['metrics'].items() if value is not None},
      entry['step'],
    )
    self._watched.write()  # Before it the complete run is taken as it is.
    values = config_values.with_counts(entry['metrics'], entry['counts'])
    self._series.log(values, entry['step'], run)
    self._series.store(run, entry['run'])
    return entry


def _is_final(found: list[Checkpoint], final_step: int | None) -> bool:
  return final_step is not None and any(
    one.step is not None and one.step >= final_step for one in found
  )
