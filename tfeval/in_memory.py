"""Evaluates models that are in memory: what `tfeval.evaluate` is."""

import contextlib
import dataclasses
import json
import numbers
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfeval import datasets, errors, requested, together
from tfeval import hosts as hosts_lib
from tfeval import progress as progress_lib
from tfeval import settings as settings_lib
from tfeval import spec as spec_lib
from tfeval.engine import cache_writing, predict
from tfeval.errors import UserError
from tfeval.hosts import Hosts
from tfeval.job import Job
from tfeval.models import in_memory
from tfeval.models.model import Hints, Model
from tfeval.outcomes import Outcomes
from tfeval.place import Place
from tfeval.run import Run
from tfeval.settings import Request, Settings
from tfeval.spec import Spec

_STRATEGIES = (
    (tf.distribute.MultiWorkerMirroredStrategy, settings_lib.MULTI_WORKER),
    (tf.distribute.MirroredStrategy, settings_lib.MIRRORED),
    (tf.distribute.TPUStrategy, settings_lib.TPU),
    (tf.distribute.OneDeviceStrategy, settings_lib.DEFAULT))

_OF_MODEL = ('preprocess', 'input_size', 'output', 'class_map', 'output_name')


def evaluate(
    model: Any, dataset: str = 'imagenet2012_real', *, name: str | None = None,
    preprocess: str | Callable[[tf.Tensor], tf.Tensor] | None = None,
    input_size: int | None = None, output: str | None = None,
    class_map: str | None = None, output_name: str | None = None,
    split: str = 'validation', data_dir: str | os.PathLike[str] | None = None,
    manual_dir: str | os.PathLike[str] | None = None,
    real_labels: str | os.PathLike[str] | None = None, protocol: str = 'opencv',
    batch_size: int = 64, limit: int | None = None, on_error: str = settings_lib.FAIL,
    preflight: str = settings_lib.ERROR, jit: bool = False,
    cache_dir: str | os.PathLike[str] | None = None, store_logits: bool = False,
    output_dir: str | os.PathLike[str] | None = None, overwrite: bool = False,
    host_timeout: int = 3600, progress: bool | None = None) -> Run:
  """Evaluates a model that is in memory, as `tfeval evaluate` does one that is not.

      run = tfeval.evaluate(model, preprocess='tf', data_dir=MY_TFDS_DIR)
      run.metrics[0]['correct'], run.metrics[0]['count']

  Keywords that are flags of `tfeval evaluate` mean the same. Nothing of the model is
  changed, nor what it was compiled with, the seeds, the dtype policy or TensorFlow's
  settings, TensorFloat-32 included: what holds is recorded.

  Under a MirroredStrategy each replica takes its part of every batch. Under a
  MultiWorkerMirroredStrategy every worker has to call this with the same arguments,
  `output_dir` on a disk that all see: each evaluates its share without a collective,
  the first one joins them, and all return the joined run.

  Args:
    model: a `keras.Model` that is built, subclasses too; what `tfeval.load_model`
      returns; or a function of images, float32 [n, size, size, 3] as `preprocess`
      makes them, that returns [n, 1000] and can be traced by `tf.function`. Keras
      models are called with `training=False`, on the strategy that they were made
      under, else the active one.
    dataset: a TFDS name, or `folder:DIR`.
    name: of the model in results and of the run directory; by default its own.
    preprocess, input_size, output, class_map, output_name: what the model does not
      tell, see `tfeval.load_model`.
    split, data_dir, manual_dir, real_labels, protocol, limit, on_error, preflight, jit,
      cache_dir, store_logits, overwrite, host_timeout: see `tfeval evaluate --help`.
    batch_size: images in a step over all replicas of a host.
    output_dir: the run directory is made in here, named by the model. By default it
      is a temporary one, which is gone when the returned run is.
    progress: whether to show progress on stderr; by default if that is a terminal.

  Returns:
    The complete run. One of a model with the same values that was interrupted in
    `output_dir` goes on; of another one it is never taken to be.

  Raises:
    UserError: one line that says what is wrong and what to do.
    Interrupted: Ctrl-C; what was evaluated is kept in `output_dir`.
  """
  return Evaluator(
      model, dataset, name=name, progress=progress, preprocess=preprocess,
      input_size=input_size, output=output, class_map=class_map,
      output_name=output_name, split=split, data_dir=data_dir, manual_dir=manual_dir,
      real_labels=real_labels, protocol=protocol, batch_size=batch_size, limit=limit,
      on_error=on_error, preflight=preflight, jit=jit, cache_dir=cache_dir,
      store_logits=store_logits, overwrite=overwrite, host_timeout=host_timeout
  ).evaluate(output_dir)


