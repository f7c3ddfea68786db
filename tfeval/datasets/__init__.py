"""Datasets by name: folders of images, the packaged sample, TFDS and plug-ins.

A new dataset is an entry of `OPENERS`, or an entry point of another package in the
group `tfeval.datasets`: a function with the arguments of `tfds.open_tfds`, found by the
name or by what stands before `:` or `/` in it, that returns an `ImageDataset`. What
nobody has opens as a TFDS dataset.
"""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from tfeval.utils.registry import Registry

if TYPE_CHECKING:
  from tfeval.datasets.base import ImageDataset

# Imported late: TensorFlow and TFDS take seconds.
OPENERS: 'Registry[Callable[..., ImageDataset]]' = Registry(
  'dataset',
  {
    'folder': 'tfeval.datasets.folder:open_folder',
    'sample': 'tfeval.datasets.sample:open_sample',
    'imagenet2012': 'tfeval.datasets.tfds:open_tfds',
    'imagenet2012_real': 'tfeval.datasets.tfds:open_tfds',
  },
  'tfeval.datasets',
)


def open_dataset(
  name: str,
  *,
  split: str = 'validation',
  data_dir: str | None = None,
  manual_dir: str | None = None,
  real_labels: str | None = None,
  limit: int | None = None,
) -> 'ImageDataset':
  """Opens a dataset by name; see `tfds.open_tfds` and `folder.open_folder`.

  Args:
    name: `folder:DIR`, `sample`, that of a plug-in, or a TFDS name.
    split: any TFDS split or slice, such as `'validation[:10%]'`; not used for folders.
    data_dir: where prepared TFDS datasets lie; TFDS' default if None.
    manual_dir: holds `ILSVRC2012_img_val.tar` and perhaps `real.json`.
    real_labels: path of `real.json` for validation images, or None.
    limit: take only the first so many examples.

  Raises:
    UserError: it cannot be opened; says why and what to do.
  """
  kind = re.split('[:/]', name)[0]
  if kind in OPENERS:
    opener = OPENERS[kind]
  else:
    from tfeval.datasets.tfds import open_tfds as opener
  return opener(name, split, data_dir, manual_dir, real_labels, limit)
