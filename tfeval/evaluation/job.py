"""One model's evaluation, from the loaded model to the complete run."""

import contextlib
import dataclasses
import datetime
import sys
import time
from typing import Any

import numpy as np

from tfeval.datasets import base
from tfeval.engine import forward as predict
from tfeval.engine import pipeline
from tfeval.engine.batches import Batch
from tfeval.evaluation import config, recorder, resolve
from tfeval.evaluation import manifest as experiment
from tfeval.evaluation.config import Request, Settings
from tfeval.evaluation.hosts import agreement, shares
from tfeval.evaluation.preflight import preflight
from tfeval.evaluation.runtime import Place
from tfeval.models import model as model_lib
from tfeval.models import published
from tfeval.runs import predictions
from tfeval.runs import run as run_lib
from tfeval.runs.result_file import PREDICTIONS
from tfeval.utils import errors, files, paths, progress
from tfeval.utils.errors import DataError, UserError


class Job:
  """One model's evaluation: `start`, then `predict` and record, then `finish`.

  Of several hosts each stores its share, and host 0 makes one run of them in `join`.

  Attributes:
    request: the model.
    directory: of the run.
    protocol: makes pixels.
    manifest: what is run.
    recorder: takes predictions, once started; None where there is nothing to do.
    models: how many have taken the same batches.
  """

  def __init__(
    self,
    request: Request,
    settings: Settings,
    place: Place,
    model: model_lib.Model,
    forward: predict.Forward | None = None,
  ):
    """Plans the evaluation of a model that was loaded under the place's strategy.

    Args:
      request, settings, place: what is evaluated, how and where.
      model: the model.
      forward: its forward pass, where there is one from before.

    Raises:
      UserError: the model cannot be evaluated as the settings say.
    """
    self.request, self._settings, self._place = request, settings, place
    self._model, self._forward = model, forward
    self.protocol = resolve.protocol_for(request, settings, model)
    self.batch_size = predict.global_batch_size(settings.batch_size, place.strategy)
    tested = place.self_test(self.protocol, self.batch_size)
    self.manifest = experiment.manifest(
      model,
      place.dataset,
      self.protocol,
      settings,
      place.strategy,
      self.batch_size,
      place.hosts.count,
      tested,
    )
    self.directory = paths.path(settings.output_dir) / request.directory
    self.recorder: recorder.Recorder | None = None
    self.models = 1
    self._findings: list[str] = []
    self._locks = contextlib.ExitStack()
    if place.hosts.count > 1 and not experiment.can_be_told_again(self.manifest):
      raise UserError(
        f'{model.name} is no Keras model and has no weights file: '
        'several hosts could not tell that theirs is the same'
      )

  @property
  def _skip_errors(self) -> bool:
    return self._settings.on_error == config.SKIP

  def complete_run(self) -> run_lib.Run | None:
    """Returns the run if it is there already."""
    return experiment.complete_run(
      self.directory, self.manifest, self._settings.overwrite
    )

  def start(self, sample: preflight.Sample | None) -> run_lib.Run | None:
    """Looks at the model's answers to a few images and opens the store.

    Args:
      sample: the images; None not to look.

    Returns:
      The run, if another process has completed it in the meantime.

    Raises:
      UserError: a fault of the model, or of the directory.
    """
    place = self._place
    if place.hosts.count > 1:
      self._hold_agreement()
    if sample is not None:
      self._findings = preflight.preflight(
        self._model, sample, self._settings.preflight, place.progress, self.batch_size
      )
    self._started = time.monotonic()
    if self._forward is None:
      self._forward = predict.Forward(
        self._model,
        place.strategy,
        self.batch_size,
        self._settings.jit,
        place.canvas is not None,
      )
    share = self.directory / place.hosts.directory()
    self._locks.enter_context(
      files.locked(share if place.hosts.index else self.directory)
    )
    complete = self.complete_run()
    if complete:
      return complete
    if place.hosts.count > 1:
      self._start_share(share)
      return None
    if not self._settings.overwrite:
      shares.hold_no_shares(self.directory)
    shares.clear(self.directory)
    self._open(self.directory, self.manifest, self._settings.overwrite)
    return None

  @property
  def _shard(self) -> range:
    return self._place.hosts.shard(self._place.dataset.expected_count, self.batch_size)

  def _hold_agreement(self) -> None:
    """Holds that this host runs what the others do."""
    hosts = self._place.hosts
    agreement.hold_agreement(
      self.directory,
      agreement.describe_host(self.manifest, hosts),
      hosts,
      experiment.difference,
    )

  def _open(
    self, directory: paths.Path, manifest: dict[str, Any], overwrite: bool
  ) -> None:
    store = directory / PREDICTIONS
    keep = recorder.kept_parts(store, manifest, self._shard, overwrite)
    recorder.check_images(self._place.dataset, store, keep)
    self._write_manifest(directory, manifest, bool(keep))
    self.recorder = recorder.Recorder(store, keep, manifest, self._shard)

  def _write_manifest(
    self, directory: paths.Path, manifest: dict[str, Any], keep: bool
  ) -> None:
    settings = dataclasses.replace(self._settings, strategy=self._place.local)
    experiment.start(directory, manifest, config.flagfile(self.request, settings), keep)

  def _start_share(self, share: paths.Path) -> None:
    """Opens the store of this host among several, unless its share is done."""
    hosts = self._place.hosts
    manifest = agreement.describe_host(self.manifest, hosts)
    done = experiment.is_done(share, manifest) and shares.is_whole(
      share, self._shard, not self._skip_errors
    )
    if not hosts.index:
      self._write_manifest(self.directory, self.manifest, keep=False)
    if not done:
      self._open(share, manifest, overwrite=False)

  def predict(self, batch: Batch) -> np.ndarray:
    """Returns float32 [n, 1000], what the model says of a batch.

    Raises:
      UserError: the model is at fault.
    """
    return predict.checked_scores(self._forward, batch)

  def keep(self) -> str:
    """Writes what the recorder has taken, if that can be; says what is kept."""
    with contextlib.suppress(UserError):
      self.recorder.flush()
    if not experiment.can_be_told_again(self.manifest):
      return f'{self.request.spec.text} starts again, having no weights file'
    return (
      f'{self.recorder.stored} of {len(self._shard)} images are kept in '
      f'{self.directory}'
    )

  def finish(self) -> run_lib.Run | None:
    """Completes what this host has to store once every batch was taken.

    Returns:
      The run; None of several hosts.
    """
    if self.recorder:
      self.recorder.flush()
    if self._place.hosts.count == 1:
      seconds = time.monotonic() - self._started
      return self._complete(
        self.recorder.positions,
        seconds,
        (len(self.recorder.positions) - self.recorder.kept) / seconds,
      )
    self._finish_share()
    return None

  def _finish_share(self) -> None:
    hosts = self._place.hosts
    share = self.directory / hosts.directory()
    if self.recorder:
      shares.finish_share(
        share,
        self._shard,
        len(self.recorder.positions) - self.recorder.kept,
        time.monotonic() - self._started,
      )
    if hosts.index and self._place.progress is not progress.hidden:
      print(
        f'tfeval: the {len(self._shard)} images of host {hosts.index} are done in '
        f'{share}: host 0 joins them',
        file=sys.stderr,
      )
      if not (self.directory / hosts.directory(0)).is_dir():
        print(
          f'tfeval: warning: nothing of host 0 is in {self.directory} yet: it has '
          'to share this `output_dir`',
          file=sys.stderr,
        )

  def join(self) -> run_lib.Run:
    """Waits for all hosts and makes one run of their shares."""
    place, directory = self._place, self.directory
    hosts, images = place.hosts, place.dataset.expected_count
    others = images - len(hosts.shard(images, self.batch_size))
    try:
      with place.progress(f'{self.request.spec.text}: other hosts', others) as advance:
        agreement.wait(
          directory,
          agreement.describe_host(self.manifest, hosts),
          hosts,
          self._settings.host_timeout,
          experiment.difference,
          advance,
        )
    except KeyboardInterrupt as error:
      raise errors.Interrupted(
        f'all is kept in {directory}: the same command waits for the other hosts again'
      ) from error
    with files.locked(directory):
      complete = self.complete_run()
      if complete:
        return complete
      self._hold_agreement()
      positions = shares.join(directory, self.manifest, hosts, images)
      recorder.check_images(
        place.dataset,
        directory / PREDICTIONS,
        predictions.listed_parts(directory / PREDICTIONS),
      )
      run = self._complete(positions, *shares.timing(directory, hosts))
      shares.clear(directory)
    return run

  def joined_run(self) -> run_lib.Run:
    """Waits until host 0 has joined the shares; for the other hosts.

    Raises:
      UserError: it does not in time, or what is there is another run.
    """
    agreement.wait_for_run(
      self.directory, self._place.hosts, self._settings.host_timeout
    )
    run = run_lib.load_run(self.directory)
    other = experiment.difference(run.result, self.manifest)
    if other:
      key, theirs, ours = other
      raise UserError(
        f'{self.directory} was joined of another experiment: {key} is '
        f'{theirs!r} there and {ours!r} here: choose another '
        '`output_dir`'
      )
    return run

  def _complete(
    self, positions: list[int], seconds: float, images_per_second: float
  ) -> run_lib.Run:
    """Makes the run complete.

    Args:
      positions: of the stored rows, which are all.
      seconds: how long it took.
      images_per_second: that were evaluated in these.
    """
    dataset = self._place.dataset
    failed = (
      pipeline.failures(dataset, self.protocol, set(positions))
      if self._skip_errors
      else {}
    )
    summary = run_lib.summarize(
      run_lib.Run(self.directory, {}).parts(run_lib.SUMMARY_COLUMNS)
    )
    base.check_coverage(dataset, summary.ids, list(failed))
    if not summary.ids:
      name, why = next(iter(failed.items()))
      raise DataError(
        f'none of the {len(failed)} images can be evaluated; the first, {name}: {why}'
      )
    timing = {
      'finished': datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds'),
      'seconds': seconds,
    }
    if self.models == 1:
      # Else it would be the speed of all of them.
      timing['images_per_second'] = images_per_second
    return run_lib.finish(
      self.directory,
      self._counted(),
      summary,
      failed,
      timing,
      published.compare(
        self.request.spec,
        self.request.weights,
        self.protocol,
        summary.ids,
        summary.metrics(),
      ),
      self._findings,
    )

  def _counted(self) -> dict[str, Any]:
    """Returns the manifest with what was counted while images were resized."""
    if self._place.canvas is None:
      return self.manifest
    parts = predictions.listed_parts(self.directory / PREDICTIONS)
    count = sum(len(part.get('resized_on_host', ())) for part in parts)
    if count:
      print(
        f'tfeval: {count} images did not fit the canvas of {self._place.canvas} '
        'pixels: the host resized them',
        file=sys.stderr,
      )
    return {
      **self.manifest,
      'dataset': {**self.manifest['dataset'], 'resized_on_host': count},
    }

  def close(self) -> None:
    """Keeps what was taken, whatever happened; lets go of directory and model."""
    if self.recorder:
      self.keep()
    self._locks.close()
    self._model = self._forward = None
