"""Datasets by name: folders of images, the packaged sample, TFDS and plug-ins.

A new dataset is an entry of `OPENERS`, or an entry point of another package in the
group `tfeval.datasets`: a function of a `DatasetConfig`, found by its `name` or by what
stands before `:` or `/` in it, that returns an `ImageDataset`. What nobody has opens as
a TFDS dataset.
"""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tfeval.datasets.options import DatasetConfig
from tfeval.utils.errors import UserError
from tfeval.utils.registry import Registry

if TYPE_CHECKING:
  from tfeval.datasets.base import ImageDataset

# Imported late: TensorFlow and TFDS take seconds.
OPENERS: 'Registry[Callable[[DatasetConfig], ImageDataset]]' = Registry(
  'dataset',
  {
    'folder': 'tfeval.datasets.folder:open_folder',
    'sample': 'tfeval.datasets.sample:open_sample',
    'imagenet2012': 'tfeval.datasets.tfds:open_tfds',
    'imagenet2012_real': 'tfeval.datasets.tfds:open_tfds',
  },
  'tfeval.datasets',
)


def open_dataset(name: str, **options: Any) -> 'ImageDataset':
  """Opens a dataset by name.

  Args:
    name: `folder:DIR`, `sample`, that of a plug-in, or a TFDS name.
    **options: the other attributes of `DatasetConfig`.

  Raises:
    UserError: it cannot be opened; says why and what to do.
  """
  kind = re.split('[:/]', name)[0]
  if kind in OPENERS:
    opener = OPENERS[kind]
  else:
    from tfeval.datasets.tfds import open_tfds as opener
  config = DatasetConfig(name, **options)
  if config.sample is None:
    return opener(config)
  if config.limit is not None:
    raise UserError('`sample` and `limit` were both given: leave one out')
  from tfeval.datasets import subset

  subset.count_of(config.sample, 1)
  return subset.sample(opener(config), config.sample)
