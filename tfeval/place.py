"""Where models are evaluated: a dataset, the devices of this host, other hosts."""

import dataclasses
import functools
import sys
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from tfeval import datasets
from tfeval.datasets import base
from tfeval.engine import cache_writing, cached, pipeline, reading, service
from tfeval.engine import self_test as self_test_lib
from tfeval.engine import strategy as strategy_lib
from tfeval.hosts import Hosts
from tfeval.preprocess import canvas as canvas_lib
from tfeval.preprocess.protocol import Protocol
from tfeval.progress import Progress
from tfeval.settings import AUTO, DEVICE, MULTI_WORKER, Settings


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

  dataset: base.Dataset
  strategy: tf.distribute.Strategy
  local: str
  hosts: Hosts
  progress: Progress
  cache: cache_writing.Cache | None = None
  canvas: int | None = None
  pipelines: dict[Any, tf.data.Dataset] = dataclasses.field(default_factory=dict)

  def self_test(self, protocol: Protocol, batch_size: int
                ) -> self_test_lib.SelfTest | None:
    """Measures whether the devices resize as the host does, if they are to.

    Raises:
      UserError: they do not, or cannot.
    """
    if self.canvas is None:
      return None
    return _self_test(self.strategy, protocol, self.canvas, batch_size)

  def read(self, protocol: Protocol, batch_size: int, skip_errors: bool,
           positions: range) -> Iterator[reading.Batch]:
    """Yields the dataset's batches, as `reading.read` does, or from the cache."""
    key = protocol, batch_size, skip_errors, positions
    if self.cache:
      yield from cached.read(self.cache, self.dataset, *key)
      return
    if key not in self.pipelines:
      self.pipelines[key] = pipeline.batches(self.dataset, *key, self.canvas)
    yield from reading.read(self.dataset, *key, self.canvas, self.pipelines[key])

  def announce(self, settings: Settings) -> None:
    """Says what was picked on stderr, if the settings left it open."""
    if settings.strategy in (AUTO, MULTI_WORKER):
      where = (f', host {self.hosts.index} of {self.hosts.count}'
               if self.hosts.count > 1 else '')
      print(f'tfeval: strategy {self.local}, {strategy_lib.describe(self.strategy)}'
            f'{where}', file=sys.stderr)


@functools.cache
def _self_test(strategy: tf.distribute.Strategy, protocol: Protocol, canvas: int,
               batch_size: int) -> self_test_lib.SelfTest:
  on_cpu = all(device.device_type == 'CPU'
               for device in tf.config.list_logical_devices())
  canvas_lib.check(protocol, canvas, batch_size, on_cpu)
  found = self_test_lib.self_test(strategy, protocol, canvas, batch_size)
  print(f'tfeval: resized on the device, {found.off} of {found.values:,} values of the '
        'self-test differ from the host', file=sys.stderr)
  return found


def open_dataset(settings: Settings) -> base.Dataset:
  """Opens the dataset that settings name.

  Raises:
    UserError: the data are not there.
  """
  return datasets.open_dataset(
      settings.dataset, split=settings.split, data_dir=settings.data_dir,
      manual_dir=settings.manual_dir, real_labels=settings.real_labels,
      limit=settings.limit)


def prepare(settings: Settings, hosts: Hosts, progress: Progress) -> Place:
  """Makes devices ready and opens the dataset.

  Raises:
    UserError: devices or data are not there, or there can be no cache.
  """
  cache = (None if settings.cache_dir is None else
           cache_writing.Cache(settings.cache_dir))
  strategy_lib.allow_tf32(settings.tf32)
  # Before the dataset: TensorFlow's first operation settles the devices.
  local = strategy_lib.choose(settings.strategy, settings.devices, settings.tpu)
  strategy = strategy_lib.make_strategy(local, settings.devices, settings.tpu)
  if settings.tf_data_service is not None:
    service.check(settings.tf_data_service)
  dataset = open_dataset(settings)
  canvas = ((settings.canvas or canvas_lib.DEFAULT_CANVAS)
            if settings.resize_on == DEVICE else None)
  return Place(dataset, strategy, local, hosts, progress, cache,
               canvas)
