"""Where the images of a folder lie: its root, its class folders, their files.

Class folders are what Keras and torchvision take for them: the folders in the root,
with all that lies in these at any depth. Nothing here knows what a class is called.
"""

import dataclasses
import os
import re
from collections.abc import Iterator

from tfeval.datasets import image_files
from tfeval.utils import budgets
from tfeval.utils.errors import UserError

# Folders that stand on the way to images, and those beside them that hold none.
_ENTERED = frozenset({'val', 'validation', 'valid', 'ilsvrc', 'data', 'cls-loc'})
_SPLITS = frozenset({'train', 'training', 'test', 'testing'})
# Deeper nobody puts images; a link to a folder above would never end.
_MOST_LEVELS = 8
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


def read_layout(directory: str) -> Layout:
  """Finds the images of a folder.

  Args:
    directory: of the user. Where it holds nothing but the way to the validation
      images, as `val` or `ILSVRC/Data/CLS-LOC/val`, these are meant.

  Raises:
    UserError: it is missing, unreadable or holds no images; several folders in it may
      be meant; an image is no file, or its name no UTF-8; there are too many.
  """
  given = os.path.expanduser(directory)
  if not directory or not os.path.isdir(given):
    raise UserError(
      f'folder {directory!r} does not exist: give the folder that holds '
      'ILSVRC2012_val_*.JPEG or a folder for each class'
    )
  root = _find_root(given)
  layout = Layout(root, [], {}, [], LeftOut(), LeftOut())
  folders = []
  for entry in _entries(root):
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
  _check_depth(given, layout)
  return layout


def _check_depth(given: str, layout: Layout) -> None:
  """Checks that folders for classes do not lie in what would be class folders.

  Raises:
    UserError: they do, known by their wnids.
  """
  deep = (image.split('/', 2) for image in layout.images if image.count('/') > 1)
  outer = {one[0] for one in deep if _WNID.match(one[1]) and not _WNID.match(one[0])}
  if outer:
    raise _several(given, layout.root, sorted(outer))


def _add_folder(layout: Layout, inside: str, level: int) -> None:
  """Adds all images of a class folder; links to folders further in are not followed.

  Args:
    layout: to be added to.
    inside: the path in its root.
    level: how deep this is.
  """
  for entry in _entries(os.path.join(layout.root, inside)):
    path = f'{inside}/{entry.name}'
    if image_files.is_clutter(entry.name):
      layout.clutter.add(entry.name)
    elif not entry.is_dir():
      _add_file(layout, entry, path)
    elif entry.is_symlink():
      layout.others.add(entry.name)
    elif level == _MOST_LEVELS:
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
    _check_name(entry, path)
  if len(layout.images) == budgets.ROWS:
    raise UserError(
      f'{layout.root} holds more than {budgets.ROWS:,} images: evaluate parts of it'
    )
  if kind not in ('', *image_files.MAGIC.values()):
    layout.undecoded[path] = kind
  layout.images.append(path)


def _may_be_image(entry: os.DirEntry) -> bool:
  return image_files.kind_of_file(entry.path, entry.name) is not None


def _check_name(entry: os.DirEntry, path: str) -> None:
  try:
    path.encode()
  except UnicodeEncodeError as error:
    raise UserError(
      f'{entry.path!r} has a name that is not UTF-8: rename it'
    ) from error


def _entries(directory: str) -> Iterator[os.DirEntry]:
  """Yields what lies in a folder, in no order.

  Raises:
    UserError: it cannot be read.
  """
  try:
    with os.scandir(directory) as found:
      yield from found
  except OSError as error:
    raise UserError(f'cannot read the folder {directory}: {error.strerror}') from error


def _find_root(given: str) -> str:
  """Returns the folder that images or class folders lie in, entering those above it."""
  root = given
  for _ in range(_MOST_LEVELS):
    folders = []
    for entry in _entries(root):
      if image_files.is_clutter(entry.name):
        continue
      if entry.is_dir():
        folders.append(entry.name)
      elif _may_be_image(entry):
        return root
    way = _way(given, root, sorted(folders))
    if way is None:
      return root
    root = os.path.join(root, way)
  raise UserError(f'{given}: {root} leads no further to images: give their folder')


def _way(given: str, root: str, folders: list[str]) -> str | None:
  """Returns the folder that has to be entered to find images, None for none.

  Raises:
    UserError: several folders may be meant.
  """
  special = _ENTERED | _SPLITS
  lower = {name.lower() for name in folders}
  if lower & special:
    # Those without an image are annotations and lists of files.
    folders = [name for name in folders if _holds_image(os.path.join(root, name))]
    if folders and all(name.lower() in special for name in folders):
      if len(folders) == 1 and folders[0].lower() in _ENTERED:
        return folders[0]
      raise _several(given, root, folders)
  if len(folders) != 1 and not lower & special:
    return None
  inner = [name for name in folders if not _holds_image(os.path.join(root, name), 0)]
  inner = [name for name in inner if _holds_image(os.path.join(root, name))]
  if inner and (len(folders) == 1 or {name.lower() for name in inner} & special):
    raise _several(given, root, inner)
  return None


def _several(given: str, root: str, folders: list[str]) -> UserError:
  """Returns the error for folders of which one has to be chosen; validation first."""
  folders = sorted(folders, key=lambda name: (name.lower() not in _ENTERED, name))
  ways = [os.path.join(root, name) for name in folders]
  return UserError(
    f'{given} holds {" and ".join(folders[:3])}, not classes: give '
    + ' or '.join(f'folder:{way}' for way in ways[:2])
  )


def _holds_image(
  directory: str, levels: int = _MOST_LEVELS, followed: set[str] | None = None
) -> bool:
  """Whether a folder holds an image, so many levels below it among it.

  Args:
    directory: the folder.
    levels: how many.
    followed: where links have led to, each of which is looked at once.
  """
  folders, followed = [], set() if followed is None else followed
  for entry in _entries(directory):
    if image_files.is_clutter(entry.name):
      continue
    if not entry.is_dir():
      if _may_be_image(entry):
        return True
    elif not entry.is_symlink():
      folders.append(entry.path)
    elif (real := os.path.realpath(entry.path)) not in followed:
      followed.add(real)
      folders.append(real)
  return levels > 0 and any(_holds_image(one, levels - 1, followed) for one in folders)
