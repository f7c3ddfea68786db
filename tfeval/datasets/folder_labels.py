"""What the images of a folder are: classes, labels and ids, without TensorFlow."""

import collections
import dataclasses
import os
import pathlib
import sys

from tfeval.datasets import base, image_files
from tfeval.datasets.folder_layout import Layout, LeftOut, read_layout
from tfeval.datasets.labels import imagenet, resolution
from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.datasets.options import FAIL, DatasetConfig
from tfeval.utils import budgets
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
    ids: file names; where a file name occurs twice, paths in `root`.
    paths: where each image lies.
    labels: its class.
    limit: how many of all images these are; None for all.
    notes: what a reader of results has to know.
  """

  root: str
  space: LabelSpace
  competing: list[int] | None
  ids: list[str]
  paths: list[str]
  labels: list[int]
  limit: int | None
  notes: tuple[str, ...]


def check(config: DatasetConfig) -> None:
  """Checks a folder, in less time than it takes to import TensorFlow.

  Args, Raises: see `read_folder`.
  """
  read_folder(config)


def read_folder(config: DatasetConfig) -> FolderContent:
  """Finds the images of a folder and their labels.

  Args:
    config: its `name` is `folder:DIR`; see `folder.open_folder`.

  Raises:
    UserError: the folder is missing or empty, its layout cannot be known, two class
      folders are one class or one is empty, a label cannot be known or two sources
      of it disagree, an image is of a kind that is not decoded.
  """
  if config.split != DatasetConfig.split:
    raise UserError(f'`split={config.split}`: a folder has no splits: leave it out')
  layout = read_layout(config.name.partition(':')[2])
  for image, kind in sorted(layout.undecoded.items())[: config.on_error == FAIL]:
    fault = image_files.not_decoded(kind)
    raise image_files.unreadable(pathlib.Path(layout.root, image), fault)
  images = [_Image.of(path) for path in layout.images]
  space, label_of = _classes(layout, images, config.class_folders)
  labels = [_label(layout.root, image, space, label_of) for image in images]
  numbers = _validation_numbers(images) if space is imagenet.label_space() else {}
  ids = _ids(images)
  limit = config.limit
  if limit is not None and limit >= len(ids):
    limit = None  # It is the whole.
  order = sorted(range(len(ids)), key=ids.__getitem__)[:limit]
  return FolderContent(
    root=layout.root,
    space=space,
    competing=_competing(space, label_of, len(images), len(numbers)),
    ids=[ids[i] for i in order],
    paths=[os.path.join(layout.root, layout.images[i]) for i in order],
    labels=[labels[i] for i in order],
    limit=limit,
    notes=_notes(layout, config, space, len(numbers)),
  )


@dataclasses.dataclass(frozen=True, slots=True)
class _Image:
  """An image: its path in the root, class folder or '', file name.

  Attributes:
    told: the ILSVRC2012 classes that its name says, each once.
  """

  path: str
  folder: str
  name: str
  told: tuple[int, ...]

  @classmethod
  def of(cls, path: str) -> '_Image':
    folder, slash, _ = path.partition('/')
    name = path.rpartition('/')[2]
    told = tuple(set(imagenet.classes_of_file(name).values()))
    return cls(path, sys.intern(folder) if slash else '', name, told)


def _classes(
  layout: Layout, images: list[_Image], form: str
) -> tuple[LabelSpace, dict[str, int]]:
  """Returns the classes, and the index of each class folder among them.

  Raises:
    UserError: see `read_folder`.
  """
  flat = next((image for image in images if not image.folder), None)
  called = layout.class_folders
  if not called:
    if form != resolution.AUTO:
      raise UserError(
        f'`class_folders={form}`: {layout.root} holds no class folders: leave it out'
      )
    return imagenet.label_space(), {}
  if len(called) > budgets.CLASSES:
    raise UserError(
      f'{layout.root} holds {len(called):,} class folders, expected at most '
      f'{budgets.CLASSES:,}'
    )
  known = [
    (image.folder, image.told[0])
    for image in images
    if image.folder and len(image.told) == 1
  ]
  where = os.path.basename(os.path.realpath(layout.root))
  space, indices = resolution.resolve(where, called, form, known)
  if flat is None:
    _check_empty(layout, space)
  elif space is not imagenet.label_space():
    raise UserError(
      f'{os.path.join(layout.root, flat.path)} lies beside class folders that are not '
      f'those of ImageNet, such as {called[0]}: put it into one of them'
    )
  return space, dict(zip(called, indices, strict=True))


def _check_empty(layout: Layout, space: LabelSpace) -> None:
  """Checks that no class is without an image.

  Beside ImageNet's classes folders of other names are none.

  Raises:
    UserError: one is.
  """
  empty = layout.empty
  if space is imagenet.label_space():
    numbers = layout.class_folders[0].isdecimal()
    empty = [
      name
      for name in empty
      if (name.isdecimal() if numbers else resolution.classes_meant(name))
    ]
  if empty:
    raise UserError(
      f'{layout.root}: {len(empty)} class folders hold no images, such as {empty[0]}: '
      'fill or remove them'
    )


def _label(
  root: str, image: _Image, space: LabelSpace, label_of: dict[str, int]
) -> int:
  """Returns the class of an image.

  Raises:
    UserError: it is not known, or its name and its folder say another one.
  """
  if space is not imagenet.label_space():
    return label_of[image.folder]
  found = set(image.told)
  if image.folder:
    found.add(label_of[image.folder])
  if not found:
    raise UserError(
      f'{os.path.join(root, image.path)}: no label is known for this name: expected '
      'ILSVRC2012_val_*.JPEG, or put it into a folder for its class'
    )
  if len(found) > 1:
    raise _contradiction(root, image, space, label_of)
  return found.pop()


def _contradiction(
  root: str, image: _Image, space: LabelSpace, label_of: dict[str, int]
) -> UserError:
  classes = imagenet.classes_of_file(image.name)
  if image.folder:
    classes[f'the folder {image.folder}'] = label_of[image.folder]
  said = ', '.join(
    f'{space.class_ids[index]} by {source}' for source, index in classes.items()
  )
  return UserError(
    f'{os.path.join(root, image.path)} is {said}: sort the images again, or rename it'
  )


def _validation_numbers(images: list[_Image]) -> dict[int, str]:
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


def _ids(images: list[_Image]) -> list[str]:
  twice = max(collections.Counter(image.name for image in images).values()) > 1
  return [image.path if twice else image.name for image in images]


def _competing(
  space: LabelSpace, label_of: dict[str, int], count: int, validation: int
) -> list[int] | None:
  """Returns the classes of class folders; see `FolderContent`.

  Args:
    space: the classes.
    label_of: those of class folders.
    count: of images.
    validation: how many of them are validation images.
  """
  if len(label_of) in (0, len(space)):
    return None
  if count == validation != _OF_EACH_CLASS * len(label_of):
    return None
  return sorted(label_of.values())


def _notes(
  layout: Layout, config: DatasetConfig, space: LabelSpace, validation: int
) -> tuple[str, ...]:
  notes: tuple[str, ...] = ()
  limited = config.limit is not None and config.limit < len(layout.images)
  if validation == len(layout.images) and not limited:
    notes += base.partial_notes(validation)
  own = space is not imagenet.label_space()
  if own and config.class_folders == resolution.AUTO:
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
