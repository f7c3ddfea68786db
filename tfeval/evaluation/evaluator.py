"""Evaluates models that are in memory: what `tfeval.evaluate` is."""

import contextlib
import dataclasses
import os
import shutil
import tempfile
import weakref
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfeval import datasets
from tfeval.analysis import against_plain
from tfeval.datasets import in_memory
from tfeval.engine import active_strategy, batch_size, forward
from tfeval.engine.cache import writer
from tfeval.evaluation import (
  asked_metrics,
  keywords,
  loop,
  own_data,
  resolve,
  shared_job,
)
from tfeval.evaluation.adaptation import adapted, outputs
from tfeval.evaluation.adaptation.request import Adaptation, OfSource
from tfeval.evaluation.adaptation.request import parse as parse_adaptation
from tfeval.evaluation.config import ERROR, WARN, EvaluationConfig, for_dataset
from tfeval.evaluation.plans import (
  ModelRequest,
  Plan,
  check_adaptation,
  check_corruption,
  directory_name,
  make_plans,
  without_adaptation,
)
from tfeval.evaluation.runtime import Runtime
from tfeval.evaluation.tracking import tracked, trackers
from tfeval.models import fitting
from tfeval.models.keras import wrap
from tfeval.models.model import Model
from tfeval.preprocess.protocol import Protocol
from tfeval.runs.run import Run
from tfeval.utils import code_digest, errors, freed_memory, options
from tfeval.utils.arguments import path_text, truth
from tfeval.utils.errors import UserError
from tfeval.utils.progress import choose_progress
from tfeval.utils.spec import Spec, parse

# Of a model's description, what tells which evaluations make one curve.
_IDENTITY = (
  'name',
  'layers_sha256',
  'preprocess',
  'preprocess_sha256',
  'output',
  'class_map',
  'output_name',
)


def evaluate(
  model: Any,
  dataset: Any = 'imagenet2012_real',
  *,
  name: str | None = None,
  classes: Sequence[str] | int | None = None,
  progress: bool | None = None,
  output_dir: str | os.PathLike[str] | None = None,
  log_to: str | Sequence[str] | None = None,
  **given: Any,
) -> Run:
  """Evaluates a model that is in memory, as `tfeval evaluate` does one that is not.

      run = tfeval.evaluate(model, preprocess='tf', data_dir=MY_TFDS_DIR)
      run.metrics[0]['correct'], run.metrics[0]['count']

  Keywords that are flags of `tfeval evaluate` mean the same. Nothing of the model is
  changed, nor what it was compiled with, the seeds, the dtype policy or TensorFlow's
  config, TensorFloat-32 included: what holds is recorded.

  Under a MirroredStrategy each replica takes its part of every batch. Under a
  MultiWorkerMirroredStrategy every worker has to call this with the same arguments,
  `output_dir` on a disk that all see: each evaluates its share without a collective,
  the first one joins them, and all return the joined run.

  Args:
    model: a `keras.Model` that is built, subclasses too; what `tfeval.load_model`
      returns; or a function of images, float32 [n, size, size, 3] as `preprocess`
      makes them, that returns [n, outputs] and can be traced by `tf.function`. Keras
      models are called with `training=False`, on the strategy that they were made
      under, else the active one.
    dataset: a TFDS name, `folder:DIR`, or data of your own: a `tf.data.Dataset` or a
      Keras `PyDataset`, a list of batches, or arrays (images, labels). Elements and
      batches are (image, label), (image, label, weight) or dicts with `image`, `label`
      and perhaps `sample_weight` and `id`. Images are [height, width, channels] of one
      size, uint8 or float, and are the model's input as they stand; with `preprocess`
      they are preprocessed, and with `protocol`, which takes uint8 of 3 channels,
      resized before. Labels are class indices, negative for none, one-hot, or names of
      `classes`; what weighs 0 has none, any other weight counts once. Without ids,
      positions are ids. All that is read twice must be the same each time.
    classes: of data of your own, names in the order of the model's outputs, or how many
      there are; by default what `class_names` of a `tf.data.Dataset` tell, else as many
      as the model has outputs.
    name: of the model in results and of the run directory; by default its own.
    preprocess, input_size, output, class_map, output_name: what the model does not
      tell, see `tfeval.load_model`.
    split, data_dir, manual_dir, real_labels, labels, class_folders, protocol, limit,
      sample, on_error, preflight, jit, cache_dir, store_logits, overwrite, tta,
      host_timeout: see `tfeval evaluate --help`.
    metrics: names beside top-1 and top-5, such as `['nll', 'f1']`; see
      `registry.get_metric`.
    store_features: True, or the name of a layer of a Keras model, see there.
    adapt: likewise; the run that is returned is the adapted one, the plain one lies
      beside it, and `result.against_plain` compares them.
    batch_size: images in a step over all replicas of a host.
    output_dir: the run directory is made in here, called `name`, else by the model and
      what is not the default. By default it is a temporary one, which is gone when the
      returned run is.
    progress: whether to show progress on stderr; by default if that is a terminal.
    log_to: `mlflow:URI`, `wandb:offline`, `wandb:PROJECT` or `tensorboard:DIR`, or
      several: metrics, config and the files of the run are logged there too.
    **given: these keywords.

  Returns:
    The complete run. One of a model with the same values that was interrupted in
    `output_dir` is resumed; of another one it is never taken to be.

  Raises:
    UserError: one line that says what is wrong and what to do.
    Interrupted: Ctrl-C; what was evaluated is kept in `output_dir`.
  """
  targets = trackers.targets(log_to)
  given = {'preflight': ERROR, **given}
  evaluator = Evaluator(
    model, dataset, name=name, classes=classes, progress=progress, **given
  )
  evaluator._in_training = False
  run = evaluator.evaluate(output_dir)
  if evaluator._runtime.hosts.index == 0:
    tracked.log_runs(targets, [run])
  return run


