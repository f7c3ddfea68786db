"""Headers of tar files, read so that nothing in them leads anywhere.

Nothing is unpacked: a member is a place in the file. Where these are plain files, and
what they are called, is all that is told; links, devices and names that lead out of the
archive are refused.
"""

import os
import pathlib
import tarfile
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from tfeval.utils import budgets, errors
from tfeval.utils.errors import UserError

_BLOCK = tarfile.BLOCKSIZE
# What a file may hold that stands behind its end mark: tar fills up to a record.
_MOST_FILLING = 1 << 20
_MOST_EXTENDED = 64 << 10
_FILES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_KINDS = {
  tarfile.SYMTYPE: 'a link',
  tarfile.LNKTYPE: 'a link',
  tarfile.CHRTYPE: 'a device',
  tarfile.BLKTYPE: 'a device',
  tarfile.FIFOTYPE: 'a named pipe',
}
_PACKED = {
  b'\x1f\x8b': ('gzip', 'gunzip'),
  b'BZh': ('bzip2', 'bunzip2'),
  b'\xfd7zXZ': ('xz', 'unxz'),
  b'\x28\xb5\x2f\xfd': ('zstd', 'unzstd'),
}


class Member(NamedTuple):
  """A plain file in a tar file: its name, and where its bytes are."""

  name: str
  offset: int
  size: int


def members(path: pathlib.Path, file: BinaryIO) -> Iterator[Member]:
  """Yields the plain files of a tar file, in order.

  Args:
    path: what messages call it.
    file: it, opened; where it is read next is left as it is.

  Raises:
    UserError: it cannot be read, is no tar file, packed, cut off, followed by something
      else; a member is no plain file, or its name leads elsewhere.
  """
  try:
    yield from _members(path, file.fileno(), os.fstat(file.fileno()).st_size)
  except (tarfile.TarError, ValueError) as error:
    if isinstance(error, UserError):
      raise
    raise UserError(
      f'{path} is not a whole tar file: {errors.one_line(error, 120)}: copy it again'
    ) from error


def _members(path: pathlib.Path, descriptor: int, size: int) -> Iterator[Member]:
  at, said = 0, {}  # What extended headers say of the member behind them.
  while True:
    block = os.pread(descriptor, _BLOCK, at)
    if at == 0:
      _check_start(path, block)
    if len(block) < _BLOCK:
      raise _cut_off(path)
    if not any(block):
      _check_end(path, descriptor, at, size)
      return
    name, length, kind = _plain(block) or _any(block)
    at += _BLOCK
    if kind in _FILES and 'size' in said:
      length = int(said['size'])
    end = at + -(-length // _BLOCK) * _BLOCK
    if length < 0 or at + length > size:
      raise _cut_off(path)
    if kind in (
      tarfile.GNUTYPE_LONGNAME,
      tarfile.XHDTYPE,
      tarfile.SOLARIS_XHDTYPE,
      tarfile.XGLTYPE,
    ):
      said |= _extended(path, kind, _piece(path, descriptor, at, length))
    else:
      name = said.get('path', name)
      if _is_file(path, name, kind):
        yield Member(_checked_name(path, name), at, length)
      said = {}
    at = end


def _plain(block: bytes) -> tuple[str, int, bytes] | None:
  """Returns what `_any` does of the usual header of a file, five times as fast.

  None of any other header, the damaged ones among them.
  """
  name, _, rest = block[:100].partition(b'\0')
  size = block[124:136].strip(b' \0')
  checksum = block[148:156]
  if (
    block[156] != ord('0')
    or block[257:262] != b'ustar'
    or any(block[345:500])
    or rest.strip(b'\0')
    or name.endswith(b'/')
    or not (size.isdigit() and checksum.strip(b' \0').isdigit())
  ):
    return None
  # Of its bytes, its own taken for blanks.
  seen = sum(block) - sum(checksum) + 8 * ord(' ')
  if int(checksum.strip(b' \0'), 8) != seen:
    return None
  return name.decode(), int(size, 8), tarfile.REGTYPE


def _any(block: bytes) -> tuple[str, int, bytes]:
  """Returns the name, size and kind of a header."""
  header = tarfile.TarInfo.frombuf(block, 'utf-8', 'strict')
  return header.name, header.size, header.type


def _check_start(path: pathlib.Path, block: bytes) -> None:
  for magic, (kind, tool) in _PACKED.items():
    if block.startswith(magic):
      raise UserError(f'{path} is packed with {kind}, expected a tar file: {tool} it')
  if not block:
    raise UserError(f'{path} is empty, expected a tar file: copy it again')


def _check_end(path: pathlib.Path, descriptor: int, at: int, size: int) -> None:
  if size - at > _MOST_FILLING or any(os.pread(descriptor, size - at, at)):
    raise UserError(
      f'{path} goes on behind its end: tar files that were put together hide all '
      'but the first: name each'
    )


def _piece(path: pathlib.Path, descriptor: int, at: int, length: int) -> bytes:
  if length > _MOST_EXTENDED:
    raise UserError(
      f'{path} has a header of {length:,} bytes, expected at most {_MOST_EXTENDED:,}'
    )
  return os.pread(descriptor, length, at)


def _extended(path: pathlib.Path, kind: bytes, content: bytes) -> dict[str, str]:
  """Returns the name and size that a header says of the next member."""
  if kind == tarfile.GNUTYPE_LONGNAME:
    return {'path': content.rstrip(b'\0').decode()}
  found, at = {}, 0
  while at < len(content) and content[at]:
    length = int(content[at : content.index(b' ', at)])
    key, equals, value = content[at : at + length].partition(b' ')[2].partition(b'=')
    if length < 5 or at + length > len(content) or not equals:
      raise ValueError('an extended header that is none')
    if key.startswith(b'GNU.sparse'):
      raise UserError(f'{path} has files with holes: pack it whole')
    if key in (b'path', b'size'):
      if kind == tarfile.XGLTYPE:
        raise UserError(f'{path} has one {key.decode()} for all members: pack it anew')
      found[key.decode()] = value.removesuffix(b'\n').decode()
    at += length
  return found


def _is_file(path: pathlib.Path, name: str, kind: bytes) -> bool:
  """Whether a member is a plain file; directories are none.

  Raises:
    UserError: it is neither.
  """
  if kind in _FILES:
    return True
  if kind == tarfile.DIRTYPE:
    return False
  what = _KINDS.get(kind, f'of the kind {kind!r}')
  raise UserError(
    f'{path}: {name[:200]!r} is {what}, expected plain files: pack the files themselves'
  )


def _checked_name(path: pathlib.Path, name: str) -> str:
  """Returns a name without `./` before it.

  Raises:
    UserError: it leads out of the archive, or can be none.
  """
  parts = name.split('/')
  if name.startswith('/') or '..' in parts or '\0' in name or '\\' in name:
    raise UserError(
      f'{path}: {name[:200]!r} leads out of the archive: pack it with names of files '
      'in it'
    )
  if len(name.encode()) > budgets.ID:
    raise UserError(
      f'{path} has a name of {len(name.encode()):,} bytes, expected at most '
      f'{budgets.ID:,}'
    )
  return '/'.join(part for part in parts if part not in ('', '.'))


def _cut_off(path: pathlib.Path) -> UserError:
  return UserError(f'{path} ends too early: it was cut off: copy it again')
