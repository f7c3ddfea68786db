"""Evaluates a model whose batch normalisation is adapted to the images."""

import dataclasses
import functools

import numpy as np
import tensorflow as tf

from tfeval.engine import batches, forward, strategies
from tfeval.engine.options import DEVICE
from tfeval.evaluation import competition, shared_job
from tfeval.evaluation.adaptation import ordering, passes, request, statistics
from tfeval.evaluation.adaptation.request import Adaptation, BatchNorm, Tent
from tfeval.evaluation.config import OFF, EvaluationConfig
from tfeval.evaluation.job import Job
from tfeval.evaluation.plans import ModelRequest
from tfeval.evaluation.runtime import Runtime
from tfeval.models import fitting
from tfeval.models.keras import batch_norm
from tfeval.models.model import Model
from tfeval.preprocess.protocol import Protocol
from tfeval.runs.result_file import AdaptationSection
from tfeval.utils.errors import UserError

# How the images of batches are chosen.
_ORDER = 'sha256 of seed and id'


def adapted_job(
  requested: ModelRequest,
  model: Model,
  protocol: Protocol,
  config: EvaluationConfig,
  runtime: Runtime,
) -> Job:
  """Returns what evaluates a model that is adapted to the images of a dataset.

  Nothing of the model is changed, and no label is looked at before a row is stored.

  Args:
    requested: the model, with the directory of the adapted run.
    model: loaded under the runtime's strategy.
    protocol: at the size of its input.
    config: has `adapt`, which is of layers.
    runtime: where, and on what.

  Raises:
    UserError: there is nothing to adapt, or the data or the model are at fault.
  """
  asked = request.parse(config.adapt or '')
  config = config.replace(preflight=OFF)  # The plain run had it.
  requested = dataclasses.replace(requested, label=f'{requested.label} +{asked.text}')
  check(asked, model, runtime)
  dataset = runtime.dataset
  model = fitting.fit(model, dataset.label_space, dataset.own_classes)
  if isinstance(asked, BatchNorm) and asked.n is None:
    return _of_whole(requested, model, protocol, config, runtime)
  return _of_batches(requested, model, protocol, config, runtime, asked)


def check(asked: Adaptation, model: Model, runtime: Runtime) -> None:
  """Checks that a model can be adapted to a dataset, before anything is evaluated.

  Raises:
    UserError: there is nothing to adapt, or not enough images for a batch.
  """
  batch_norm.layers_of(model)
  each, dataset = _images_in_batch(asked), runtime.dataset
  if each is not None and each > dataset.num_examples:
    raise UserError(
      f'adapt={asked.text}: batches of {each} images of {dataset.name}, which has '
      f'{dataset.num_examples:,}: give fewer'
    )
  if isinstance(asked, Tent):
    _check_alone(asked, runtime)


def _images_in_batch(asked: Adaptation) -> int | None:
  if isinstance(asked, Tent):
    return asked.batch
  return asked.n if isinstance(asked, BatchNorm) else None


def _of_whole(
  requested: ModelRequest,
  model: Model,
  protocol: Protocol,
  config: EvaluationConfig,
  runtime: Runtime,
) -> Job:
  """Returns what evaluates with the statistics of all images."""
  layers = batch_norm.layers_of(model)
  values: dict[int, tuple[np.ndarray, np.ndarray]] = {}

  def function(images: tf.Tensor) -> tf.Tensor:
    with batch_norm.calling(layers, model.name, statistics.fixed(values)):
      return model.function(images)

  section = _section(config, layers=len(layers), batch=statistics.BATCH)
  adapted = dataclasses.replace(model, function=function, adaptation=section)
  job = shared_job.make_job(requested, adapted, protocol, config, runtime)
  if job.find_run() is None:
    ordered = dataclasses.replace(
      runtime, dataset=ordering.in_seeded_order(runtime.dataset), pipelines={}
    )
    skips = job.skip_errors
    values |= statistics.gather(
      model, layers, protocol, ordered, skips, config.devices.jit
    )
  return job


def _of_batches(
  requested: ModelRequest,
  model: Model,
  protocol: Protocol,
  config: EvaluationConfig,
  runtime: Runtime,
  asked: Adaptation,
) -> Job:
  """Returns what evaluates in batches of the seeded order."""
  layers = batch_norm.layers_of(model)
  each = _images_in_batch(asked)
  assert each is not None
  ordered = dataclasses.replace(
    runtime,
    dataset=ordering.in_seeded_order(runtime.dataset),
    cache=None,  # Its chunks are in the order of the dataset.
    pipelines={},
  )

  @functools.cache
  def fill() -> tf.Tensor:
    first = batches.read_batches(ordered.dataset, protocol, each, positions=range(each))
    return next(first).pixels

  section = _section(config, layers=len(layers), batch=each)
  model = dataclasses.replace(model, adaptation=section)
  ranks = None
  if config.devices.rank_on == DEVICE:
    ranks = competition.classes_of(model, runtime.dataset).competition
  strategy = runtime.strategy
  if isinstance(asked, Tent):
    with strategy.scope():
      step: forward.ForwardPass = passes.TentPass(
        model, strategy, asked, layers, fill, jit=config.devices.jit, ranks=ranks
      )
  else:
    call = statistics.mixed(each, asked.source_images)

    def function(images: tf.Tensor) -> tf.Tensor:
      with batch_norm.calling(layers, model.name, call):
        return model.function(images)

    step = passes.WholeBatches(
      dataclasses.replace(model, function=function),
      strategy,
      each * strategies.local_replicas(strategy),
      fill,
      jit=config.devices.jit,
      ranks=ranks,
    )
  return shared_job.make_job(requested, model, protocol, config, ordered, step)


def _check_alone(asked: Tent, runtime: Runtime) -> None:
  if runtime.hosts.count > 1:
    raise UserError(
      f'adapt={asked.text} learns from one batch after the other: on one host alone'
    )
  replicas = strategies.local_replicas(runtime.strategy)
  if replicas > 1:
    raise UserError(
      f'adapt={asked.text} learns from one batch after the other, and there are '
      f'{replicas} replicas: give `devices=1`'
    )


def _section(config: EvaluationConfig, **known: int) -> AdaptationSection:
  return AdaptationSection(
    text=request.parse(config.adapt or '').text,
    order=_ORDER,
    seed=ordering.SEED,
    **known,
  )