class Evaluator:
  """A model in memory, evaluated as often as it changes.

      evaluator = tfeval.Evaluator(model, preprocess='tf', data_dir=MY_TFDS_DIR)
      for epoch in range(90):
        train(model)
        run = evaluator.evaluate()

  What takes long to make is made once: the input pipeline, and the compiled step while
  the model's layers stay the same. `preflight` is `'warn'` by default, and says nothing
  that a model which has hardly been trained explains.

  Attributes:
    model: as the engine is given it; None before there is one, see `waiting`.
  """

  def __init__(
    self,
    model: Any,
    dataset: Any = 'imagenet2012_real',
    *,
    name: str | None = None,
    classes: Sequence[str] | int | None = None,
    progress: bool | None = None,
    **given: Any,
  ):
    """Opens the dataset.

    Args:
      model, dataset, name, classes, progress: see `evaluate`.
      **given: its other keywords, but for `output_dir`.

    Raises:
      UserError: something that the user can fix.
    """
    self._open_data(model, dataset, name, classes, progress, given)
    self.take(model)

  def _open_data(
    self,
    model: Any,
    dataset: Any,
    name: str | None,
    classes: Any,
    progress: bool | None,
    given: Mapping[str, Any],
  ) -> None:
    """Checks what was given; what a dataset by name holds is opened with its model."""
    active_strategy.check_outside()
    keywords.checked(given)
    self._progress = None if progress is None else truth('progress', progress)
    classes = None if classes is None else keywords.checked_classes(classes)
    self.model: Model | None = None
    self._name, self._side, self._in_training = name, None, True
    given = {'preflight': WARN, **given}
    own = own_data.OwnData.of(model, dataset, classes, given)
    if own is not None:
      dataset, given = in_memory.NAME, own.keywords
    elif classes is not None:
      raise UserError(
        'classes are of data of your own, which are no name: leave them out'
      )
    self._own = own
    self._requested = for_dataset(keywords.checked({'dataset': dataset, **given}))
    check_corruption(self._requested)
    asked_metrics.check(self._requested)
    if self._requested.adapt is not None:
      check_adaptation(self._requested)
    self._runtime: Runtime | None = None

  def take(self, model: Any, side: int | None = None) -> None:
    """Evaluates another model from here on, on the same data.

    Args:
      model: see `evaluate`.
      side: of the images that it is fed, in pixels, where neither it nor a keyword
        tells.

    Raises:
      UserError: it cannot be evaluated.
    """
    self._given, self._side = model, side
    wrapped = self._wrap()
    if self._runtime is None:
      self._open(wrapped.backend.model, wrapped)
    self._adopt(wrapped)

  def _wrap(self) -> Model:
    known = self._requested.model
    if known.input_size is None and self._side is not None:
      known = dataclasses.replace(known, input_size=self._side)
    wrapped = wrap.wrap(self._given, self._name, known)
    return wrapped if self._own is None else self._own.fed(wrapped)

  def _open(self, model: keras.Model | None, wrapped: Model | None) -> None:
    """Opens the data on the strategy of a model."""
    requested = self._requested
    strategy = (
      tf.distribute.get_strategy() if model is None else model.distribute_strategy
    )
    dataset = None if self._own is None else self._own.open(wrapped)
    hosts = active_strategy.cluster_of(strategy)
    if hosts.count > 1 and requested.store.overwrite:
      raise UserError(
        'overwrite with several hosts cannot tell new parts from old: '
        'give another output_dir'
      )
    cache_dir = requested.inputs.cache_dir
    self._runtime = Runtime(
      dataset or datasets.open_dataset(**vars(requested.dataset)),
      strategy,
      active_strategy.name_of(strategy),
      hosts,
      choose_progress(self._progress),
      cache_dir and writer.Cache(cache_dir),
    )

  def _adopt(self, model: Model) -> None:
    """Makes what depends on the model: its config and its compiled step."""
    spec = spec_of(self._given, model)
    dataset = self._runtime.dataset
    model = fitting.fit(model, dataset.label_space, dataset.own_classes)
    self.model, self._request = (
      model,
      self._named(ModelRequest(spec, model.weights, label=spec.text)),
    )
    self._config = self._requested.replace(
      preprocess=None if model.takes_encoded else model.preprocess_name,
      output=model.output,
      input_size=model.input_size or None,
      output_name=model.output_name,
    )
    strategy, devices = self._runtime.strategy, self._requested.devices
    protocol = resolve.resolve_protocol(self._request, self._config, model)
    self._forward = forward.ForwardPass(
      model,
      strategy,
      batch_size.of_host(devices, model, protocol, strategy),
      devices.jit,
      tap=resolve.resolve_features(self._config, model),
      tta=protocol.tta,
    )
    self._traced, self._code = model.backend.trace_key(), self._own_code()

  def _own_code(self) -> Hashable:
    """Returns what changes when code of the user's, or what it uses, does."""
    preprocess = None
    if self.model.preprocess_sha256 is not None:
      preprocess = code_digest.code_sha256(self.model.preprocess, whole=False)
    return self.model.backend.own_code(), preprocess

  def _named(self, request: ModelRequest) -> ModelRequest:
    if self._name is not None:
      (plan,) = make_plans([request], [self._requested], [self._name])
      return plan.requests[0]
    directory = directory_name(request, self._requested)
    return dataclasses.replace(request, directory=directory)

  @property
  def num_classes(self) -> int | None:
    """How many classes the dataset has; None: the model, not there yet, tells."""
    if self._runtime is None:
      return None
    return len(self._runtime.dataset.label_space)

  @property
  def has_real_labels(self) -> bool:
    """Whether the dataset has ReaL labels."""
    return self._runtime is not None and self._runtime.dataset.has_real_labels

  def identity(self) -> dict[str, Any]:
    """Returns what is evaluated, the model's values aside, for JSON."""
    described = self.model.describe()
    described['layers_sha256'] = self.model.backend.layers_sha256()
    protocol = resolve.resolve_protocol(self._request, self._config, self.model)
    return {
      'model': {key: described[key] for key in _IDENTITY if key in described},
      'protocol': protocol.spec,
      'size': protocol.size,
      'dataset': self._runtime.dataset.identity(),
      **({} if self._config.adapt is None else {'adapt': self._config.adapt}),
    }

  def evaluate(self, output_dir: str | os.PathLike[str] | None = None) -> Run:
    """Evaluates the model as it is now.

    Args:
      output_dir: the run directory is made in here; None for a temporary one, which
        is gone when the run is.

    Raises:
      UserError: the data, the model or the directory are at fault.
      Interrupted: Ctrl-C; what was evaluated is kept in `output_dir`.
    """
    active_strategy.check_outside()
    if output_dir is not None:
      return self._evaluate(path_text('output_dir', output_dir))
    if self._runtime.hosts.count > 1:
      raise UserError(
        f'{self._runtime.hosts.count} hosts evaluate a share each: give '
        'output_dir, a directory that all of them see'
      )
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
    if self.model.backend.trace_key() != self._traced or self._own_code() != self._code:
      # The compiled step has the layers, or the code, of before.
      self._adopt(self._wrap())
    config = self._config.replace(output_dir=output_dir)
    protocol = resolve.resolve_protocol(self._request, config, self.model)
    asked = None if config.adapt is None else parse_adaptation(config.adapt)
    if asked is not None and asked.OF_LAYERS:
      adapted.check(asked, self.model, self._runtime)
    (plain,) = without_adaptation([Plan(config, (self._request,))])
    job = shared_job.make_job(
      *(*plain.requests, self.model, protocol, plain.config),
      *(self._runtime, self._forward),
    )
    job.training = self._in_training
    run = loop.run_one(job)
    if asked is not None:
      run = against_plain.beside(run, self._adapted(run, asked, protocol, config))
    self._code = self._own_code()  # It may count how often it is traced.
    freed_memory.give_back()
    return run

  def _adapted(
    self, plain: Run, asked: Adaptation, protocol: Protocol, config: EvaluationConfig
  ) -> Run:
    if isinstance(asked, OfSource):
      return outputs.adapted_run(self._request, plain, asked, config)
    return loop.run_one(
      adapted.adapted_job(self._request, self.model, protocol, config, self._runtime)
    )


# For help() and editors.
for _function in (evaluate, Evaluator.__init__):
  _function.__signature__ = options.signature(
    _function,
    EvaluationConfig,
    {*options.python_names(EvaluationConfig)} - {'output_dir'},
  )


def spec_of(model: Any, wrapped: Model) -> Spec:
  """Returns what stands for a model in memory where others have their names.

  Args:
    model: as it was given.
    wrapped: the same as the engine is given it.
  """
  if isinstance(model, Model):  # What it was loaded by says which recipes it has.
    return dataclasses.replace(parse(model.name), text=wrapped.name)
  return Spec(wrapped.name, wrapped.name)
