"""A directory of caches: making it, and what lies in it."""

import dataclasses
import hashlib
import json
import pathlib
import re
from typing import Any

from tfeval.engine.cache import chunks
from tfeval.engine.cache.chunks import Chunk
from tfeval.preprocess.protocol import NO_TTA, crops_of
from tfeval.utils import files, paths, untrusted
from tfeval.utils.errors import UserError

ENTRY = 'entry.json'
# Of directories, whatever the umask allows to a group.
MODE = 0o755
# What is being written: locked by its process, the rest of the name is random.
UNFINISHED = '.*.tmp'
TAG = 'CACHEDIR.TAG'
# The first line is the same for every program: https://bford.info/cachedir/
_TAG_CONTENT = (
  b'Signature: 8a477f597d28d172789f06886806bc55\n'
  b'# Preprocessed images; see tfeval cache --help.\n'
)
_KEY = re.compile(r'[\da-f]{32}')


@dataclasses.dataclass(frozen=True)
class Entry:
  """Images of one protocol and dataset.

  Attributes:
    directory: named by its key.
    description: what its images are of; None where that is missing or damaged.
    chunks: files that have the name of a chunk, in order.
  """

  directory: pathlib.Path
  description: dict[str, Any] | None
  chunks: tuple[Chunk, ...]

  @property
  def key(self) -> str:
    return self.directory.name

  @property
  def images(self) -> int:
    """How many positions the chunks cover."""
    ends: dict[int, int] = {}
    for chunk in self.chunks:
      ends[chunk.start] = max(chunk.stop, ends.get(chunk.start, 0))
    return sum(stop - start for start, stop in ends.items())

  @property
  def bytes(self) -> int:
    return sum(size_of(chunk.path) for chunk in self.chunks)

  def fault(self, chunk: Chunk) -> str | None:
    """Returns what is wrong with one of the chunks, None if nothing is."""
    if self.description is None:
      return f'its {ENTRY} is missing or damaged'
    protocol = self.description['protocol']
    return chunks.fault(
      chunk,
      self.key,
      protocol['size'],
      protocol['dtype'],
      crops_of(protocol.get('tta', NO_TTA)),
    )


def size_of(path: pathlib.Path) -> int:
  """Returns the bytes of a file, 0 where it is gone."""
  try:
    return path.stat().st_size
  except OSError:
    return 0


def key_of(description: dict[str, Any]) -> str:
  """Returns the name of an entry.

  Args:
    description: what its images are of; `images`, how many there are, may change.
  """
  of = {key: value for key, value in description.items() if key != 'images'}
  return hashlib.sha256(json.dumps(of, sort_keys=True).encode()).hexdigest()[:32]


def read_description(directory: pathlib.Path) -> dict[str, Any] | None:
  """Returns what an entry's images are of, None if that is missing or damaged."""
  try:
    description = files.read_json(directory / ENTRY, directory)
  except UserError:
    return None
  if (
    not isinstance(description, dict)
    or key_of(description) != directory.name
    or type(description.get('images')) is not int
  ):
    return None
  protocol, dataset = description.get('protocol'), description.get('dataset')
  if not (
    isinstance(protocol, dict)
    and isinstance(dataset, dict)
    and type(protocol.get('size')) is int
    and 0 < protocol['size'] < 1 << 16
    and protocol.get('dtype') in ('uint8', 'float32')
    and isinstance(protocol.get('spec'), str)
    and isinstance(dataset.get('name'), str)
    and isinstance(dataset.get('split'), str)
  ):
    return None
  return description


def read_entry(directory: pathlib.Path) -> Entry:
  """Returns what lies in the directory of an entry, which need not exist."""
  try:
    found = [chunks.parse(path) for path in sorted(directory.iterdir())]
  except OSError:
    found = []
  return Entry(directory, read_description(directory), tuple(filter(None, found)))


def prepare(directory: str) -> tuple[pathlib.Path, str | None]:
  """Makes a cache, or checks that a directory is one.

  Returns:
    The cache, and why nothing can be written there: it costs speed, and no result.

  Raises:
    UserError: it cannot be made, or holds something else.
  """
  if paths.is_url(directory):
    raise UserError(f'`cache_dir={directory}` is a URL: give a local directory')
  root = pathlib.Path(directory).expanduser()
  try:
    root.mkdir(MODE, parents=True, exist_ok=True)
    check_own(root)
    # Before the tag is looked for: another process may be making the same cache.
    others = any(TAG not in path.name for path in root.iterdir())
    if is_cache(root):
      return root, None
  except OSError as error:
    raise files.cannot_write(root, error, '`cache_dir`') from error
  if others:
    raise UserError(
      f'{root} is not empty and no cache of tfeval: choose another `cache_dir`'
    )
  try:
    files.write_atomically(root / TAG, _TAG_CONTENT, '`cache_dir`')
  except UserError as error:
    return root, str(error)
  return root, None


def check_own(directory: pathlib.Path) -> None:
  """Checks that nobody else can write into a directory.

  Raises:
    OSError: it cannot be looked at.
    UserError: somebody can.
  """
  if not untrusted.is_own(directory):
    raise UserError(
      f'{directory} can be written by others, who could change cached images: '
      f'chmod go-w, or choose another `cache_dir`'
    )


def is_cache(root: pathlib.Path) -> bool:
  """Returns whether a directory is a cache of tfeval.

  Raises:
    OSError: that cannot be read.
  """
  try:
    return untrusted.read_bytes(root / TAG, len(_TAG_CONTENT), root) == _TAG_CONTENT
  except (FileNotFoundError, NotADirectoryError, UserError):
    return False


def listed(directory: str) -> list[Entry]:
  """Returns the entries of a cache, in the order of their keys.

  Raises:
    UserError: the directory is no cache, or cannot be read.
  """
  root = pathlib.Path(directory).expanduser()
  try:
    if not is_cache(root):
      raise UserError(
        f'{root} is no cache of tfeval, its {TAG} is not there: give '
        'what was the `cache_dir` of tfeval evaluate'
      )
    return [
      read_entry(path)
      for path in sorted(root.iterdir())
      if _KEY.fullmatch(path.name) and path.is_dir() and not path.is_symlink()
    ]
  except OSError as error:
    raise UserError(f'cannot read {root}: {error.strerror}') from error
