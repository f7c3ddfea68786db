"""Image files as they are named on the command line; nothing here decodes one."""

import os
import pathlib
import re
from collections.abc import Iterable, Iterator

from tfeval.utils import untrusted
from tfeval.utils.errors import UserError

# What names of images end with, whatever the first bytes say.
SUFFIXES = frozenset({'.jpeg', '.jpg', '.jpe', '.jfif', '.png'})
# What lies beside images, also by the ten thousands, and downloads that are no whole
# files yet: not looked into.
_NEVER = frozenset(
  '.txt .csv .tsv .lst .xml .json .jsonl .md .rst .html .pdf .yaml .yml .toml .ini .py '
  '.sh .log .npy .npz .mat .pkl .tar .tgz .gz .zip .parquet .tfrecord .h5 .keras '
  '.part .partial .crdownload .download .tmp .bak'.split()
)
# What an encoded image starts with, of the kinds that are decoded.
MAGIC = {b'\xff\xd8\xff': 'JPEG', b'\x89PNG\r\n\x1a\n': 'PNG'}
# How many bytes tell every kind.
START = 16
# Kinds that are not decoded, which are told by their names.
_OTHER_KINDS = {
  'GIF': rb'GIF8[79]a',
  # Two letters begin many a text; of four bytes after the size all are zero.
  'BMP': rb'BM.{4}\0{4}',
  'WebP': rb'RIFF.{4}WEBP',
  'TIFF': rb'II[*+]\0|MM\0[*+]',
  'HEIC': rb'.{4}ftyp(hei[cxms]|hevc|mif1|msf1)',
  'AVIF': rb'.{4}ftypavi[fs]',
  'JPEG 2000': rb'\0\0\0\x0cjP  \r\n',
  'JPEG XL': rb'\xff\x0a|\0\0\0\x0cJXL \r\n',
}
# What systems put beside files: Synology, QNAP, Windows, macOS; Python's caches.
_CLUTTER = frozenset(
  '@eadir @tmp @recycle @recently-snapshot #recycle #snapshot $recycle.bin '
  'thumbs.db ehthumbs.db desktop.ini __macosx lost+found __pycache__'.split()
) | {'system volume information'}


def kind_of(start: bytes) -> str | None:
  """Returns what kind of image a file is that starts so, None if none we decode.

  >>> kind_of(b'GIF89a') is None
  True
  """
  return next((kind for magic, kind in MAGIC.items() if start.startswith(magic)), None)


def other_kind(start: bytes) -> str | None:
  """Returns the kind of image that is not decoded, None of anything else.

  Args:
    start: `START` bytes or more.

  >>> other_kind(b'GIF89a'), other_kind(b'RIFF\\0\\0\\0\\0WEBPVP8 '), other_kind(b'II')
  ('GIF', 'WebP', None)
  """
  kinds = _OTHER_KINDS.items()
  return next((name for name, of in kinds if re.match(of, start, re.DOTALL)), None)


def not_an_image(start: bytes) -> str:
  """Returns what is wrong with a file that starts so, if `kind_of` knows no kind."""
  if not start:
    return 'it is empty'
  if kind := other_kind(start):
    return not_decoded(kind)
  return f'neither JPEG nor PNG, it starts with {start[:8]!r}'


def not_decoded(kind: str) -> str:
  """Returns what is wrong with an image of a kind that `other_kind` told."""
  return f'it is {kind}, neither JPEG nor PNG'


def is_clutter(name: str) -> bool:
  """Whether a file or folder is hidden, or one that systems make for themselves.

  >>> is_clutter('.DS_Store'), is_clutter('@eaDir'), is_clutter('cat.jpg')
  (True, True, False)
  """
  return name.startswith('.') or name.lower() in _CLUTTER


def kind_of_file(path: str | os.PathLike[str], name: str) -> str | None:
  """Returns the kind of image that a file is, by its name or else by how it starts.

  Args:
    path: of the file.
    name: its last part.

  Returns:
    `JPEG`, `PNG` or one that is not decoded; `''` where the name says that it is one of
    the former; None: it is no image.

  Raises:
    UserError: it has to be looked into, and cannot be read.
  """
  suffix = os.path.splitext(name)[1].lower()
  if suffix in SUFFIXES:
    return ''
  if suffix in _NEVER or name.endswith('~'):
    return None
  start = _start(path)
  return kind_of(start) or other_kind(start)


def _start(path: str | os.PathLike[str]) -> bytes:
  """Returns the first bytes of a file, of what is none nothing."""
  path = pathlib.Path(path)
  try:
    if path.exists() and not path.is_file():
      return b''
  except OSError as error:
    raise UserError(f'cannot read {_shown(path)}: {error.strerror}') from error
  return read_image(path, START)


def find_images(named: Iterable[str], check: bool = True) -> list[pathlib.Path]:
  """Returns image files, in the order in which they are named.

  Args:
    named: paths of files and of folders; a folder stands for the images in it and in
      the folders inside of it, sorted by path, hidden ones left out.
    check: whether each is looked into.

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
  for path in found if check else ():
    check_image(path)
  return found


def _in_folder(folder: pathlib.Path) -> list[pathlib.Path]:
  images = [path for _, path in sorted(images_below(folder))]
  if not images:
    raise UserError(
      f'{_shown(folder)} holds no images: expected JPEG or PNG files in it'
    )
  return images


def images_below(root: pathlib.Path) -> Iterator[tuple[str, pathlib.Path]]:
  """Yields images in a folder and in those inside of it, but hidden ones.

  Links to folders are not followed.

  Yields:
    The path from `root`, with slashes, and the path.

  Raises:
    UserError: a folder cannot be read.
  """

  def refuse(error: OSError):
    where = _shown(error.filename or root)
    raise UserError(f'cannot read {where}: {error.strerror}') from error

  for folder, inside, names in os.walk(root, onerror=refuse):
    inside[:] = [one for one in inside if not is_clutter(one)]
    for name in names:
      path = pathlib.Path(folder, name)
      if not is_clutter(name) and kind_of_file(path, name) is not None:
        yield path.relative_to(root).as_posix(), path


def check_image(path: pathlib.Path) -> None:
  """Checks that a file can be read and starts as an image does.

  Raises:
    UserError: it cannot, or does not.
  """
  try:
    os.fspath(path).encode()
  except UnicodeEncodeError as error:
    raise UserError(
      f'{_shown(path)} has a name that is not UTF-8: rename it'
    ) from error
  if not path.is_file():
    raise UserError(f'{_shown(path)} is no file (a broken link?): replace or remove it')
  start = read_image(path, START)
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
