"""Where models are evaluated: a dataset, the devices of this host, other hosts."""

import dataclasses
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tensorflow as tf

from tfeval import datasets
from tfeval.datasets import base
from tfeval.datasets.options import DatasetConfig
from tfeval.engine import batches, data_service, pipeline, self_test, strategies
from tfeval.engine.cache import reader, writer
from tfeval.engine.cluster import Cluster
from tfeval.engine.options import AUTO, DEVICE, MULTI_WORKER
from tfeval.evaluation.config import EvaluationConfig
from tfeval.preprocess import device_canvas, frost_textures
from tfeval.preprocess.protocol import Protocol
from tfeval.utils.errors import UserError
from tfeval.utils.progress import Progress

_LOG = logging.getLogger('tfeval')


@dataclasses.dataclass
class Runtime:
  """What all models of a command share; it lives as long as who opened it.

  Attributes:
    dataset: what they are evaluated on.
    strategy: over the devices of this host.
    strategy_name: as a flagfile repeats it.
    hosts: this host among others.
    progress: is told how far it is.
    cache: of preprocessed images, or None.
    canvas: side of what devices are given to resize, None where the host does.
    pipelines: made here before, by what they are of: tracing one takes as long as
      decoding hundreds of images.
    self_tests: made here before, by protocol and batch size.
    opened: when, as `time.monotonic` tells.
  """

  dataset: base.ImageDataset
  strategy: tf.distribute.Strategy
  strategy_name: str
  hosts: Cluster
  progress: Progress
  cache: writer.Cache | None = None
  canvas: int | None = None
  pipelines: dict[Any, tf.data.Dataset] = dataclasses.field(default_factory=dict)
  self_tests: dict[Any, self_test.SelfTest] = dataclasses.field(default_factory=dict)
  opened: float = dataclasses.field(default_factory=time.monotonic)

  def test_resizing(
    self, protocol: Protocol, batch_size: int
  ) -> self_test.SelfTest | None:
    """Measures whether the devices resize as the host does, if they are to.

    Raises:
      UserError: they do not, or cannot.
    """
    if self.canvas is None:
      return None
    key = protocol, batch_size
    if key not in self.self_tests:
      on_cpu = all(
        device.device_type == 'CPU' for device in tf.config.list_logical_devices()
      )
      device_canvas.check_protocol(protocol, self.canvas, batch_size, on_cpu)
      found = self_test.self_test(self.strategy, protocol, self.canvas, batch_size)
      _LOG.info(
        'resized on the device, %d of %s values of the self-test differ from the host',
        found.off,
        f'{found.values:,}',
      )
      self.self_tests[key] = found
    return self.self_tests[key]

  def read(
    self,
    protocol: pipeline.Protocols,
    batch_size: int,
    skip_errors: bool,
    positions: range,
  ) -> Iterator[batches.Batch]:
    """Yields the dataset's batches, as `read_batches` does, or from the cache."""
    key = protocol, batch_size, skip_errors, positions
    if self.cache and isinstance(protocol, Protocol):
      yield from reader.read_cached(self.cache, self.dataset, *key)
      return
    if key not in self.pipelines:
      self.pipelines[key] = pipeline.make_pipeline(self.dataset, *key, self.canvas)
    yield from batches.read_batches(
      self.dataset, *key, self.canvas, self.pipelines[key]
    )

  def log_devices(self, config: EvaluationConfig) -> None:
    """Says what was picked, if the config left it open."""
    if config.devices.strategy in (AUTO, MULTI_WORKER):
      where = (
        f', host {self.hosts.index} of {self.hosts.count}'
        if self.hosts.count > 1
        else ''
      )
      devices = strategies.describe(self.strategy)
      _LOG.info('strategy %s, %s%s', self.strategy_name, devices, where)


def open_runtimes(
  configs: Sequence[EvaluationConfig], hosts: Cluster, progress: Progress
) -> list[Runtime]:
  """Makes devices ready and opens datasets.

  Args:
    configs: of datasets and corruptions, all else of them is the same. Those of one
      dataset share one.
    hosts: this one among others.
    progress: is told how far it is.

  Raises:
    UserError: devices or data are not there, or there can be no cache.
  """
  open_one = opener(configs[0], hosts, progress)
  return [open_one(config) for config in configs]


def opener(
  config: EvaluationConfig, hosts: Cluster, progress: Progress
) -> Callable[[EvaluationConfig], Runtime]:
  """Makes devices ready; returns what opens a dataset there.

  Args:
    config: of any of the datasets.
    hosts, progress: as of `open_runtimes`.

  Raises:
    UserError: devices are not there, or there can be no cache.
  """
  devices, inputs = config.devices, config.inputs
  cache = None if inputs.cache_dir is None else writer.Cache(inputs.cache_dir)
  strategies.allow_tf32(devices.tf32)
  strategies.grow_memory()
  # Before the dataset: TensorFlow's first operation settles the devices.
  name = strategies.choose(devices.strategy, devices.devices, devices.tpu)
  strategy = strategies.make_strategy(name, devices.devices, devices.tpu)
  if inputs.tf_data_service is not None:
    data_service.check_service(inputs.tf_data_service)
  canvas = None
  if devices.resize_on == DEVICE:
    canvas = devices.canvas or device_canvas.DEFAULT_CANVAS
  frost_textures.look_in(inputs.frost_textures)
  self_tests: dict[Any, self_test.SelfTest] = {}
  opened: dict[DatasetConfig, Runtime] = {}

  def open_one(config: EvaluationConfig) -> Runtime:
    if config.dataset not in opened:
      dataset = _open_dataset(config)
      opened[config.dataset] = Runtime(
        dataset, strategy, name, hosts, progress, cache, canvas, self_tests=self_tests
      )
    return opened[config.dataset]

  return open_one


def _open_dataset(config: EvaluationConfig) -> base.ImageDataset:
  dataset = datasets.open_dataset(**vars(config.dataset))
  if config.inputs.tf_data_service is not None and dataset.read_by_python:
    raise UserError(
      f'`tf_data_service={config.inputs.tf_data_service}`: its workers cannot read '
      f'{dataset.name}, only TFDS, folders and tfrecord: leave it out'
    )
  return dataset
