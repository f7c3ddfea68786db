"""Image folders as people have them on disk, read by TensorFlow.

Flat `ILSVRC2012_val_*.JPEG`, or a folder for each class: `folder_layout` finds the
files, `folder_labels` their classes.
"""

import logging
import os
from collections.abc import Callable

import tensorflow as tf

from tfeval.datasets import base, folder_content, variants
from tfeval.datasets.folder_content import FolderContent
from tfeval.datasets.labels import class_sets, imagenet
from tfeval.datasets.options import DatasetConfig
from tfeval.metrics.competition import Rule
from tfeval.utils import files
from tfeval.utils.errors import UserError

_LOG = logging.getLogger('tfeval')


def open_folder(config: DatasetConfig) -> base.ImageDataset:
  """Opens a folder of images.

  Args:
    config: its `name` is `folder:DIR`; DIR holds images whose names tell their class,
      or a folder for each class with images in it. `limit` takes the first in the
      order of their ids; `data_dir` and `manual_dir` are of TFDS datasets.

  Returns:
    The dataset. Its classes are those of ILSVRC2012 if all class folders are named by
    one, else the class folders in text order. Ids are file names; where a file name
    occurs twice, paths in the folder.

  Raises:
    UserError: see `folder_content.read_folder`; or a file vanished meanwhile.
  """
  content = folder_content.read_folder(config)
  given = os.path.expanduser(config.name.partition(':')[2])
  if content.root != given:
    _LOG.info(f'folder:{given}: the images are in {content.root}')
  return of_content(content, config)


def of_content(content: FolderContent, config: DatasetConfig) -> base.ImageDataset:
  """Returns the dataset of images that were found in a folder.

  Raises:
    UserError: see `folder_content.label_sets`; or a file vanished meanwhile.
  """
  ids = content.ids
  return base.ImageDataset(
    name=f'folder:{os.path.realpath(content.root)}',
    config=None,
    version=None,
    split='',
    label_space=content.space,
    competing=content.competing,
    listed=content.listed,
    rules=_partner_rules(content, config.name),
    num_examples=len(ids),
    expected_ids=ids,
    has_ids_in_order=True,
    limit=content.limit,
    notes=content.notes,
    label_sets=folder_content.label_sets(config, ids),
    # Labels as well: of class folders they are where a file lies.
    size_digest=files.digest_of_pairs(
      (name, f'{label}\t{_size(path)}')
      for name, label, path in zip(ids, content.labels, content.paths, strict=True)
    ),
    examples=lambda start=0, stop=None: _examples(content, slice(start, stop)),
    at=lambda positions: _read(_columns(content), lambda x: tf.gather(x, positions)),
    # Class folders come one after the other.
    strided=lambda n: _examples(content, slice(None, None, n)),
    relative_paths=[os.path.relpath(path, content.root) for path in content.paths],
  )


def _partner_rules(content: FolderContent, name: str) -> tuple[Rule, ...]:
  """Returns the rules of other sets, of validation images of ImageNet as they are.

  Files of ImageNet-C are called as they are, and are a test set of their own.
  """
  if variants.of_dataset(name) is not None:
    return ()
  names = (os.path.basename(one) for one in content.ids)
  imagenet_classes = content.space.digest == imagenet.label_space().digest
  if imagenet_classes and all(map(imagenet.validation_number, names)):
    return class_sets.partner_rules()
  return ()


def _size(path: str) -> int:
  try:
    return os.path.getsize(path)
  except OSError as error:
    raise UserError(
      f'cannot read {path}: {error.strerror}: does another process change the folder?'
    ) from error


def _examples(content: FolderContent, which: slice):
  # Tensors are cut, which may be done inside a graph, not lists.
  return _read(_columns(content), lambda column: column[which])


def _columns(content: FolderContent) -> dict[str, tf.Tensor]:
  return {
    'id': tf.constant(content.ids),
    'path': tf.constant(content.paths),
    'label': tf.constant(content.labels, tf.int64),
  }


def _read(columns: dict[str, tf.Tensor], chosen: Callable[[tf.Tensor], tf.Tensor]):
  dataset = tf.data.Dataset.from_tensor_slices(
    {name: chosen(column) for name, column in columns.items()}
  )

  def read(example):
    return {
      'id': example['id'],
      'label': example['label'],
      'image': tf.io.read_file(example['path']),
    }

  return dataset.map(read, num_parallel_calls=tf.data.AUTOTUNE)