class Evaluator:
  """A model in memory, evaluated as often as it changes.

  What takes long to make is made once: the input pipeline and the compiled step.

  Attributes:
    model: as the engine is given it.
    has_real_labels: whether the dataset has ReaL labels.
    identity: what is evaluated, for JSON: the model's name, dataset and protocol.
  """

  def __init__(self, model: Any, dataset: str, *, name: str | None = None,
               progress: bool | None = None, **how: Any):
    """Opens the dataset.

    Args:
      model, dataset, name, progress: see `evaluate`.
      **how: its other keywords, but for `output_dir`.

    Raises:
      UserError: something that the user can mend.
    """
    _check_outside()
    hints = Hints(**{key: how.pop(key, None) for key in _OF_MODEL})
    settings = Settings(dataset=dataset, **{
        key: os.fspath(value) if isinstance(value, os.PathLike) else value
        for key, value in how.items()})
    _check(settings)
    self.model = in_memory.wrap(model, name, hints)
    spec = _spec(model, self.model)
    self._request = Request(spec, self.model.weights, spec.directory_name())
    keras_model = self.model.keras_model
    strategy = (tf.distribute.get_strategy() if keras_model is None else
                keras_model.distribute_strategy)
    self._settings = dataclasses.replace(
        settings, preprocess=self.model.preprocess_name, output=self.model.output,
        input_size=self.model.input_size, class_map=hints.class_map,
        output_name=self.model.output_name)
    protocol = requested.protocol_for(self._request, settings, self.model)
    hosts = _hosts(strategy)
    if hosts.count > 1 and settings.overwrite:
      raise UserError('overwrite with several hosts cannot tell new parts from old: '
                      'give another output_dir')
    opened = datasets.open_dataset(
        settings.dataset, split=settings.split, data_dir=settings.data_dir,
        manual_dir=settings.manual_dir, real_labels=settings.real_labels,
        limit=settings.limit)
    self.has_real_labels = opened.has_real_labels
    self.identity = {
        'model': self.model.name, 'protocol': protocol.spec, 'size': protocol.size,
        'dataset': {key: opened.describe()[key] for key in (
            'name', 'config', 'version', 'split', 'limit', 'real_labels',
            'size_digest')}}
    self._place = Place(
        opened, strategy, _local(strategy), hosts, progress_lib.wanted(progress),
        settings.cache_dir and cache_writing.Cache(settings.cache_dir))
    self._forward = predict.Forward(
        self.model, strategy, predict.global_batch_size(settings.batch_size, strategy),
        settings.jit)

  def evaluate(self, output_dir: str | os.PathLike[str] | None = None) -> Run:
    """Evaluates the model as it is now.

    Args:
      output_dir: the run directory is made in here; None for a temporary one, which
        is gone when the run is.

    Raises:
      UserError: the data, the model or the directory are at fault.
      Interrupted: Ctrl-C; what was evaluated is kept in `output_dir`.
    """
    _check_outside()
    if output_dir is not None:
      return self._evaluate(os.fspath(output_dir))
    if self._place.hosts.count > 1:
      raise UserError(f'{self._place.hosts.count} hosts evaluate a share each: give '
                      'output_dir, a directory that all of them see')
    with contextlib.ExitStack() as stack:
      directory = tempfile.mkdtemp(prefix='tfeval-')
      stack.callback(shutil.rmtree, directory, ignore_errors=True)
      try:
        run = self._evaluate(directory)
      except errors.Interrupted as error:
        raise KeyboardInterrupt from error  # It tells what is kept, and nothing is.
      weakref.finalize(run, stack.pop_all().close)
    return run

  def _evaluate(self, output_dir: str) -> Run:
    settings = dataclasses.replace(self._settings, output_dir=output_dir)
    job = Job(self._request, settings, self._place, self.model, self._forward)
    complete = job.complete_run()
    if complete is not None:
      return complete
    outcomes = Outcomes([self._request])
    together.run([job], settings, self._place, outcomes)
    (_, outcome), = outcomes.in_order()
    if not isinstance(outcome, Job):
      return outcome
    return job.joined_run() if self._place.hosts.index else job.join()


def _spec(model: Any, wrapped: Model) -> Spec:
  if isinstance(model, Model):  # What it was loaded by says which recipes it has.
    return dataclasses.replace(spec_lib.parse(model.name), text=wrapped.name)
  return Spec(wrapped.name, wrapped.name)


def _check(settings: Settings) -> None:
  """Holds what flags of the command line hold by themselves."""
  if not isinstance(settings.dataset, str):
    raise UserError(f'dataset is {str(settings.dataset)[:80]}, expected a TFDS name '
                    'or folder:DIR')
  for key in ('batch_size', 'limit', 'host_timeout'):
    value = getattr(settings, key)
    if value is not None and (isinstance(value, bool) or value < 1
                              or not isinstance(value, numbers.Integral)):
      raise UserError(f'{key} is {value!r}, expected a positive integer')
  for key, known in (('on_error', settings_lib.ON_ERROR),
                     ('preflight', settings_lib.PREFLIGHT)):
    if getattr(settings, key) not in known:
      raise errors.unknown(key, str(getattr(settings, key)), known)


def _check_outside() -> None:
  if tf.inside_function() or (tf.distribute.has_strategy()
                              and not tf.distribute.in_cross_replica_context()):
    raise UserError('tfeval evaluates a whole dataset: call it outside of tf.function '
                    'and of strategy.run')


def _local(strategy: tf.distribute.Strategy) -> str:
  """Returns what the command line calls a strategy."""
  for kind, name in _STRATEGIES:
    if isinstance(strategy, kind):
      return name
  if tf.distribute.get_strategy() is strategy and not tf.distribute.has_strategy():
    return settings_lib.DEFAULT
  raise UserError(f'{type(strategy).__name__} cannot evaluate: use MirroredStrategy, '
                  'MultiWorkerMirroredStrategy, or none')


def _hosts(strategy: tf.distribute.Strategy) -> Hosts:
  """Returns the hosts that a strategy spans."""
  if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
    return Hosts()
  resolver = strategy.cluster_resolver
  cluster = resolver.cluster_spec().as_dict()
  if not cluster:
    return Hosts()
  # As it stands in TF_CONFIG, from where most strategies have it.
  return hosts_lib.parse(json.dumps({'cluster': cluster, 'task': {
      'type': resolver.task_type, 'index': resolver.task_id}}))
