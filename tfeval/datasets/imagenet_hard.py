"""ImageNet-Hard: Parquet with several labels for an image, any of which is a hit.

As `taesiri/imagenet-hard` on Hugging Face has it (arXiv:2304.05538): columns `image`
(struct of bytes and path), `label` (list of numbers of the 1000 classes), `origin` and
`english_label`, which are not read.
"""

import dataclasses

from tfeval.datasets import base, variant_folders, variants
from tfeval.datasets.containers import dataset, locations, parquet, parquet_columns
from tfeval.datasets.labels import imagenet
from tfeval.datasets.options import DatasetConfig
from tfeval.utils import files
from tfeval.utils.errors import MissingData, UserError, listed

# What metrics call the labels of an image, any of which is right.
ANY_LABEL = 'any_label'
_COLUMN = 'label'


def open_imagenet_hard(config: DatasetConfig) -> base.ImageDataset:
  """Opens files of ImageNet-Hard.

  Args:
    config: its `name` is `imagenet_hard:FILES`, as of `parquet:FILES`.

  Returns:
    Images without a single label, with the label set `any_label`.

  Raises:
    UserError: no files were given, one is damaged, or holds something else.
  """
  variant = variants.get('imagenet_hard')
  where = variants.directory_of(config.name)
  if where is None:
    raise MissingData(variant_folders.missing(variant))
  if config.real_labels is not None:
    raise UserError(f'`real_labels` is not for {variant.name}: leave it out')
  location = locations.find(dataclasses.replace(config, name=f'parquet:{where}'))
  for option in locations.OPTIONS:
    if getattr(location, option) is not None:
      raise UserError(f'{variant.name} has labels of its own: leave `{option}` out')
  found = parquet.open_images(location)
  labels = dict(zip(found.ids, _labels(location), strict=True))
  opened = dataset.make(config, found)
  notes = found.notes
  if opened.limit is None and len(labels) != variant.images:
    notes += (f'{len(labels):,} images, {variant.title} has {variant.images:,}',)
  digest = files.digest_of_pairs((one, f'{labels[one]}') for one in found.ids)
  return dataclasses.replace(
    opened,
    name=f'{variant.name}:{location.target}',
    notes=notes,
    label_sets={ANY_LABEL: base.LabelSet(digest, labels)},
  )


def _labels(location: locations.Location) -> list[list[int]]:
  """Returns the labels of each row, ascending.

  Raises:
    UserError: a row has none, or one that is no class.
  """
  rows = parquet_columns.read_lists(location, _COLUMN)
  count = len(imagenet.label_space())
  wrong = sorted({n for row in rows for n in row if not 0 <= n < count})
  if wrong:
    raise UserError(
      f'{location.name} has labels that are none of the {count:,} classes: '
      f'{listed([str(n) for n in wrong])}'
    )
  if empty := sum(not row for row in rows):
    raise UserError(f'{location.name}: {empty:,} images have no label: get it again')
  return [sorted(set(row)) for row in rows]
