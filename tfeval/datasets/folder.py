"""Image folders as people have them on disk.

Flat `ILSVRC2012_val_*.JPEG`, any images beside a file of labels, or a folder for each
class. These are the classes of
ILSVRC2012 if all folders are named by one, else what the folders are called.
"""

import collections
import os
import pathlib

import tensorflow as tf

from tfeval.datasets import base
from tfeval.datasets.image_files import SUFFIXES
from tfeval.datasets.labels import imagenet, resolution
from tfeval.datasets.labels.beside import ImageLabels, read_image_labels
from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.datasets.options import DatasetConfig
from tfeval.utils import files
from tfeval.utils.errors import UserError


def open_folder(config: DatasetConfig) -> base.ImageDataset:
  """Opens a folder of images.

  Args:
    config: its `name` is `folder:DIR`; DIR holds `ILSVRC2012_val_*.JPEG`, or a folder
      for each class with images in it. `limit` takes the first in the order of their
      ids; `data_dir` and `manual_dir` are of TFDS datasets.

  Returns:
    The dataset. Ids are file names; where a file name occurs in two class
    folders, `folder/file name`.

  Raises:
    UserError: the folder is missing or empty, two class folders are one class, a
      label cannot be known or two sources of it disagree.
  """
  directory, limit = config.name.partition(':')[2], config.limit
  if config.split != DatasetConfig.split:
    raise UserError(f'`split={config.split}`: a folder has no splits: leave it out')
  root = pathlib.Path(directory).expanduser()
  if not directory or not root.is_dir():
    raise UserError(
      f'folder {directory!r} does not exist: give the folder that holds '
      'ILSVRC2012_val_*.JPEG or a folder for each class'
    )
  paths, others = _images(root)
  if not paths:
    raise UserError(
      f'{directory} holds no images: expected ILSVRC2012_val_*.JPEG, '
      'or images in a folder for each class'
    )
  folders = sorted({path.parent.name for path in paths if path.parent != root})
  space, indices = resolution.resolve(root.resolve().name, folders)
  label_of = dict(zip(folders, indices, strict=True))
  if not folders:
    space = imagenet.label_space()
  ids, labels_note = _ids(paths), ()
  if config.labels is not None:
    beside = _labels_beside(config.labels, root, ids, folders)
    space, indices, labels = beside.space, beside.classes, beside.labels
    labels_note = (beside.note,)
  else:
    labels = [_label(root, path, space, label_of) for path in paths]
  if limit is not None and limit >= len(ids):
    limit = None  # It is the whole.
  order = sorted(range(len(ids)), key=ids.__getitem__)[:limit]
  ids, labels = [ids[i] for i in order], [labels[i] for i in order]
  paths = [os.fspath(paths[i]) for i in order]
  label_sets = {}
  if config.real_labels is not None:
    by_name = base.RealLabels(config.real_labels)
    label_sets[base.REAL] = base.LabelSet(by_name.digest, {i: by_name[i] for i in ids})
  return base.ImageDataset(
    name=f'folder:{root.resolve()}',
    config=None,
    version=None,
    split='',
    label_space=space,
    competing=_competing(ids, space, indices),
    num_examples=len(ids),
    expected_ids=ids,
    limit=limit,
    notes=_notes(ids, others, limit) + labels_note,
    label_sets=label_sets,
    # Labels as well: of class folders they are where a file lies.
    size_digest=files.digest_of_pairs(
      (name, f'{label}\t{os.path.getsize(path)}')
      for name, label, path in zip(ids, labels, paths, strict=True)
    ),
    examples=lambda start=0, stop=None: _examples(
      ids, paths, labels, slice(start, stop)
    ),
    # Class folders come one after the other.
    strided=lambda n: _examples(ids, paths, labels, slice(None, None, n)),
  )


def _labels_beside(
  labels: str, root: pathlib.Path, ids: list[str], folders: list[str]
) -> ImageLabels:
  """Returns what a file says of images that lie in no class folders."""
  if folders:
    raise UserError(
      f'`labels={labels}`: {root} has {len(folders)} class folders, such as '
      f'{folders[0]}, which are the labels: leave it out'
    )
  path = pathlib.Path(labels).expanduser()
  return read_image_labels(path, ids, root.resolve().name)


def _images(root: pathlib.Path) -> tuple[list[pathlib.Path], list[str]]:
  """Returns the images, in order, and the names of what else lies there."""
  images, others = [], []
  for path in sorted(_walk(root)):
    if path.suffix.lower() not in SUFFIXES:
      others.append(path.name)
      continue
    if not path.is_file():
      raise UserError(f'{path} is no file (a broken link?): replace or remove it')
    try:
      path.name.encode()
    except UnicodeEncodeError as error:
      raise UserError(
        f'{str(path)!r} has a name that is not UTF-8: rename it'
      ) from error
    images.append(path)
  return images, others


def _walk(root: pathlib.Path):
  """Yields what lies in the folder and in its direct sub-folders, if not hidden."""
  for entry in root.iterdir():
    if entry.name.startswith('.'):
      continue
    if entry.is_dir():
      yield from (p for p in entry.iterdir() if not p.name.startswith('.'))
    else:
      yield entry


def _competing(
  ids: list[str], space: LabelSpace, indices: list[int]
) -> list[int] | None:
  """Returns the classes of a folder, None of a part of the validation set."""
  if len(indices) in (0, len(space)):
    return None
  if any(imagenet.validation_number(name.rsplit('/', 1)[-1]) for name in ids):
    return None
  return sorted(indices)


def _label(
  root: pathlib.Path, path: pathlib.Path, space: LabelSpace, label_of: dict[str, int]
) -> int:
  number = imagenet.validation_number(path.name)
  known = imagenet.original_validation_labels()[number - 1] if number else None
  if path.parent == root:
    if known is None:
      raise UserError(
        f'{path}: no label is known for this name: expected '
        'ILSVRC2012_val_*.JPEG, or put it into a folder for its class'
      )
    return known
  label = label_of[path.parent.name]
  if space is not imagenet.label_space():
    return label
  if known is not None and known != label:
    raise UserError(
      f'{path} lies in {path.parent.name}, but its label is '
      f'{imagenet.label_space().class_ids[known]}: sort the class folders again'
    )
  return label


def _ids(paths: list[pathlib.Path]) -> list[str]:
  names = collections.Counter(path.name for path in paths)
  if max(names.values()) == 1:
    return [path.name for path in paths]
  for name, count in names.items():
    if count > 1 and imagenet.validation_number(name):
      raise UserError(
        f'{name} lies in {count} folders, and there is only one such '
        'validation image: remove the others'
      )
  return [f'{path.parent.name}/{path.name}' for path in paths]


def _notes(ids: list[str], others: list[str], limit: int | None) -> tuple[str, ...]:
  notes: tuple[str, ...] = ()
  if limit is None and imagenet.validation_number(ids[0]):
    notes = base.partial_notes(len(ids))
  if others:
    notes += (f'left out as no images: {len(others)} entries, such as {others[0]}',)
  return notes


def _examples(ids: list[str], paths: list[str], labels: list[int], which: slice):
  columns = {
    'id': tf.constant(ids),
    'path': tf.constant(paths),
    'label': tf.constant(labels, tf.int64),
  }
  # Tensors are cut, which may be done inside a graph, not lists.
  dataset = tf.data.Dataset.from_tensor_slices(
    {name: column[which] for name, column in columns.items()}
  )

  def read(example):
    return {
      'id': example['id'],
      'label': example['label'],
      'image': tf.io.read_file(example['path']),
    }

  return dataset.map(read, num_parallel_calls=tf.data.AUTOTUNE)
