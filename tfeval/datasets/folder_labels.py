"""Which class each image of a folder is, by its name and by the folder it lies in."""

import dataclasses
import os
import sys

from tfeval.datasets.folder_layout import Layout
from tfeval.datasets.labels import imagenet, resolution
from tfeval.datasets.labels.spaces import AUTO, LabelSpace
from tfeval.utils import budgets
from tfeval.utils.errors import UserError


@dataclasses.dataclass(frozen=True, slots=True)
class Image:
  """An image: its path in the root, class folder or '', file name.

  Attributes:
    told: the ILSVRC2012 classes that its name says, each once.
  """

  path: str
  folder: str
  name: str
  told: tuple[int, ...]

  @classmethod
  def of(cls, path: str) -> 'Image':
    folder, slash, _ = path.partition('/')
    name = path.rpartition('/')[2]
    told = tuple(set(imagenet.classes_of_file(name).values()))
    return cls(path, sys.intern(folder) if slash else '', name, told)


def classes(
  layout: Layout, images: list[Image], form: str
) -> tuple[LabelSpace, dict[str, int]]:
  """Returns the classes, and the index of each class folder among them.

  Args:
    layout: of the folder.
    images: all in it.
    form: what class folders are called, one of `spaces.FORMS`.

  Raises:
    UserError: two class folders are one class, or what classes they are cannot be
      known; one holds no images; images lie beside those of other classes.
  """
  flat = next((image for image in images if not image.folder), None)
  called = layout.class_folders
  if not called:
    if form != AUTO:
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
      f'{layout.root}: {len(empty)} of {len(empty) + len(layout.class_folders)} class '
      f'folders hold no images, such as {empty[0]}: fill or remove them'
    )


def label(root: str, image: Image, space: LabelSpace, label_of: dict[str, int]) -> int:
  """Returns the class of an image.

  Args:
    root: the folder that the image is in, for messages.
    image: the image.
    space: the classes.
    label_of: those of class folders by their names.

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
      'ILSVRC2012_val_*.JPEG, put it into a folder for its class, or give `labels`, a '
      'file of them'
    )
  if len(found) > 1:
    raise _contradiction(root, image, space, label_of)
  return found.pop()


def _contradiction(
  root: str, image: Image, space: LabelSpace, label_of: dict[str, int]
) -> UserError:
  said_by = imagenet.classes_of_file(image.name)
  if image.folder:
    said_by[f'the folder {image.folder}'] = label_of[image.folder]
  said = ', '.join(
    f'{space.class_ids[index]} by {source}' for source, index in said_by.items()
  )
  return UserError(
    f'{os.path.join(root, image.path)} is {said}: sort the images again, or rename it'
  )
