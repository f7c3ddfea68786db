"""One model's evaluation on one host, from the loaded model to the complete run."""

import contextlib
import dataclasses
import time
from collections.abc import Hashable

import pyarrow as pa

from tfeval.datasets import variants
from tfeval.datasets.options import SKIP
from tfeval.engine import batch_size, forward, hardware, output_checks
from tfeval.engine.batches import Batch
from tfeval.engine.options import AUTO, DEVICE
from tfeval.evaluation import (
  asked_metrics,
  competition,
  completing,
  manifest,
  recorder,
  resolve,
)
from tfeval.evaluation.config import ERROR, GIVEN, WARN, EvaluationConfig
from tfeval.evaluation.hosts import shares
from tfeval.evaluation.plans import ModelRequest, flagfile
from tfeval.evaluation.preflight import preflight
from tfeval.evaluation.runtime import Runtime
from tfeval.evaluation.stopwatch import Stopwatch
from tfeval.models import fitting
from tfeval.models.model import Model
from tfeval.preprocess.protocol import ENCODED, Protocol
from tfeval.runs import predictions, run, run_directory
from tfeval.runs.result_file import PREDICTIONS, Manifest
from tfeval.utils import locks, paths
from tfeval.utils.errors import UserError


def _preflight_mode(mode: str, dataset: str) -> str:
  """Returns what is done with findings of the preflight.

  Images of a test set of corruptions or conflicts look otherwise on purpose, and what
  hits more of them proves nothing: there they are told, and nothing is refused.
  """
  variant = variants.of_dataset(dataset)
  shifted = variant is not None and variant.kind == variants.ROBUST
  return WARN if mode == ERROR and shifted else mode


