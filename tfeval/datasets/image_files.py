"""Image files as they are named on the command line; nothing here decodes one."""

import os
import pathlib
from collections.abc import Iterable

from tfeval.utils import untrusted
from tfeval.utils.errors import UserError

SUFFIXES = frozenset({'.jpeg', '.jpg', '.png', '.gif', '.bmp', '.webp'})
# What an encoded image starts with, of the kinds that are decoded.
MAGIC = {b'\xff\xd8\xff': 'JPEG', b'\x89PNG\r\n\x1a\n': 'PNG'}


def kind_of(start: bytes) -> str | None:
  """Returns what kind of image a file is that starts so, None if none we decode.

  >>> kind_of(b'GIF89a') is None
  True
  """
  return next((kind for magic, kind in MAGIC.items() if start.startswith(magic)), None)


def not_an_image(start: bytes) -> str:
  """Returns what is wrong with a file that starts so, if `kind_of` knows no kind."""
  if not start:
    return 'it is empty'
  return f'neither JPEG nor PNG, it starts with {start[:8]!r}'


def find_images(named: Iterable[str]) -> list[pathlib.Path]:
  """Returns image files, in the order in which they are named.

  Args:
    named: paths of files and of folders; a folder stands for the images that lie
      directly in it, sorted by name, hidden ones left out.

  Raises:
    UserError: a file or folder is missing, unreadable or no image by its first
      bytes, or a folder has no images.
  """
  found = []
  for name in named:
    path = pathlib.Path(name).expanduser()
    if not name or not path.exists():
      raise UserError(
        f'{_shown(name)} does not exist: give image files, or a folder of them'
      )
    found += _in_folder(path) if path.is_dir() else [path]
  for path in found:
    _check(path)
  return found


def _in_folder(folder: pathlib.Path) -> list[pathlib.Path]:
  try:
    entries = sorted(folder.iterdir())
  except OSError as error:
    raise UserError(f'cannot read {_shown(folder)}: {error.strerror}') from error
  images = [
    path
    for path in entries
    if path.suffix.lower() in SUFFIXES
    and not path.name.startswith('.')
    and not path.is_dir()
  ]
  if not images:
    raise UserError(
      f'{_shown(folder)} holds no images: expected JPEG or PNG files directly in it'
    )
  return images


def _check(path: pathlib.Path) -> None:
  try:
    os.fspath(path).encode()
  except UnicodeEncodeError as error:
    raise UserError(
      f'{_shown(path)} has a name that is not UTF-8: rename it'
    ) from error
  if not path.is_file():
    raise UserError(f'{_shown(path)} is no file (a broken link?): replace or remove it')
  start = read_image(path, 8)
  if kind_of(start) is None:
    raise unreadable(path, not_an_image(start))


def read_image(path: pathlib.Path, size: int = -1) -> bytes:
  """Returns a file's content, or its first bytes.

  Raises:
    UserError: it cannot be read.
  """
  try:
    with untrusted.open_file(path) as file:
      return file.read(size)
  except OSError as error:
    raise UserError(f'cannot read {_shown(path)}: {error.strerror}') from error


def unreadable(path: pathlib.Path, fault: str) -> UserError:
  """Returns the error for an image that cannot be decoded."""
  return UserError(
    f'{_shown(path)} is not a readable image: {fault}: replace it, or leave it out'
  )


def _shown(name: str | pathlib.Path) -> str:
  # As it stands where that is harmless; the rest would tear the line apart.
  text = os.fspath(name)
  return text if text and text.isprintable() else repr(text)
