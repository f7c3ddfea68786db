"""Joins dataset, engine, predictions and metrics: what `tfeval evaluate` calls."""

import dataclasses
import datetime
import functools
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfeval import (
    datasets,
    errors,
    expectation,
    experiment,
    files,
    joining,
    paths,
    published,
    recording,
)
from tfeval import hosts as hosts_lib
from tfeval import run as run_lib
from tfeval import settings as settings_lib
from tfeval.datasets import base
from tfeval.engine import benchmark, pipeline, predict
from tfeval.engine import strategy as strategy_lib
from tfeval.errors import DataError, UserError
from tfeval.hosts import Hosts
from tfeval.models import loading
from tfeval.models import model as model_lib
from tfeval.preflight import preflight
from tfeval.preprocess import protocol as protocol_lib
from tfeval.progress import Progress
from tfeval.result_file import PREDICTIONS
from tfeval.settings import Request, Settings


@dataclasses.dataclass(frozen=True)
class _Place:
  """Where models are evaluated.

  Attributes:
    dataset: what they are evaluated on.
    strategy: over the devices of this host.
    local: the strategy's name.
    hosts: this host among others.
    progress: is told how far it is.
  """

  dataset: base.Dataset
  strategy: tf.distribute.Strategy
  local: str
  hosts: Hosts
  progress: Progress


@dataclasses.dataclass(frozen=True)
class _Evaluation:
  """One model's evaluation, begun.

  Attributes:
    request, settings: what was asked for.
    directory: of the run.
    manifest: what is run.
    protocol: makes pixels.
    findings: of preflight.
    started: when, on the monotonic clock.
  """

  request: Request
  settings: Settings
  directory: paths.Path
  manifest: dict[str, Any]
  protocol: protocol_lib.Protocol
  findings: list[str]
  started: float


def evaluate(wanted: list[Request], settings: Settings, progress: Progress,
             expectations: Sequence[expectation.Expectation] = ()
             ) -> list[run_lib.Run | run_lib.Failure]:
  """Evaluates models one after the other.

  Args:
    wanted: the models.
    settings: how.
    progress: is told how far it is.
    expectations: of metrics that the dataset has to give.

  Returns:
    A complete run for each model, in their order; for one of several that cannot
    be evaluated what is wrong with it. Of several hosts only 0 has them: it waits for
    the others once its share of all models is done.

  Raises:
    UserError: something the user can mend, of the data or of the only model. Runs
      that were complete stay.
    Interrupted: Ctrl-C; what was evaluated is kept.
  """
  hosts = hosts_lib.find(settings)
  place = _prepare(settings, hosts, progress)
  expectation.check_names(expectations, [
      (name, f'top{k}')
      for name in ['original', *['real'] * place.dataset.has_real_labels]
      for k in (1, 5)])
  begun: list[run_lib.Run | run_lib.Failure | _Evaluation] = []
  for request in wanted:
    begun.append(_or_failure(
        request, wanted, lambda: _evaluate_one(request, settings, place)))  # noqa: B023
    # The layers of one model do no good to the next.
    keras.backend.clear_session()
  if hosts.index > 0:
    return [one for one in begun if not isinstance(one, _Evaluation)]
  return [_or_failure(one.request, wanted, lambda: _join(one, place))  # noqa: B023
          if isinstance(one, _Evaluation) else one for one in begun]


def _or_failure(request: Request, wanted: list[Request], work: Callable):
  """Returns what work returns, or what is wrong with one of several models."""
  try:
    return work()
  except UserError as error:
    if len(wanted) == 1 or isinstance(error, DataError):
      raise
    return run_lib.Failure(request.spec.text, errors.one_line(error, None))


