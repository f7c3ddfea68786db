"""Where models are evaluated: a dataset, the devices of this host, other hosts."""

import dataclasses
import functools
import sys
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from tfeval import datasets
from tfeval.datasets import base
from tfeval.engine import batches, data_service, pipeline, strategies
from tfeval.engine import self_test as self_test_lib
from tfeval.engine.cache import reader, writer
from tfeval.engine.cluster import Cluster
from tfeval.evaluation.config import AUTO, DEVICE, MULTI_WORKER, Settings
from tfeval.preprocess import device_canvas
from tfeval.preprocess.protocol import Protocol
from tfeval.utils.progress import Progress


@dataclasses.dataclass(frozen=True)
class Place:
  """What all models of a command share.

  Attributes:
    dataset: what they are evaluated on.
    strategy: over the devices of this host.
    local: the strategy's name.
    hosts: this host among others.
    progress: is told how far it is.
    cache: of preprocessed images, or None.
    canvas: side of what devices are given to resize, None where the host does.
    pipelines: made here before, by what they are of: tracing one takes as long as
      decoding hundreds of images.
  """

  dataset: base.ImageDataset
  strategy: tf.distribute.Strategy
  local: str
  hosts: Cluster
  progress: Progress
  cache: writer.Cache | None = None
  canvas: int | None = None
  pipelines: dict[Any, tf.data.Dataset] = dataclasses.field(default_factory=dict)

  def self_test(
    self, protocol: Protocol, batch_size: int
  ) -> self_test_lib.SelfTest | None:
    """Measures whether the devices resize as the host does, if they are to.

    Raises:
      UserError: they do not, or cannot.
    """
    if self.canvas is None:
      return None
    return _self_test(self.strategy, protocol, self.canvas, batch_size)

  def read(
    self, protocol: Protocol, batch_size: int, skip_errors: bool, positions: range
  ) -> Iterator[batches.Batch]:
    """Yields the dataset's batches, as `read_batches` does, or from the cache."""
    key = protocol, batch_size, skip_errors, positions
    if self.cache:
      yield from reader.read(self.cache, self.dataset, *key)
      return
    if key not in self.pipelines:
      self.pipelines[key] = pipeline.make_pipeline(self.dataset, *key, self.canvas)
    yield from batches.read_batches(
      self.dataset, *key, self.canvas, self.pipelines[key]
    )

  def announce(self, settings: Settings) -> None:
    """Says what was picked on stderr, if the settings left it open."""
    if settings.strategy in (AUTO, MULTI_WORKER):
      where = (
        f', host {self.hosts.index} of {self.hosts.count}'
        if self.hosts.count > 1
        else ''
      )
      print(
        f'tfeval: strategy {self.local}, {strategies.describe(self.strategy)}{where}',
        file=sys.stderr,
      )


@functools.cache
def _self_test(
  strategy: tf.distribute.Strategy, protocol: Protocol, canvas: int, batch_size: int
) -> self_test_lib.SelfTest:
  on_cpu = all(
    device.device_type == 'CPU' for device in tf.config.list_logical_devices()
  )
  device_canvas.check(protocol, canvas, batch_size, on_cpu)
  found = self_test_lib.self_test(strategy, protocol, canvas, batch_size)
  print(
    f'tfeval: resized on the device, {found.off} of {found.values:,} values of the '
    'self-test differ from the host',
    file=sys.stderr,
  )
  return found


def open_dataset(settings: Settings) -> base.ImageDataset:
  """Opens the dataset that settings name.

  Raises:
    UserError: the data are not there.
  """
  return datasets.open_dataset(
    settings.dataset,
    split=settings.split,
    data_dir=settings.data_dir,
    manual_dir=settings.manual_dir,
    real_labels=settings.real_labels,
    limit=settings.limit,
  )


def prepare(settings: Settings, hosts: Cluster, progress: Progress) -> Place:
  """Makes devices ready and opens the dataset.

  Raises:
    UserError: devices or data are not there, or there can be no cache.
  """
  cache = None if settings.cache_dir is None else writer.Cache(settings.cache_dir)
  strategies.allow_tf32(settings.tf32)
  # Before the dataset: TensorFlow's first operation settles the devices.
  local = strategies.choose(settings.strategy, settings.devices, settings.tpu)
  strategy = strategies.make_strategy(local, settings.devices, settings.tpu)
  if settings.tf_data_service is not None:
    data_service.check(settings.tf_data_service)
  dataset = open_dataset(settings)
  canvas = (
    (settings.canvas or device_canvas.DEFAULT_CANVAS)
    if settings.resize_on == DEVICE
    else None
  )
  return Place(dataset, strategy, local, hosts, progress, cache, canvas)
