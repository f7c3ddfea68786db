"""Datasets by name: folders of images, containers, the sample, TFDS and plug-ins.

A new dataset is an entry of `OPENERS`, or an entry point of another package in the
group `tfeval.datasets`: a function of a `DatasetConfig`, found by its `name` or by what
stands before `:` or `/` in it, that returns an `ImageDataset`. What nobody has opens as
a TFDS dataset.
"""

import dataclasses
import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tfeval.datasets.options import AUTO, DatasetConfig
from tfeval.utils import paths
from tfeval.utils.errors import MissingData, UserError
from tfeval.utils.registry import Registry

if TYPE_CHECKING:
  from tfeval.datasets.base import ImageDataset

# Imported late: TensorFlow and TFDS take seconds.
_PLAIN = {
  'folder': 'tfeval.datasets.folder:open_folder',
  'sample': 'tfeval.datasets.sample:open_sample',
  'imagenet2012': 'tfeval.datasets.tfds:open_tfds',
  'imagenet2012_real': 'tfeval.datasets.tfds:open_tfds',
}
# Behind their names may stand options of their own.
_CONTAINERS = {
  'parquet': 'tfeval.datasets.containers.parquet:open_parquet',
  'webdataset': 'tfeval.datasets.containers.webdataset:open_webdataset',
  'tfrecord': 'tfeval.datasets.containers.tfrecord:open_tfrecord',
  'npz': 'tfeval.datasets.containers.arrays:open_arrays',
}
# Test sets that TFDS does not build, see `variants.toml`.
_VARIANTS = dict.fromkeys(
  (
    'imagenet_o',
    'objectnet',
    'imagenet_c',
    'imagenet_c_bar',
    'imagewoof',
    'imagenet100',
    'mini_imagenet',
    'tiny_imagenet',
    'imagenet_x',
    'label_errors',
  ),
  'tfeval.datasets.variant:open_variant',
) | {'imagenet_hard': 'tfeval.datasets.imagenet_hard:open_imagenet_hard'}
OPENERS: 'Registry[Callable[[DatasetConfig], ImageDataset]]' = Registry(
  'dataset', _PLAIN | _CONTAINERS | _VARIANTS, 'tfeval.datasets'
)
# What finds mistakes of a `DatasetConfig` before TensorFlow is imported.
CHECKS: 'Registry[Callable[[DatasetConfig], None]]' = Registry(
  'check',
  {
    'folder': 'tfeval.datasets.folder_content:check',
    'imagenet2012': 'tfeval.datasets.tfds_names:check',
    'imagenet2012_real': 'tfeval.datasets.tfds_names:check',
  },
)
# What `check` has opened of containers, for `open_dataset` to take: to look through
# them twice would take twice as long.
_opened: 'dict[DatasetConfig, ImageDataset]' = {}
# `name/config:version`, as TFDS has them.
_TFDS_NAME = re.compile(r'[a-z][a-z0-9_]*(/[\w.-]+)?(:[\w.*-]+)?', re.ASCII)


def requested(config: DatasetConfig) -> DatasetConfig:
  """Returns a config without options in the name of its dataset, see `requested.read`.

  Raises:
    UserError: one of them is none, or cannot have its value.

  >>> requested(DatasetConfig('folder:val:limit=5')).limit
  5
  """
  if not isinstance(config.name, str):
    raise UserError(
      f'dataset is {str(config.name)[:80]}, expected a TFDS name or folder:DIR'
    )
  if not config.name.strip():
    return config  # What it lacks is told where it is opened.
  from tfeval.datasets import request  # What scoring does not need.

  kind = _kind(full_name(config.name))
  return request.read(config, kind in OPENERS and kind not in _PLAIN)


def several(name: str) -> list[str]:
  """Returns the names of the datasets that a name stands for, one for most.

  The folder of a test set of corruptions, `imagenet_c:DIR`, stands for each of its
  corruptions and severities.
  """
  from tfeval.datasets import variant_folders, variants

  known = variants.of_dataset(name)
  if known is None or known.layout != variants.CORRUPTIONS:
    return [name]
  where, colon, options = name.partition(':')[2].partition(':')
  if not where:
    return [name]
  found = variant_folders.corruptions(where)
  return [f'{known.name}:{one}{colon}{options}' for one in found]


