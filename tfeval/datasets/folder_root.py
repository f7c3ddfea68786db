"""The folder that images or class folders lie in, perhaps further in than given."""

import os
from collections.abc import Iterator

from tfeval.datasets import image_files
from tfeval.utils import budgets
from tfeval.utils.errors import UserError

# What stands before folders that are no test set of the field.
FOLDER = 'folder'
# Folders that stand on the way to images, and those that may be meant beside them.
_ENTERED = frozenset({'val', 'validation', 'valid', 'ilsvrc', 'data', 'cls-loc'})
_SPLITS = frozenset({'train', 'training', 'test', 'testing'})
# Deeper nobody puts images; a link to a folder above would never end.
MOST_LEVELS = 8


def find_root(given: str, kind: str = FOLDER) -> str:
  """Returns the folder that images or class folders lie in.

  Args:
    given: a folder. Where it holds nothing but the way to the validation images, as
      `val` or `ILSVRC/Data/CLS-LOC/val`, this is gone.
    kind: what stands before it in the name of the dataset.

  Raises:
    UserError: a folder cannot be read; several folders may be meant.
  """
  root = given
  for _ in range(MOST_LEVELS):
    folders = []
    for entry in entries(root):
      if image_files.is_clutter(entry.name):
        continue
      if entry.is_dir():
        folders.append(entry.name)
      elif _may_be_image(entry):
        return root
    way = _way(root, sorted(folders), kind)
    if way is None:
      return root
    root = os.path.join(root, way)
  raise UserError(f'{given}: {root} leads no further to images: give their folder')


def entries(directory: str) -> Iterator[os.DirEntry]:
  """Yields what lies in a folder, in no order.

  Raises:
    UserError: it cannot be read, or holds more than anybody keeps names of.
  """
  try:
    with os.scandir(directory) as found:
      for number, entry in enumerate(found):
        if number == 2 * budgets.ROWS:
          raise UserError(
            f'{directory} holds more than {number:,} files and folders: evaluate '
            'parts of it'
          )
        yield entry
  except OSError as error:
    raise UserError(f'cannot read the folder {directory}: {error.strerror}') from error


def _may_be_image(entry: os.DirEntry) -> bool:
  return image_files.kind_of_file(entry.path, entry.name) is not None


def _way(root: str, folders: list[str], kind: str) -> str | None:
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
      raise several(root, folders, kind)
  if len(folders) != 1 and not lower & special:
    return None
  inner = [name for name in folders if not _holds_image(os.path.join(root, name), 0)]
  inner = [name for name in inner if _holds_image(os.path.join(root, name))]
  if inner and (len(folders) == 1 or {name.lower() for name in inner} & special):
    raise several(root, inner, kind)
  return None


def several(root: str, folders: list[str], kind: str) -> UserError:
  """Returns the error for folders of which one has to be chosen; validation first."""
  folders = sorted(folders, key=lambda name: (name.lower() not in _ENTERED, name))
  ways = [os.path.join(root, name) for name in folders]
  return UserError(
    f'{root} holds {" and ".join(folders[:3])}, not classes: give '
    + ' or '.join(f'`dataset={kind}:{way}`' for way in ways[:2])
  )


def _holds_image(
  directory: str, levels: int = MOST_LEVELS, followed: set[str] | None = None
) -> bool:
  """Whether a folder holds an image, so many levels below it among it.

  Args:
    directory: the folder.
    levels: how many.
    followed: where links have led to, each of which is looked at once.
  """
  folders, followed = [], set() if followed is None else followed
  for entry in entries(directory):
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
