"""Classes that names stand for, and files of such names."""

import pathlib
import re
from collections.abc import Sequence

from tfeval.datasets.containers.locations import Location
from tfeval.datasets.labels import class_files, imagenet, resolution
from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.utils import budgets
from tfeval.utils.errors import UserError

IMAGENET = 'imagenet'
# So many of a thousand readable names have to be those of the classes in their order.
_SAME_NAMES = 900


def chosen(location: Location, names: Sequence[str] | None) -> Sequence[str] | None:
  """Returns the names of the classes: those asked for, else those given.

  Raises:
    UserError: the names asked for cannot be read, or are those given in another order.
  """
  if location.classes is None:
    return names
  if location.classes == IMAGENET:
    return imagenet.label_space().class_ids
  asked = read_names(pathlib.Path(location.classes).expanduser())
  if names is not None and asked != [*names] and sorted(asked) == sorted(names):
    raise UserError(
      f'{location.classes} names the classes in another order than {location.name} '
      f'does, where 0 is {names[0]}: leave it out'
    )
  return asked


def resolved(location: Location, names: Sequence[str]) -> tuple[LabelSpace, list[int]]:
  """Returns the classes, and which of them each name is."""
  space = imagenet.label_space()
  if len(names) == len(space):
    pairs = zip(names, space.class_names, strict=True)
    if sum(_plain(a) == _plain(b) for a, b in pairs) >= _SAME_NAMES:
      return space, list(range(len(space)))
  return resolution.resolve(short_name(location), list(names))


def _plain(name: str) -> str:
  return re.sub(r'[\s_]+', ' ', name.split(',')[0]).strip().lower()


def short_name(location: Location) -> str:
  """Returns what classes without a name of their own are called together."""
  return pathlib.PurePath(location.target).name


def competing(space: LabelSpace, indices: Sequence[int]) -> list[int] | None:
  """Returns the classes that compete where a dataset has but a part of all."""
  return sorted(indices) if len(indices) < len(space) else None


def read_names(path: pathlib.Path) -> list[str]:
  """Reads names of classes, see `class_files.read_entries`; empty ones are left out.

  Raises:
    UserError: the file cannot be read, or its numbers have gaps.
  """
  names = [name for name, _ in class_files.read_entries(path) if name]
  if not 1 <= len(names) <= budgets.CLASSES:
    raise UserError(f'{path} names {len(names):,} classes, expected 1 and more')
  return names
