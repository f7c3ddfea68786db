"""Datasets by name: folders of images, containers, the sample, TFDS and plug-ins.

A new dataset is an entry of `OPENERS`, or an entry point of another package in the
group `tfeval.datasets`: a function of a `DatasetConfig`, found by its `name` or by what
stands before `:` or `/` in it, that returns an `ImageDataset`. What nobody has opens as
a TFDS dataset.
"""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tfeval.datasets.options import DatasetConfig
from tfeval.utils.registry import Registry

if TYPE_CHECKING:
  from tfeval.datasets.base import ImageDataset

# Imported late: TensorFlow and TFDS take seconds.
OPENERS: 'Registry[Callable[[DatasetConfig], ImageDataset]]' = Registry(
  'dataset',
  {
    'folder': 'tfeval.datasets.folder:open_folder',
    'parquet': 'tfeval.datasets.containers.parquet:open_parquet',
    'webdataset': 'tfeval.datasets.containers.webdataset:open_webdataset',
    'tfrecord': 'tfeval.datasets.containers.tfrecord:open_tfrecord',
    'npz': 'tfeval.datasets.containers.arrays:open_arrays',
    'sample': 'tfeval.datasets.sample:open_sample',
    'imagenet2012': 'tfeval.datasets.tfds:open_tfds',
    'imagenet2012_real': 'tfeval.datasets.tfds:open_tfds',
  },
  'tfeval.datasets',
)


def open_dataset(name: str, **options: Any) -> 'ImageDataset':
  """Opens a dataset by name.

  Args:
    name: `folder:DIR`, `parquet:FILES`, `webdataset:SHARDS`, `tfrecord:FILES`,
      `npz:FILE`, `sample`, that of a plug-in, or a TFDS name.
    **options: the other attributes of `DatasetConfig`.

  Raises:
    UserError: it cannot be opened; says why and what to do.
  """
  kind = re.split('[:/]', name)[0]
  if kind in OPENERS:
    opener = OPENERS[kind]
  else:
    from tfeval.datasets.tfds import open_tfds as opener
  return opener(DatasetConfig(name, **options))
