"""Where models are evaluated: a dataset, the devices of this host, other hosts."""

import dataclasses
import sys
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from tfeval import datasets
from tfeval.datasets import base
from tfeval.engine import pipeline, reading, service
from tfeval.engine import strategy as strategy_lib
from tfeval.hosts import Hosts
from tfeval.preprocess.protocol import Protocol
from tfeval.progress import Progress
from tfeval.settings import AUTO, MULTI_WORKER, Settings


@dataclasses.dataclass(frozen=True)
class Place:
  """What all models of a command share.

  Attributes:
    dataset: what they are evaluated on.
    strategy: over the devices of this host.
    local: the strategy's name.
    hosts: this host among others.
    progress: is told how far it is.
    pipelines: made here before, by what they are of: tracing one takes as long as
      decoding hundreds of images.
  """

  dataset: base.Dataset
  strategy: tf.distribute.Strategy
  local: str
  hosts: Hosts
  progress: Progress
  pipelines: dict[Any, tf.data.Dataset] = dataclasses.field(default_factory=dict)

  def read(self, protocol: Protocol, batch_size: int, skip_errors: bool,
           positions: range) -> Iterator[reading.Batch]:
    """Yields the dataset's batches; see `reading.read`."""
    key = protocol, batch_size, skip_errors, positions
    if key not in self.pipelines:
      self.pipelines[key] = pipeline.batches(self.dataset, *key)
    return reading.read(self.dataset, *key, self.pipelines[key])

  def announce(self, settings: Settings) -> None:
    """Says what was picked on stderr, if the settings left it open."""
    if settings.strategy in (AUTO, MULTI_WORKER):
      where = (f', host {self.hosts.index} of {self.hosts.count}'
               if self.hosts.count > 1 else '')
      print(f'tfeval: strategy {self.local}, {strategy_lib.describe(self.strategy)}'
            f'{where}', file=sys.stderr)


def prepare(settings: Settings, hosts: Hosts, progress: Progress) -> Place:
  """Makes devices ready and opens the dataset.

  Raises:
    UserError: devices or data are not there.
  """
  strategy_lib.allow_tf32(settings.tf32)
  # Before the dataset: TensorFlow's first operation settles the devices.
  local = strategy_lib.choose(settings.strategy, settings.devices, settings.tpu)
  strategy = strategy_lib.make_strategy(local, settings.devices, settings.tpu)
  if settings.tf_data_service is not None:
    service.check(settings.tf_data_service)
  dataset = datasets.open_dataset(
      settings.dataset, split=settings.split, data_dir=settings.data_dir,
      manual_dir=settings.manual_dir, real_labels=settings.real_labels,
      limit=settings.limit)
  return Place(dataset, strategy, local, hosts, progress)