def full_name(name: str) -> str:
  """Returns the name of a dataset, of a folder with `folder:` before it.

  Args:
    name: of a dataset, or the path of a folder that can be no name.

  >>> full_name('imagenet_v2'), full_name('folder:val'), full_name('./val')
  ('imagenet_v2', 'folder:val', 'folder:./val')
  """
  if _kind(name) in OPENERS or paths.is_url(name):
    return name
  if name.startswith(('/', './', '../', '~')) or name in ('.', '..'):
    return f'folder:{name}'
  if os.path.isdir(name) and not (_TFDS_NAME.fullmatch(name) and _of_tfds(name)):
    return f'folder:{name}'
  return name


def _of_tfds(name: str) -> bool:
  from tfeval.datasets import tfds_names  # It looks into files.

  return tfds_names.knows(name)


def check(config: DatasetConfig) -> None:
  """Checks what can be checked of a dataset without TensorFlow.

  Raises:
    UserError: it cannot be opened; says why and what to do.
  """
  kind = _kind(full_name(config.name))
  if kind != 'folder' and config.class_folders != AUTO:
    raise UserError(
      f'`class_folders={config.class_folders}`: {config.name} is no folder of class '
      'folders: leave it out'
    )
  parts = [name for name in ('sample', 'limit', 'only') if getattr(config, name)]
  if len(parts) > 1:
    both = ' and '.join(f'`{name}`' for name in parts)
    raise UserError(f'{both} were both given: leave one out')
  if config.sample is not None:
    from tfeval.datasets import sampling

    sampling.count_of(config.sample, 1)
  if kind != 'folder' and config.labels is not None:
    raise UserError(
      f'`labels={config.labels}`: {config.name} has labels, a file of them is for '
      'folder:DIR: leave it out; `tfeval score` counts by other labels'
    )
  if kind in CHECKS:
    CHECKS[kind](_named(config))
  elif kind in _CONTAINERS:
    _opened[_named(config)] = OPENERS[kind](_named(config))
  elif kind in _VARIANTS or kind not in OPENERS:
    _check_other(config)


def _check_other(config: DatasetConfig) -> None:
  from tfeval.datasets import variant_folders, variants

  known = variants.of_dataset(config.name)
  if known is None or known.tfds and variants.directory_of(config.name) is None:
    from tfeval.datasets import tfds_names

    tfds_names.check(config)
  elif known.layout in variant_folders.READERS:
    variant_folders.read(known, config)
  elif known.layout == variants.PARQUET:
    _opened[_named(config)] = OPENERS[known.name](_named(config))
  else:
    raise MissingData(variant_folders.missing(known))


def open_dataset(name: str, **options: Any) -> 'ImageDataset':
  """Opens a dataset by name.

  Args:
    name: `folder:DIR`, `parquet:FILES`, `webdataset:SHARDS`, `tfrecord:FILES`,
      `npz:FILE`, `sample`, that of a plug-in, a TFDS name, or the path of a folder that
      can be none of these.
    **options: the other attributes of `DatasetConfig`.

  Raises:
    UserError: it cannot be opened; says why and what to do.
  """
  config = _named(requested(DatasetConfig(name, **options)))
  kind = _kind(config.name)
  if config not in _opened and (kind != 'folder' or config.sample or config.only):
    check(config)
  if OPENERS.is_foreign(kind):
    from tfeval.datasets import plug_ins

    found = plug_ins.open_plug_in(kind, config)
  elif kind in OPENERS:
    found = _opened.pop(config) if config in _opened else OPENERS[kind](config)
  else:
    found = _open_other(config)
  if config.sample is None and config.only is None:
    return found
  from tfeval.datasets import subset  # TensorFlow.

  if config.only is not None:
    return subset.only(found, config.only)
  return subset.sample(found, config.sample)


def _open_other(config: DatasetConfig) -> 'ImageDataset':
  """Opens what TFDS builds, or the folder of a test set that it could build."""
  from tfeval.datasets import variant, variants

  known = variants.of_dataset(config.name)
  if known is not None and variants.directory_of(config.name) is not None:
    return variant.open_variant(config)
  from tfeval.datasets.tfds import open_tfds

  found = open_tfds(config)
  return found if known is None else variant.with_rules(found, known)


def _named(config: DatasetConfig) -> DatasetConfig:
  return dataclasses.replace(config, name=full_name(config.name))


def _kind(name: str) -> str:
  return re.split('[:/]', name)[0]
