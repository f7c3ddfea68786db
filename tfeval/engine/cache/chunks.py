"""Files of preprocessed images: their names, their size, and whether they are whole."""

import dataclasses
import hashlib
import pathlib
import re
import struct

import numpy as np

from tfeval.utils import untrusted
from tfeval.utils.errors import UserError

# Changes with what chunks hold: an entry of another format has another key.
FORMAT = 1
# Enough that a disk reads in one go, little beside the memory of a model.
_LARGEST_BYTES = 32 << 20
_SHA256_BYTES = 32
# Length and masked CRC32C before a record, CRC32C after it:
# https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
_BEFORE, _AFTER = 12, 4
_NAME = re.compile(r'chunk-(\d{8,18})-(\d{8,18})-([\da-f]{64})\.tfrecord')


@dataclasses.dataclass(frozen=True)
class Chunk:
  """A file as its name has it.

  Attributes:
    path: of the file.
    start, stop: positions of its images in the dataset, before `stop`.
    sha256: of the file, in hexadecimal.
  """

  path: pathlib.Path
  start: int
  stop: int
  sha256: str


def name(start: int, stop: int, sha256: str) -> str:
  """Returns the name of a chunk.

  >>> name(0, 128, 64 * 'a')[:27]
  'chunk-00000000-00000128-aaa'
  """
  return f'chunk-{start:08d}-{stop:08d}-{sha256}.tfrecord'


def parse(path: pathlib.Path) -> Chunk | None:
  """Returns the chunk that a path names, None if it names none."""
  found = _NAME.fullmatch(path.name)
  if not found or int(found[1]) >= int(found[2]):
    return None
  return Chunk(path, int(found[1]), int(found[2]), found[3])


def image_bytes(size: int, dtype: str, crops: int = 1) -> int:
  """Returns how many bytes the pixels of an image have: crops x size x size x 3."""
  return crops * size * size * 3 * np.dtype(dtype).itemsize


def images_per_chunk(size: int, dtype: str, crops: int = 1) -> int:
  """Returns how many positions a chunk covers: a power of two, as batches often are.

  >>> images_per_chunk(224, 'uint8'), images_per_chunk(224, 'float32')
  (128, 32)
  """
  each = image_bytes(size, dtype, crops)
  return 1 << max(0, (_LARGEST_BYTES // each).bit_length() - 1)


def header(key: str, start: int, stop: int) -> bytes:
  """Returns the first record of a chunk."""
  return f'tfeval images {FORMAT} {key} {start} {stop}'.encode()


def record(sha256: bytes, pixels: np.ndarray) -> bytes:
  """Returns the record of an image.

  Args:
    sha256: digest of the encoded image, 32 bytes.
    pixels: [size, size, 3], or of several crops, of the protocol's dtype.
  """
  return sha256 + pixels.astype(pixels.dtype.newbyteorder('<'), copy=False).tobytes()


def fault(chunk: Chunk, key: str, size: int, dtype: str, crops: int = 1) -> str | None:
  """Returns what is wrong with a chunk, None if nothing is; reads all of it.

  Args:
    chunk: the file.
    key: of the entry that it lies in.
    size, dtype, crops: of the entry's protocol.
  """
  first = header(key, chunk.start, chunk.stop)
  start = struct.pack('<Q', len(first))
  framing = _BEFORE + _AFTER
  expected = (
    framing
    + len(first)
    + (chunk.stop - chunk.start)
    * (framing + _SHA256_BYTES + image_bytes(size, dtype, crops))
  )
  try:
    with untrusted.open_file(chunk.path, within=chunk.path.parent) as file:
      found = file.seek(0, 2)
      if found != expected:
        return f'it has {found} bytes, expected {expected}'
      file.seek(0)
      begins = file.read(_BEFORE + len(first))
      if begins[: len(start)] != start or begins[_BEFORE:] != first:
        return 'it is of other images'
      file.seek(0)
      if hashlib.file_digest(file, 'sha256').hexdigest() != chunk.sha256:
        return 'it was changed after it was written'
  except UserError:
    return 'it is no file'
  except OSError as error:
    return f'it cannot be read ({error.strerror or error})'
  return None
