"""What the images of a folder are: classes, labels and ids, without TensorFlow."""

import collections
import dataclasses
import os
import pathlib

from tfeval.datasets import base, folder_labels, image_files
from tfeval.datasets.folder_labels import Image
from tfeval.datasets.folder_layout import Layout, LeftOut, read_layout
from tfeval.datasets.labels import imagenet, resolution
from tfeval.datasets.labels.beside import ImageLabels, read_image_labels
from tfeval.datasets.labels.spaces import AUTO, LabelSpace
from tfeval.datasets.options import FAIL, DatasetConfig
from tfeval.utils.errors import UserError

# The validation images of a class. Class folders with all of theirs are a choice of
# classes; with fewer they are a part of the validation images.
_OF_EACH_CLASS = 50


@dataclasses.dataclass(frozen=True)
class FolderContent:
  """The images of a folder in the order of their ids, and what they are.

  Attributes:
    root: the folder that they are in, which may be further in than the one given.
    space: the classes.
    competing: the classes of the class folders, ascending, where these are some of
      ILSVRC2012; None where they are all, or where the images are a part of the
      validation images.
    listed: the classes of the class folders, or of a file of labels, in the order of
      these; None where they are all in order, or not known.
    ids: file names; where a file name occurs twice, paths in `root`.
    paths: where each image lies.
    labels: its class.
    limit: how many of all images these are; None for all.
    notes: what a reader of results has to know.
  """

  root: str
  space: LabelSpace
  competing: list[int] | None
  listed: list[int] | None
  ids: list[str]
  paths: list[str]
  labels: list[int]
  limit: int | None
  notes: tuple[str, ...]


def check(config: DatasetConfig) -> None:
  """Checks a folder, in less time than it takes to import TensorFlow.

  Args:
    config: see `read_folder`.

  Raises:
    UserError: see `read_folder` and `label_sets`.
  """
  label_sets(config, read_folder(config).ids)


def label_sets(config: DatasetConfig, ids: list[str]) -> dict[str, base.LabelSet]:
  """Returns further labels of images, by the names of label sets.

  Args:
    config: says which.
    ids: of the images.

  Raises:
    UserError: a file cannot be read, or labels other images.
  """
  if config.real_labels is None:
    return {}
  by_name = base.RealLabels(config.real_labels)
  return {base.REAL: base.LabelSet(by_name.digest, {one: by_name[one] for one in ids})}


def read_folder(config: DatasetConfig) -> FolderContent:
  """Finds the images of a folder and their labels.

  Args:
    config: its `name` is `folder:DIR`, or that of a test set before the folder; see
      `folder.open_folder`. Its `labels` are those
      of images that lie in no class folders.

  Raises:
    UserError: the folder is missing or empty, its layout cannot be known, two class
      folders are one class or one is empty, a label cannot be known or two sources
      of it disagree, an image is of a kind that is not decoded.
  """
  if config.split is not None:
    raise UserError(f'`split={config.split}`: a folder has no splits: leave it out')
  kind, _, directory = config.name.partition(':')
  layout = read_layout(directory, kind)
  if layout.undecoded and config.on_error == FAIL:
    path, kind = min(layout.undecoded.items())
    fault = image_files.not_decoded(kind)
    raise image_files.unreadable(pathlib.Path(layout.root, path), fault)
  images = [Image.of(path) for path in layout.images]
  ids, beside = _ids(images), ()
  if config.labels is not None:
    found = _labels_beside(config.labels, layout, ids)
    space, labels, beside = found.space, found.labels, (found.note,)
    classes = found.classes
  else:
    space, label_of = folder_labels.classes(layout, images, config.class_folders)
    labels = [
      folder_labels.label(layout.root, image, space, label_of) for image in images
    ]
    classes = list(label_of.values())
  numbers = _validation_numbers(images) if space is imagenet.label_space() else {}
  limit = config.limit
  if limit is not None and limit >= len(ids):
    limit = None  # It is the whole.
  order = sorted(range(len(ids)), key=ids.__getitem__)[:limit]
  return FolderContent(
    root=layout.root,
    space=space,
    competing=_competing(space, sorted(classes), len(images), len(numbers)),
    listed=resolution.listed(space, classes),
    ids=[ids[i] for i in order],
    paths=[os.path.join(layout.root, layout.images[i]) for i in order],
    labels=[labels[i] for i in order],
    limit=limit,
    notes=_notes(layout, config, space, len(numbers)) + beside,
  )


def paths_by_id(directory: str) -> dict[str, pathlib.Path]:
  """Returns where the images of a folder lie, by their ids, whatever their labels.

  Raises:
    UserError: see `folder_layout.read_layout`.
  """
  layout = read_layout(directory)
  ids = _ids([Image.of(path) for path in layout.images])
  paths = (pathlib.Path(layout.root, path) for path in layout.images)
  return dict(zip(ids, paths, strict=True))


def _labels_beside(labels: str, layout: Layout, ids: list[str]) -> ImageLabels:
  """Returns what a file says of images that lie in no class folders.

  Raises:
    UserError: there are class folders, or see `read_image_labels`.
  """
  if folders := layout.class_folders:
    raise UserError(
      f'`labels={labels}`: {layout.root} has {len(folders)} class folders, such as '
      f'{folders[0]}, which are the labels: leave it out'
    )
  name = os.path.basename(os.path.realpath(layout.root))
  return read_image_labels(pathlib.Path(labels).expanduser(), ids, name)


def _validation_numbers(images: list[Image]) -> dict[int, str]:
  """Returns the path of each validation image, by its number.

  Raises:
    UserError: one is there twice.
  """
  found: dict[int, str] = {}
  for image in images:
    number = imagenet.validation_number(image.name)
    if number in found:
      raise UserError(
        f'{found[number]} and {image.path} are the same validation image: '
        'remove one of them'
      )
    if number is not None:
      found[number] = image.path
  return found


def _ids(images: list[Image]) -> list[str]:
  twice = max(collections.Counter(image.name for image in images).values()) > 1
  return [image.path if twice else image.name for image in images]


def _competing(
  space: LabelSpace, classes: list[int], count: int, validation: int
) -> list[int] | None:
  """Returns the classes of class folders; see `FolderContent`.

  Args:
    space: the classes.
    classes: those of class folders, or of a file of labels, ascending.
    count: of images.
    validation: how many of them are validation images.
  """
  if len(classes) in (0, len(space)):
    return None
  if count == validation != _OF_EACH_CLASS * len(classes):
    return None
  return classes


def _notes(
  layout: Layout, config: DatasetConfig, space: LabelSpace, validation: int
) -> tuple[str, ...]:
  notes: tuple[str, ...] = ()
  limited = config.limit is not None and config.limit < len(layout.images)
  if validation == len(layout.images) and not limited:
    notes += base.partial_notes(validation)
  own = space is not imagenet.label_space() and config.labels is None
  if own and config.class_folders == AUTO:
    notes += resolution.foreign_note(space.class_ids)
  others = LeftOut(layout.others.count, layout.others.example)
  for name in layout.empty:
    others.add(name)
  for what, left_out in (('no images', others), ('clutter', layout.clutter)):
    if left_out.count:
      entries = 'entry' if left_out.count == 1 else 'entries'
      notes += (
        f'left out as {what}: {left_out.count:,} {entries}, such as {left_out.example}',
      )
  return notes
