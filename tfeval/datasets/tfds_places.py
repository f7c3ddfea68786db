"""Where prepared data lie that TFDS does not find: versions, places, sister sets."""

import os
import pathlib
from collections.abc import Iterator
from typing import Any

from tfeval.utils.errors import UserError

_INFO = 'dataset_info.json'
# Each is made of the same images.
_SISTERS = {'imagenet2012_real': 'imagenet2012', 'imagenet2012': 'imagenet2012_real'}
# How many entries of a directory are looked into.
_MOST = 200


def check(builder: Any, name: str, data_dir: str | None) -> None:
  """Checks that a dataset that is not prepared is not prepared elsewhere.

  Args:
    builder: of TFDS.
    name: as the dataset was asked for.
    data_dir: as it was given.

  Raises:
    UserError: it is there under another version, above or below `data_dir`, or
      another set of the same images is; says how to name it.
  """
  if '://' in os.fspath(builder.data_dir):
    return
  config = getattr(builder.builder_config, 'name', None)
  inside = pathlib.Path(builder.name, config or '')
  root = pathlib.Path(builder.data_dir).parents[len(inside.parts)]
  missing = f'{builder.name} {builder.version} is not prepared in {root}'
  for place in _places(root):
    versions = _versions(place / inside)
    if place == root:
      if versions and ':' not in name:
        raise UserError(
          f'{missing}, version {", ".join(versions)} is: give '
          f'`dataset={inside}:{versions[-1]}`'
        )
    elif str(builder.version) in versions or (versions and ':' not in name):
      version = '' if str(builder.version) in versions else f':{versions[-1]}'
      also = f' and `dataset={inside}{version}`' if version else ''
      raise UserError(f'{missing}, but in {place}: give `data_dir={place}`{also}')
  sister = _SISTERS.get(builder.name)
  for place in _places(root) if sister else ():
    if _versions(place / sister):
      where = f' and `data_dir={place}`' if place != root else ''
      real = (
        ', with `real_labels=real.json` for ReaL labels'
        if sister == 'imagenet2012'
        else ''
      )
      raise UserError(
        f'{missing}, but {sister} is, which has the same images: give '
        f'`dataset={sister}`{where}{real}; or prepare it with `manual_dir`'
      )


def _places(root: pathlib.Path) -> Iterator[pathlib.Path]:
  """Yields where data may lie: a directory, those above it, and those below."""
  yield root
  yield from list(root.absolute().parents)[:3]
  for first in _directories(root):
    yield first
    yield from _directories(first)


def _versions(directory: pathlib.Path) -> list[str]:
  """Returns the versions that are prepared in the directory of a dataset, in order."""
  found = [
    one.name
    for one in _directories(directory)
    if (one / _INFO).is_file() and one.name.replace('.', '').isdecimal()
  ]
  return sorted(found, key=lambda text: [int(part) for part in text.split('.') if part])


def _directories(directory: pathlib.Path) -> list[pathlib.Path]:
  found = []
  try:
    with os.scandir(directory) as entries:
      for _, entry in zip(range(_MOST), entries, strict=False):
        if entry.is_dir() and not entry.name.startswith('.'):
          found.append(pathlib.Path(entry.path))
  except OSError:
    return []  # What cannot be looked at holds nothing that could be read.
  return sorted(found)
