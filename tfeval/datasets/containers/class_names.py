"""Classes that names stand for, and files of such names."""

import pathlib
import re
from collections.abc import Sequence

from tfeval.datasets.containers.locations import Location
from tfeval.datasets.labels import imagenet, resolution
from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.utils import budgets, untrusted
from tfeval.utils.errors import UserError

IMAGENET = 'imagenet'
# So many of a thousand readable names have to be those of the classes in their order.
_SAME_NAMES = 900


def chosen(location: Location, names: Sequence[str] | None) -> Sequence[str] | None:
  """Returns the names of the classes: those asked for, else those given."""
  if location.classes is None:
    return names
  if location.classes == IMAGENET:
    return imagenet.label_space().class_ids
  return read_names(pathlib.Path(location.classes).expanduser())


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
  """Reads names of classes, one a line, or `number:name` from 0 on.

  Raises:
    UserError: the file cannot be read, or its numbers have gaps.
  """
  try:
    text = untrusted.read_bytes(path, budgets.CLASS_MAP).decode('utf-8-sig')
  except OSError as error:
    raise UserError(f'cannot read {path}: {error.strerror}') from error
  except UnicodeDecodeError as error:
    raise UserError(f'{path} is not UTF-8: expected a class in each line') from error
  lines = [line.strip() for line in text.splitlines() if line.strip()]
  numbered = [re.fullmatch(r'(\d{1,9}):\s*(\S.*)', line) for line in lines]
  if lines and all(numbered):
    found = {int(match[1]): match[2] for match in numbered if match}
    if sorted(found) != list(range(len(lines))):
      raise UserError(f'{path} numbers {len(lines)} classes, but not from 0 on by one')
    lines = [found[n] for n in range(len(lines))]
  if not 1 <= len(lines) <= budgets.CLASSES:
    raise UserError(f'{path} names {len(lines):,} classes, expected 1 and more')
  return lines
