"""Where prepared data lie that TFDS does not find: versions, places, sister sets."""

import os
import pathlib
from collections.abc import Iterator

from tfeval.utils.errors import MissingData, listed

_INFO = 'dataset_info.json'
# Each is made of the same images.
_SISTERS = {'imagenet2012_real': 'imagenet2012', 'imagenet2012': 'imagenet2012_real'}
# How many entries of a directory are looked into.
_MOST = 200


def check(
  name: str,
  config: str | None,
  version: str | None,
  root: pathlib.Path,
  asked: str | None = None,
) -> None:
  """Checks that a dataset that is not prepared is not prepared elsewhere.

  Args:
    name: the dataset's.
    config: of those that have some.
    version: that is not prepared; None: whichever there is would do.
    root: the `data_dir` that it is not prepared in.
    asked: the version that was asked for, None if none was.

  Raises:
    UserError: it is there under another version, above or below `root`, or
      another set of the same images is; says how to name it.
  """
  inside = pathlib.Path(name, config or '')
  missing = f'{inside}{f" {version}" if version else ""} is not prepared in {root}'
  for place in _places(root):
    versions = _versions(place / inside)
    right = asked or version
    if place == root:
      if versions and not asked:
        raise MissingData(
          f'{missing}, version {listed(versions)} is: give '
          f'`dataset={inside}:{versions[-1]}`'
        )
    elif right in versions or (versions and not asked):
      also = ''
      if version and version not in versions:
        also = f' and `dataset={inside}:{versions[-1]}`'
      raise MissingData(f'{missing}, but in {place}: give `data_dir={place}`{also}')
  sister = _SISTERS.get(name)
  for place in _places(root) if sister else ():
    if _versions(place / sister):
      where = f' and `data_dir={place}`' if place != root else ''
      real = (
        ', with `real_labels=real.json` for ReaL labels'
        if sister == 'imagenet2012'
        else ''
      )
      raise MissingData(
        f'{missing}, but {sister} is, which has the same images: give '
        f'`dataset={sister}`{where}{real}; or prepare it with `manual_dir`'
      )


def is_prepared(directory: pathlib.Path) -> bool:
  """Returns whether the directory of a version holds a prepared dataset."""
  return any((directory / name).is_file() for name in (_INFO, 'features.json'))


def anything_prepared(directory: pathlib.Path) -> bool:
  """Returns whether the directory of a dataset holds a version, or one of a config."""
  inner = _directories(directory)
  return any(
    map(is_prepared, [*inner, *(two for one in inner for two in _directories(one))])
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
    if is_prepared(one) and one.name.replace('.', '').isdecimal()
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