def measure(request: Request, settings: Settings, images: int,
            progress: Progress) -> benchmark.Report:
  """Measures where the time of evaluating a model goes on this machine.

  Args:
    request: the model.
    settings: how it would be evaluated.
    images: how many images to measure each stage over.
    progress: is told how far it is.

  Raises:
    UserError: something the user can mend.
  """
  place = _prepare(settings, Hosts(), progress)
  dataset, strategy = place.dataset, place.strategy
  with strategy.scope():
    model = load_model(request, settings)
  protocol = protocol_for(request, settings, model)
  batch_size = predict.global_batch_size(settings.batch_size, strategy)
  images = batch_size * max(-(-images // batch_size), benchmark.FEWEST_BATCHES)
  with progress(request.spec.text, benchmark.RUNS * images) as advance:
    return benchmark.measure(
        dataset, protocol, model, strategy, batch_size, images, advance)


def _prepare(settings: Settings, hosts: Hosts, progress: Progress) -> _Place:
  # Reduced products would change answers: never without being asked.
  tf.config.experimental.enable_tensor_float_32_execution(False)
  # Before the dataset: TensorFlow's first operation settles the devices.
  local = strategy_lib.choose(settings.strategy, settings.devices, settings.tpu)
  strategy = strategy_lib.make_strategy(local, settings.devices, settings.tpu)
  dataset = datasets.open_dataset(
      settings.dataset, split=settings.split, data_dir=settings.data_dir,
      manual_dir=settings.manual_dir, real_labels=settings.real_labels,
      limit=settings.limit)
  return _Place(dataset, strategy, local, hosts, progress)


def _evaluate_one(request: Request, settings: Settings,
                  place: _Place) -> run_lib.Run | _Evaluation:
  """Evaluates a model, or of several hosts this one's share."""
  dataset, strategy, hosts = place.dataset, place.strategy, place.hosts
  with strategy.scope():
    model = load_model(request, settings)
  protocol = protocol_for(request, settings, model)
  batch_size = predict.global_batch_size(settings.batch_size, strategy)
  manifest = experiment.manifest(model, dataset, protocol, settings, strategy,
                                 batch_size, hosts.count)
  if hosts.count > 1 and not experiment.can_be_told_again(manifest):
    raise UserError(f'{model.name} is no Keras model and has no weights file: several '
                    'hosts could not tell that theirs is the same')
  directory = paths.path(settings.output_dir) / request.directory
  complete = experiment.complete_run(directory, manifest, settings.overwrite)
  if complete:
    return complete
  skip_errors = settings.on_error == settings_lib.SKIP
  findings = preflight.preflight(model, dataset, protocol, settings.preflight,
                                 place.progress, batch_size, skip_errors)
  begun = _Evaluation(request, settings, directory, manifest, protocol, findings,
                      time.monotonic())
  if settings.strategy in (settings_lib.AUTO, settings_lib.MULTI_WORKER):
    where = f', host {hosts.index} of {hosts.count}' if hosts.count > 1 else ''
    print(f'tfeval: strategy {place.local}, {strategy_lib.describe(strategy)}{where}',
          file=sys.stderr)

  def predict_from(positions: range):
    return predict.predict(dataset, protocol, model, strategy, batch_size, skip_errors,
                           positions)

  shard = hosts.shard(dataset.expected_count, batch_size)
  record = functools.partial(recording.record, shard=shard, model=model,
                             predict_from=predict_from, progress=place.progress)
  if hosts.count > 1:
    return _store_share(begun, place, shard, record)
  with files.locked(directory):
    # Shares of several hosts, if any, are none of this run.
    joining.clear(directory)
    keep = recording.kept_parts(directory / PREDICTIONS, manifest, shard,
                                settings.overwrite)
    _start(begun, place, directory, manifest, bool(keep))
    positions = record(directory / PREDICTIONS, keep, manifest)
    return _finish(begun, place, positions, sum(part['rows'] for part in keep))


def _start(begun: _Evaluation, place: _Place, directory: paths.Path,
           manifest: dict[str, Any], keep: bool) -> None:
  settings = dataclasses.replace(begun.settings, strategy=place.local)
  experiment.start(directory, manifest,
                   settings_lib.flagfile(begun.request, settings), keep)


def _store_share(begun: _Evaluation, place: _Place, shard: range,
                 record: Callable[..., list[int]]) -> _Evaluation:
  """Stores the predictions of this host among several, if they are not there yet."""
  hosts, directory = place.hosts, begun.directory
  share = directory / hosts.directory()
  manifest = joining.describe_host(begun.manifest, hosts)
  with files.locked(share if hosts.index else directory):
    if not hosts.index:
      _start(begun, place, directory, begun.manifest, keep=False)
    if not experiment.is_done(share, manifest):
      keep = recording.kept_parts(share / PREDICTIONS, manifest, shard, overwrite=False)
      _start(begun, place, share, manifest, bool(keep))
      record(share / PREDICTIONS, keep, manifest)
      joining.finish_share(share, shard)
  if hosts.index:
    print(f'tfeval: the {len(shard)} images of host {hosts.index} are done in {share}: '
          'host 0 joins them', file=sys.stderr)
    if not (directory / hosts.directory(0)).is_dir():
      print(f'tfeval: warning: nothing of host 0 is in {directory} yet: it has to '
            'share this --output_dir', file=sys.stderr)
  return begun


def _join(begun: _Evaluation, place: _Place) -> run_lib.Run:
  """Waits for all hosts and makes one run of their shares."""
  dataset, hosts, directory = place.dataset, place.hosts, begun.directory
  own = hosts.shard(dataset.expected_count, begun.manifest['compute']['batch_size'])
  others = dataset.expected_count - len(own)
  try:
    with place.progress(f'{begun.request.spec.text}: other hosts', others) as advance:
      joining.wait(directory, joining.describe_host(begun.manifest, hosts), hosts,
                   begun.settings.host_timeout, experiment.difference, advance)
  except KeyboardInterrupt as error:
    raise errors.Interrupted(f'all is kept in {directory}: the same command waits for '
                             'the other hosts again') from error
  with files.locked(directory):
    positions = joining.join(directory, begun.manifest, hosts, dataset.expected_count)
    run = _finish(begun, place, positions, 0)
    joining.clear(directory)
  return run


def _finish(begun: _Evaluation, place: _Place, positions: list[int],
            before: int) -> run_lib.Run:
  """Completes a run whose predictions are all stored.

  Args:
    begun: the evaluation.
    place: where it was made.
    positions: of the stored rows.
    before: how many of them an earlier run had stored.
  """
  dataset = place.dataset
  failed = {}
  if begun.settings.on_error == settings_lib.SKIP:
    failed = pipeline.failures(dataset, begun.protocol, set(positions))
  seconds = time.monotonic() - begun.started
  summary = run_lib.summarize(
      run_lib.Run(begun.directory, {}).parts(run_lib.SUMMARY_COLUMNS))
  base.check_coverage(dataset, summary.ids, list(failed))
  if not summary.ids:
    name, why = next(iter(failed.items()))
    raise DataError(f'none of the {len(failed)} images can be evaluated; the first, '
                    f'{name}: {why}')
  return run_lib.finish(begun.directory, begun.manifest, summary, failed, {
      'finished': datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds'),
      'seconds': seconds,
      'images_per_second': (len(summary.ids) - before) / seconds,
  }, published.compare(begun.request.spec, begun.request.weights, begun.protocol,
                       summary.ids, summary.metrics()), begun.findings)


def load_model(request: Request, settings: Settings) -> model_lib.Model:
  """Loads a model for the size of images that the settings ask for, if they do."""
  settings = settings_lib.for_model(request, settings)
  size = protocol_lib.requested_size(
      published.protocol_text(settings.protocol, request.spec))
  if None not in (size, settings.input_size) and size != settings.input_size:
    raise UserError(f'--input_size={settings.input_size} contradicts '
                    f'--protocol={settings.protocol}: leave one out')
  return loading.load_model(
      request.spec, request.weights, preprocess=settings.preprocess,
      input_size=settings.input_size or size, output=settings.output,
      class_map=settings.class_map, output_name=settings.output_name,
      dtype=settings.dtype, trust_model=settings.trust_model)


def protocol_for(request: Request, settings: Settings,
                 model: model_lib.Model) -> protocol_lib.Protocol:
  """Returns what the settings ask for, at the size of the model's input."""
  return protocol_lib.resolve(
      published.protocol_text(settings.protocol, request.spec), model.input_size)
