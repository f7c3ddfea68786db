"""Where the images of a folder lie: its class folders, their files.

Class folders are what Keras and torchvision take for them: the folders in the root,
with all that lies in these at any depth. Nothing here knows what a class is called.
"""

import dataclasses
import os
import re

from tfeval.datasets import folder_root, image_files
from tfeval.datasets.folder_root import FOLDER, MOST_LEVELS, entries
from tfeval.utils import budgets
from tfeval.utils.errors import MissingData, UserError

_WNID = re.compile('n[0-9]{8}', re.IGNORECASE)


@dataclasses.dataclass
class LeftOut:
  """What lies in a folder and is no image.

  Attributes:
    count: of entries; a folder is one.
    example: the first of their names in text order, '' for none.
  """

  count: int = 0
  example: str = ''

  def add(self, name: str) -> None:
    # It becomes part of results, which are UTF-8.
    name = name.encode('utf-8', 'backslashreplace').decode()
    self.example = min(self.example or name, name)
    self.count += 1


@dataclasses.dataclass(frozen=True)
class Layout:
  """The images of a folder.

  Attributes:
    root: the folder that holds them, or the class folders.
    images: paths in the root, in text order: `a.jpg`, `class/a.jpg`, `class/b/a.jpg`.
    undecoded: of which of them it is known that they are of a kind that is not decoded,
      and of which.
    empty: class folders without any image, in text order.
    clutter: what systems made for themselves, hidden files among it.
    others: what else is no image.
  """

  root: str
  images: list[str]
  undecoded: dict[str, str]
  empty: list[str]
  clutter: LeftOut
  others: LeftOut

  @property
  def class_folders(self) -> list[str]:
    """Names of those that hold images, in text order."""
    return sorted({image.partition('/')[0] for image in self.images if '/' in image})


def read_layout(directory: str, kind: str = FOLDER) -> Layout:
  """Finds the images of a folder.

  Args:
    directory: of the user. Where it holds nothing but the way to the validation
      images, as `val` or `ILSVRC/Data/CLS-LOC/val`, these are meant.
    kind: what stands before it in the name of the dataset, for messages.

  Raises:
    UserError: it is missing, unreadable or holds no images; several folders in it may
      be meant; an image is no file, or its name no UTF-8; there are too many.
  """
  given = os.path.expanduser(directory)
  if not directory or not os.path.isdir(given):
    raise MissingData(
      f'folder {directory!r} does not exist: give the folder that holds '
      'ILSVRC2012_val_*.JPEG or a folder for each class'
    )
  root = folder_root.find_root(given, kind)
  _check_name(os.path.realpath(root))
  layout = Layout(root, [], {}, [], LeftOut(), LeftOut())
  folders = []
  for entry in entries(root):
    if image_files.is_clutter(entry.name):
      layout.clutter.add(entry.name)
    elif entry.is_dir():
      folders.append(entry.name)
    else:
      _add_file(layout, entry, entry.name)
  for name in sorted(folders):
    before = len(layout.images)
    _add_folder(layout, name, 1)
    if len(layout.images) == before:
      layout.empty.append(name)
  if not layout.images:
    raise UserError(
      f'{root} holds no images: expected ILSVRC2012_val_*.JPEG, '
      'or images in a folder for each class'
    )
  layout.images.sort()
  _check_depth(layout, kind)
  return layout


def _check_depth(layout: Layout, kind: str) -> None:
  """Checks that folders for classes do not lie in what would be class folders.

  Raises:
    UserError: they do, known by their wnids.
  """
  deep = (image.split('/', 2) for image in layout.images if image.count('/') > 1)
  outer = {one[0] for one in deep if _WNID.match(one[1]) and not _WNID.match(one[0])}
  if outer:
    raise folder_root.several(layout.root, sorted(outer), kind)


def _add_folder(layout: Layout, inside: str, level: int) -> None:
  """Adds all images of a class folder; links to folders further in are not followed.

  Args:
    layout: to be added to.
    inside: the path in its root.
    level: how deep this is.
  """
  for entry in entries(os.path.join(layout.root, inside)):
    path = f'{inside}/{entry.name}'
    if image_files.is_clutter(entry.name):
      layout.clutter.add(entry.name)
    elif not entry.is_dir():
      _add_file(layout, entry, path)
    elif entry.is_symlink():
      layout.others.add(entry.name)
    elif level == MOST_LEVELS:
      raise UserError(
        f'{entry.path}: folders lie {level} deep, expected a folder for each class'
      )
    else:
      _add_folder(layout, path, level + 1)


def _add_file(layout: Layout, entry: os.DirEntry, path: str) -> None:
  kind = image_files.kind_of_file(entry.path, entry.name)
  if kind is None:
    layout.others.add(entry.name)
    return
  if not entry.is_file():
    raise UserError(f'{entry.path} is no file (a broken link?): replace or remove it')
  if not path.isascii():
    _check_name(entry.path)
  if len(layout.images) == budgets.ROWS:
    raise UserError(
      f'{layout.root} holds more than {budgets.ROWS:,} images: evaluate parts of it'
    )
  if kind not in ('', *image_files.MAGIC.values()):
    layout.undecoded[path] = kind
  layout.images.append(path)


def _check_name(path: str) -> None:
  try:
    path.encode()
  except UnicodeEncodeError as error:
    raise UserError(f'{path!r} has a name that is not UTF-8: rename it') from error
