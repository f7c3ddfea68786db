"""Joins dataset, engine, predictions and metrics: what `tfeval evaluate` calls."""

import datetime
import pathlib
import platform
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

import tfeval
from tfeval import datasets, errors, expectation, files, predictions, published
from tfeval import run as run_lib
from tfeval import settings as settings_lib
from tfeval.datasets import base
from tfeval.engine import benchmark, pipeline, predict
from tfeval.engine import strategy as strategy_lib
from tfeval.errors import DataError, UserError
from tfeval.models import loading
from tfeval.models import model as model_lib
from tfeval.preflight import preflight
from tfeval.preprocess import protocol as protocol_lib
from tfeval.progress import Progress
from tfeval.result_file import FLAGS, MANIFEST, PREDICTIONS, RESULT, SCHEMA_VERSION
from tfeval.settings import Request, Settings


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
    be evaluated what is wrong with it.

  Raises:
    UserError: something the user can mend, of the data or of the only model. Runs
      that were complete stay.
  """
  dataset, strategy = _prepare(settings)
  expectation.check_names(expectations, [
      (name, f'top{k}') for name in ['original', *['real'] * dataset.has_real_labels]
      for k in (1, 5)])
  done: list[run_lib.Run | run_lib.Failure] = []
  for request in wanted:
    try:
      done.append(_evaluate_one(request, settings, dataset, strategy, progress))
    except UserError as error:
      if len(wanted) == 1 or isinstance(error, DataError):
        raise
      done.append(run_lib.Failure(request.spec.text, errors.one_line(error, None)))
    # The layers of one model do no good to the next.
    keras.backend.clear_session()
  return done


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
  dataset, strategy = _prepare(settings)
  with strategy.scope():
    model = load_model(request, settings)
  protocol = protocol_for(request, settings, model)
  batch_size = predict.global_batch_size(settings.batch_size, strategy)
  images = batch_size * max(-(-images // batch_size), benchmark.FEWEST_BATCHES)
  with progress(request.spec.text, benchmark.RUNS * images) as advance:
    return benchmark.measure(
        dataset, protocol, model, strategy, batch_size, images, advance)


def _prepare(settings: Settings) -> tuple[base.Dataset, tf.distribute.Strategy]:
  # Reduced products would change answers: never without being asked.
  tf.config.experimental.enable_tensor_float_32_execution(False)
  dataset = datasets.open_dataset(
      settings.dataset, split=settings.split, data_dir=settings.data_dir,
      manual_dir=settings.manual_dir, real_labels=settings.real_labels,
      limit=settings.limit)
  return dataset, strategy_lib.make_strategy(settings.strategy)


def _evaluate_one(request: Request, settings: Settings, dataset: base.Dataset,
                  strategy: tf.distribute.Strategy,
                  progress: Progress) -> run_lib.Run:
  with strategy.scope():
    model = load_model(request, settings)
  protocol = protocol_for(request, settings, model)
  batch_size = predict.global_batch_size(settings.batch_size, strategy)
  manifest = {
      'schema_version': SCHEMA_VERSION,
      'model': model.describe(),
      'dataset': {**dataset.describe(), 'on_error': settings.on_error},
      'protocol': protocol.describe(),
      'store': {'logits': settings.store_logits,
                'classes': predictions.STORED_CLASSES},
      'compute': _compute(strategy, batch_size, model.dtype),
  }
  directory = pathlib.Path(settings.output_dir).expanduser() / request.directory
  complete = _open_directory(directory, manifest, settings.overwrite)
  if complete:
    return complete
  skip_errors = settings.on_error == settings_lib.SKIP
  findings = preflight.preflight(model, dataset, protocol, settings.preflight,
                                 progress, batch_size, skip_errors)
  _start(directory, manifest, settings_lib.flagfile(request, settings))
  started = time.monotonic()
  with progress(request.spec.text, dataset.expected_count) as advance:
    done = _write_predictions(directory, settings, predict.predict(
        dataset, protocol, model, strategy, batch_size, skip_errors), model, advance)
    failed = pipeline.failures(dataset, protocol, done) if skip_errors else {}
    if failed:
      advance(len(failed))
  seconds = time.monotonic() - started
  run = run_lib.Run(directory, {})
  summary = run_lib.summarize(run.parts(run_lib.SUMMARY_COLUMNS))
  base.check_coverage(dataset, summary.ids, list(failed))
  if not summary.ids:
    name, why = next(iter(failed.items()))
    raise DataError(f'none of the {len(failed)} images can be evaluated; the first, '
                    f'{name}: {why}')
  return run_lib.finish(directory, manifest, summary, failed, {
      'finished': datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds'),
      'seconds': seconds,
      'images_per_second': len(summary.ids) / seconds,
  }, published.compare(request.spec, request.weights, protocol, summary.ids,
                       summary.metrics()), findings)


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


def _write_predictions(directory: pathlib.Path, settings: Settings, batches,
                       model: model_lib.Model,
                       advance: Callable[[int], None]) -> set[int]:
  """Returns the positions in the dataset of what was written."""
  done: set[int] = set()
  writer = predictions.Writer(directory / PREDICTIONS, settings.store_logits)
  for batch in batches:
    rows = predictions.make_rows(batch.ids, batch.hashes, batch.labels,
                                 batch.real_labels, batch.scores, model.output,
                                 settings.store_logits)
    writer.write(rows)
    done.update(batch.positions)
    advance(len(batch.ids))
  writer.flush()
  return done


def _compute(strategy: tf.distribute.Strategy, batch_size: int,
             dtype: str) -> dict[str, Any]:
  return {
      'versions': {
          'tfeval': tfeval.__version__, 'python': platform.python_version(),
          'tensorflow': tf.__version__, 'keras': keras.__version__,
          'tensorflow_datasets': tfds.__version__, 'numpy': np.__version__},
      'devices': [f'{d.device_type}:{d.name.rsplit(":", 1)[-1]}'
                  for d in tf.config.list_logical_devices()],
      'strategy': type(strategy).__name__.removesuffix('V1').lstrip('_'),
      'replicas': strategy.num_replicas_in_sync,
      'batch_size': batch_size,
      'dtype': dtype,
      'tf32': tf.config.experimental.tensor_float_32_execution_enabled(),
  }


def _identity(manifest: dict[str, Any]) -> dict[str, Any]:
  """Returns what must agree for two manifests to be of one experiment."""
  return {f'{section}.{key}': value
          for section in ('model', 'dataset', 'protocol', 'store', 'compute')
          for key, value in manifest[section].items()}


def _open_directory(directory: pathlib.Path, manifest: dict[str, Any],
                    overwrite: bool) -> run_lib.Run | None:
  """Returns the complete run that is there already, if it is the same one."""
  if overwrite:
    return None
  if not (directory / MANIFEST).is_file():
    if directory.is_dir() and any(directory.iterdir()):
      raise UserError(f'{directory} is not empty and holds no run: choose another '
                      '--output_dir')
    return None
  try:
    there = _identity(files.read_json(directory / MANIFEST))
  except (TypeError, KeyError, AttributeError) as error:
    raise UserError(f'{directory / MANIFEST} is damaged: choose another '
                    '--output_dir, or --overwrite it') from error
  complete = (directory / RESULT).is_file()
  if not complete and not predictions.any_parts(directory / PREDICTIONS):
    return None
  for key, value in _identity(manifest).items():
    # What stopped a run may be skipped in the same place.
    if there.get(key) != value and (complete or key != 'dataset.on_error'):
      raise UserError(
          f'{directory} holds another experiment: {key} is {there.get(key)!r} there '
          f'and {value!r} here: choose another --output_dir, or --overwrite it')
  if not complete:
    return None
  if manifest['model']['weights_sha256'] is None:
    raise UserError(f'{directory} holds a complete run of a model without a weights '
                    'file, which may have been another one: choose another '
                    '--output_dir, or --overwrite it')
  print(f'tfeval: {directory} is complete: shown as it is (--overwrite evaluates '
        'again)', file=sys.stderr)
  return run_lib.load_run(directory)


def _start(directory: pathlib.Path, manifest: dict[str, Any], flags: str) -> None:
  try:
    directory.mkdir(parents=True, exist_ok=True)
    # The result goes first: without it nothing here looks complete.
    (directory / RESULT).unlink(missing_ok=True)
  except OSError as error:
    raise files.cannot_write(directory, error) from error
  files.write_json(directory / MANIFEST, manifest)
  files.write_atomically(directory / FLAGS, flags.encode())
