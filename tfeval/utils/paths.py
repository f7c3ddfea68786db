"""Paths of both kinds, local ones and URLs of stores, and what texts they are.

Both have the methods of `pathlib.Path` that tfeval uses: but for the writing of files,
nothing has to ask which of them it has.
"""

import contextlib
import os
import pathlib
import re
import tempfile
from collections.abc import Iterator

from tfeval.utils.errors import UserError
from tfeval.utils.remote_path import RemotePath

Path = pathlib.Path | RemotePath

# What TensorFlow takes for a scheme (`io::ParseURI` in tsl/platform/path.cc).
_URL = re.compile(r'[A-Za-z][A-Za-z0-9.]*://')


def is_url(text: object) -> bool:
  """Returns whether a path is the URL of a store.

  >>> is_url('gs://bucket/runs'), is_url('/data/runs'), is_url('my.module:build')
  (True, False, False)
  """
  return bool(_URL.match(str(text)))


def path(text: str | os.PathLike[str] | RemotePath) -> Path:
  """Returns the path that a text stands for.

  >>> path('gs://bucket/runs/') / 'ResNet50/result.json'
  RemotePath('gs://bucket/runs/ResNet50/result.json')
  >>> path('runs').name
  'runs'
  """
  if isinstance(text, RemotePath):
    return text
  _check_name(os.fspath(text))
  if is_url(text):
    return RemotePath.parse(str(text))
  return pathlib.Path(text).expanduser()


def _check_name(text: str) -> None:
  """Checks that a text can be the name of a file at all.

  Raises:
    UserError: it cannot.
  """
  try:
    longest = max(map(len, os.fsencode(text).split(b'/')))
  except UnicodeEncodeError as error:
    raise UserError(f'{text[:200]!r} can be no path: it is no UTF-8') from error
  # What Linux and macOS allow (NAME_MAX of limits.h).
  if '\0' in text or longest > 255:
    raise UserError(
      f'{text[:200]!r} can be no path: names have at most 255 bytes, none of them 0'
    )


def absolute(text: str) -> str:
  """Returns a path that holds from every working directory; a URL does already.

  >>> absolute('gs://bucket/a'), absolute('/data/../a')
  ('gs://bucket/a', '/a')
  """
  return text if is_url(text) else os.path.abspath(os.path.expanduser(text))


@contextlib.contextmanager
def local_copy(path: Path) -> Iterator[pathlib.Path]:
  """Gives the local name that libraries need: the path itself, or that of a copy.

  The copy is gone afterwards. What goes wrong with it is reported of the original.

  Raises:
    UserError: the path cannot be copied.
  """
  if isinstance(path, pathlib.Path):
    yield path
    return
  with tempfile.TemporaryDirectory(prefix='tfeval-') as scratch:
    copy = pathlib.Path(scratch, path.name or 'root')
    try:
      path.copy_to(copy)
    except OSError as error:
      raise UserError(f'cannot copy {path} into {scratch}: {error.strerror}') from error
    try:
      yield copy
    except UserError as error:
      raise type(error)(str(error).replace(str(copy), str(path))) from error