class Job:
  """One model's evaluation.

  `start`; for each batch `place`, `submit`, `answers`, `rows`; `finalize` and `result`.

  Attributes:
    request: the model.
    protocol: makes pixels.
    config: how it is evaluated.
    runtime: where.
    batch_size: images in a step over all replicas of this host.
    shard: positions of the images that this host evaluates.
    directory: of the run.
    classes: of the dataset, and those that the model says.
    manifest: what is run.
    run: the complete run, once there is one.
    recorder: stores predictions, once started; None where there is nothing to do.
    training: whether the model is being trained, see `checks.check_model`.
    sharing: how many models have taken the same batches.
    watch: where the time of these went, once there are any.
  """

  def __init__(
    self,
    request: ModelRequest,
    model: Model,
    protocol: Protocol,
    config: EvaluationConfig,
    runtime: Runtime,
    step: forward.ForwardPass | None = None,
    steps: dict[Hashable, forward.ForwardPass] | None = None,
  ):
    """Plans the evaluation of a model.

    Args:
      request: which it is.
      model: loaded under the runtime's strategy.
      protocol: at the size of the model's input.
      config, runtime: how it is evaluated and where.
      step: its forward pass, where there is one from before.
      steps: those of other jobs of the model, by what they hang on; this one's comes
        in as well.

    Raises:
      UserError: the model cannot be evaluated as the config says.
    """
    self.request, self.protocol = request, protocol
    self.config, self.runtime = config, runtime
    dataset, strategy = runtime.dataset, runtime.strategy
    resolve.check_encoded(model, dataset, runtime.cache is not None)
    given = model if step is None else step.model
    model = fitting.fit(given, dataset.label_space, dataset.own_classes)
    self._model, self._step = model, step
    self._steps = {} if steps is None else steps
    self._tap = step.tap if step else resolve.resolve_features(config, model)
    self._hardware = hardware.of(model.backend)
    self.classes = competition.classes_of(model, dataset)
    self._metrics = asked_metrics.names(config)
    asked_metrics.check_rules(self._metrics, self.classes, model.name)
    self.directory = paths.path(config.store.output_dir) / request.directory
    self.batch_size = self._batch_size()
    self.shard = runtime.hosts.shard(dataset.num_examples, self.batch_size)
    self.manifest = manifest.build_manifest(
      model,
      self.classes,
      dataset,
      protocol,
      config,
      strategy,
      self.batch_size,
      runtime.hosts.count,
      runtime.test_resizing(protocol, self.batch_size),
      self._tap.dimension if self._tap else 0,
    )
    self.run: run.Run | None = None
    self.recorder: recorder.Recorder | None = None
    self.sharing, self.training = 1, False
    self.watch: Stopwatch | None = None
    self._findings: list[str] = []
    self._locks, self._is_locked = contextlib.ExitStack(), False

  def _batch_size(self) -> int:
    """Returns the batch size: of the step there is, of the run there is, or anew."""
    if self._step is not None:
      return self._step.batch_size
    config = self.config
    if config.devices.batch_size == AUTO and not config.store.overwrite:
      found = manifest.stored_batch_size(self.directory)
      if found is not None:
        return found
    return batch_size.of_host(
      config.devices, self._model, self.protocol, self.runtime.strategy
    )

  @property
  def step(self) -> forward.ForwardPass:
    """The forward pass, once started."""
    return self._step

  @property
  def skip_errors(self) -> bool:
    """Whether images that cannot be decoded are skipped."""
    return self.config.dataset.on_error == SKIP

  def find_run(self) -> run.Run | None:
    """Returns the run if it is complete already.

    Raises:
      UserError: the directory holds something else, or what it holds is damaged.
    """
    self.run = manifest.complete_run(
      self.directory, self.manifest, self.config.store.overwrite
    )
    dataset = self.runtime.dataset
    if self.run is not None and dataset.looks is not None:
      # Nothing but their content tells such data from others.
      store = self.directory / PREDICTIONS
      recorder.check_same_images(dataset, store, predictions.listed_parts(store))
    if self.run is not None and not self.runtime.hosts.index:
      self.run = asked_metrics.added(self.run, self._metrics, self._is_locked)
    return self.run

  def start(self, sample: preflight.Sample | None) -> None:
    """Looks at the model's outputs for a few images and opens the store.

    Nothing is opened if another process has completed the run in the meantime.

    Args:
      sample: the images; None not to look.

    Raises:
      UserError: a fault of the model, or of the directory.
    """
    runtime = self.runtime
    if sample is not None:
      self._findings = preflight.preflight(
        self._model,
        sample,
        _preflight_mode(self.config.preflight, runtime.dataset.name),
        runtime.progress,
        self.batch_size,
        self.protocol.library not in (GIVEN, ENCODED),
        self.training,
      )
    self._started = time.monotonic()
    key = self._step_key()
    self._step = self._step or self._steps.get(key)
    if self._step is None:
      self._step = self._steps[key] = forward.ForwardPass(
        self._model,
        runtime.strategy,
        self.batch_size,
        self.config.devices.jit,
        runtime.canvas is not None,
        self.classes.competition if self.config.devices.rank_on == DEVICE else None,
        tap=self._tap,
        tta=self.protocol.tta,
      )
    self._locks.enter_context(locks.locked(self._written_directory))
    self._is_locked = True
    if self.find_run() is None:
      self._open_store()

  def _step_key(self) -> Hashable:
    """Returns what the step hangs on, beside the model that was loaded.

    Jobs on several datasets have one step, traced and compiled once, where all of it is
    the same.
    """
    model, devices = self._model, self.config.devices
    order = None if model.as_returned is None else model.as_returned.classes.tobytes()
    return (
      self.protocol.tta,
      self.batch_size,
      devices.jit,
      self.runtime.canvas,
      self.config.store.features,
      # How its outputs were fitted to the classes of the dataset.
      model.label_space.digest,
      order,
      self.classes.rules if devices.rank_on == DEVICE else None,
    )

  @property
  def _written_directory(self) -> paths.Path:
    """The directory that this process alone writes."""
    return self.directory

  def _open_store(self) -> None:
    if not self.config.store.overwrite:
      shares.check_no_shares(self.directory)
    run_directory.remove_shares(self.directory)
    self._open_recorder(self.directory, self.manifest)

  def _open_recorder(self, directory: paths.Path, described: Manifest) -> None:
    """Resumes what a directory holds of a manifest, or begins it."""
    store = directory / PREDICTIONS
    parts = recorder.resumable_parts(
      store, described, self.shard, self.config.store.overwrite
    )
    recorder.check_same_images(self.runtime.dataset, store, parts)
    self._begin_run(directory, described, resumed=bool(parts))
    self.recorder = recorder.Recorder(store, parts, described, self.shard)

  def _begin_run(
    self, directory: paths.Path, described: Manifest, resumed: bool
  ) -> None:
    config = self.config.replace(strategy=self.runtime.strategy_name)
    flags = flagfile(self.request, config)
    run_directory.begin_run(directory, described, flags, resumed)

  def place(self, batch: Batch) -> Batch:
    """Returns a batch with its pixels where the model computes with them."""
    return dataclasses.replace(batch, pixels=self._step.place(batch))

  def submit(self, batch: Batch) -> forward.InFlight:
    """Starts the forward pass of a batch that `place` returned.

    Raises:
      UserError: the model is at fault.
    """
    return self._step.submit(batch.pixels)

  def answers(self, started: forward.InFlight) -> forward.Answers:
    """Waits until the model has answered what `submit` started.

    Raises:
      UserError: the model is at fault.
    """
    return self._step.result(started)

  def rows(self, batch: Batch, answers: forward.Answers) -> pa.RecordBatch:
    """Returns what is stored of a batch, of which the pixels are not looked at.

    Raises:
      UserError: the answers cannot be right; names the example.
    """
    of_batch = batch.ids, batch.image_sha256, batch.labels, batch.real_labels
    values, model = answers.values, self._step.model
    features = values.get('features')
    if features is not None:
      output_checks.check_features(features, batch.ids, model.name)
    if 'scores' in values:
      scores, store = values['scores'], self.manifest.store.logits
      output_checks.check_scores(scores, batch.ids, model)
      return predictions.make_rows(
        *of_batch, scores, model.output, store, self.classes.competition, features
      )
    output_checks.check_range(
      *(values[name] for name in ('finite', 'lowest', 'highest', 'total')),
      batch.ids,
      model,
    )
    rules = self.classes.competition.rules
    ranked = {
      rule: competition.ranks(values, rule, self.classes, batch.labels, model.output)
      for rule in rules
    }
    return predictions.make_ranked_rows(*of_batch, ranked, None, features)

  @property
  def goes_on(self) -> bool:
    """Whether a later command goes on from what is stored."""
    return manifest.why_begins_again(self.manifest) is None

  def flush(self) -> str:
    """Writes what the recorder was given, if that can be; says what is kept."""
    with contextlib.suppress(UserError):
      self.recorder.flush()
    why = manifest.why_begins_again(self.manifest)
    if why is not None:
      return f'{self.request.label} starts again: {why}'
    return (
      f'{self.recorder.stored} of {len(self.shard)} images are kept in {self.directory}'
    )

  def finalize(self) -> None:
    """Completes what this host stores, once every batch was predicted.

    Raises:
      UserError: it cannot be written, or not every image was evaluated.
    """
    self.recorder.flush()
    seconds = self._elapsed()
    self.run = self._complete(
      self.recorder.positions, seconds, self.recorder.added / seconds
    )

  def _elapsed(self) -> float:
    """Returns the seconds since it was started."""
    return time.monotonic() - self._started

  def result(self) -> run.Run:
    """Returns the complete run."""
    return self.run

  def _complete(
    self, positions: list[int], seconds: float, images_per_second: float
  ) -> run.Run:
    """Makes the run complete.

    Args:
      positions: of the stored rows, which are all.
      seconds: how long it took.
      images_per_second: that were evaluated in these.
    """
    timing = {'seconds': seconds}
    if self.sharing == 1:
      # Else it would be the speed of all of them.
      timing['images_per_second'] = images_per_second
      if self.watch is not None:
        timing |= self.watch.timing()
    stored = completing.Stored(
      self.directory,
      self.manifest,
      self.classes,
      self.runtime.dataset,
      self.protocol,
      self.request,
      self.config.model.feed,
      self._metrics,
      self._findings,
      self._hardware,
    )
    return completing.complete(stored, positions, timing)

  def close(self) -> None:
    """Keeps what was predicted, whatever happened; lets go of directory and model."""
    if self.recorder:
      self.flush()
      self.recorder.close()
    self._unlock()
    self._model = self._step = self._tap = None
    self._steps = {}

  def _unlock(self) -> None:
    self._locks.close()
