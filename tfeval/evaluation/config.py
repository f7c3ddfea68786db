"""What to evaluate and how, as frozen values, and the flagfile that repeats it."""

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

from tfeval.datasets import variants
from tfeval.datasets.options import DatasetConfig
from tfeval.engine import cluster
from tfeval.engine.options import (
  AUTO,
  DeviceConfig,
  HostsConfig,
  InputConfig,
)
from tfeval.models.options import ModelOptions
from tfeval.preprocess.corruption_table import NONE
from tfeval.preprocess.protocol import NO_TTA, TTA
from tfeval.runs.options import StoreConfig
from tfeval.utils import options
from tfeval.utils.errors import UserError
from tfeval.utils.options import PREPROCESSING, option

# What a protocol is called where pixels are the model's input as they stand.
GIVEN = 'given'
PREFLIGHT = ERROR, WARN, OFF = ('error', 'warn', 'off')


@dataclasses.dataclass(frozen=True)
class EvaluationConfig:
  """How models are evaluated: a part for each package that uses it.

  Each option, in whichever part, is a flag of the command line and, but for those of a
  process, a keyword of `tfeval.evaluate`.
  """

  GROUP = 'Model'

  model: ModelOptions = ModelOptions()
  protocol: str = option(
    'opencv',
    'NAME[:field=value,...]: how images become pixels (tfeval protocols); published: '
    "the recipe behind the model's published figure; native: its authors' own.",
    identifies=True,
    group=PREPROCESSING,
  )
  tta: str = option(
    NO_TTA,
    'Average probabilities over views of each image: flip, the crop and its mirror; '
    'five_crop, corners and centre; ten_crop, these and their mirrors.',
    choices=TTA,
    identifies=True,
    group=PREPROCESSING,
  )
  corruption: str = option(
    NONE,
    'NAME:SEVERITY: corrupt images as ImageNet-C does, behind its crop of 224 pixels, '
    'whatever the protocol; such as fog:3.',
    identifies=True,
    group=PREPROCESSING,
  )
  corruption_seed: int = option(
    0,
    'Of what corruptions draw.',
    least=0,
    identifies=True,
    group=PREPROCESSING,
  )
  adapt: str | None = option(
    None,
    'Adapt to the images without their labels, beside the plain run: '
    'bn[:n=50,N=16], tent[:lr=,momentum=,steps=,batch=], prior:source=RUN, '
    'temperature:source=RUN.',
    identifies=True,
  )
  preflight: str = option(
    ERROR,
    'Look at the answers to 128 images first. error: stop at a fault, such as another '
    'class order or preprocessing; warn: say so and go on.',
    choices=PREFLIGHT,
  )
  metrics: tuple[str, ...] | None = option(
    None,
    'Further metrics beside top1 and top5, separated by commas, such as nll,ece,f1, '
    'computed of the stored rows at the end; the help of tfeval score lists them.',
    group='Output',
  )
  max_loaded_models: int = option(
    4,
    'Most models in memory at once. Those that share a protocol and a size share its '
    'images.',
    least=1,
    repeated=False,
    in_python=False,
  )
  dataset: DatasetConfig = DatasetConfig()
  devices: DeviceConfig = DeviceConfig()
  inputs: InputConfig = InputConfig()
  hosts: HostsConfig = HostsConfig()
  store: StoreConfig = StoreConfig()

  @classmethod
  def of(cls, **values: Any) -> 'EvaluationConfig':
    """Returns a config with values by the names of options.

    Raises:
      UserError: a name that is none.

    >>> EvaluationConfig.of(batch_size=8, dataset='sample').dataset.name
    'sample'
    """
    return options.replace(cls(), **values)

  def replace(self, **values: Any) -> 'EvaluationConfig':
    """Returns a config with some values, by the names of options, exchanged."""
    return options.replace(self, **values)


def find_cluster(
  config: EvaluationConfig, environ: Mapping[str, str] = os.environ
) -> cluster.Cluster:
  """Returns the hosts that options or TF_CONFIG name.

  Raises:
    UserError: they contradict each other, are malformed or missing.
  """
  found = cluster.find_cluster(config.hosts, config.devices.strategy, environ)
  if found.count > 1 and config.store.overwrite:
    raise UserError(
      '`overwrite` with several hosts cannot tell new parts from old: '
      f'delete the run directory first, then leave it out{found.told}'
    )
  if found.count > 1 and config.devices.batch_size == AUTO:
    raise UserError(
      '`batch_size=auto` may be another one on each host: give the same number on all '
      f'of them{found.told}'
    )
  return found


def for_dataset(config: EvaluationConfig) -> EvaluationConfig:
  """Returns a config with the protocol that its dataset asks for, if it does.

  Raises:
    UserError: that of its authors is asked for, and none is known.
  """
  found = variants.protocol_of(
    config.dataset.name, config.protocol, EvaluationConfig.protocol
  )
  return config.replace(protocol=found)


def identity(config: EvaluationConfig) -> dict[str, Any]:
  """Returns the values that tell which evaluations make one curve, for JSON."""
  return {
    field.name: field.of(config)
    for field in options.fields(EvaluationConfig)
    if field.option.identifies
  }
