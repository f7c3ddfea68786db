"""`meta.mat` of ImageNet's development kit: which class has which id."""

import io
import math
import pathlib
import struct
import zlib

from tfeval.utils import budgets, errors, untrusted
from tfeval.utils.errors import UserError

_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
# Classes of arrays that hold arrays: cell, structure.
_OF_ARRAYS = (1, 2)
_CLASSES = (*_OF_ARRAYS, 4, *range(6, 16))  # And char, and numbers.
_DEPTH = 4


class _Malformed(ValueError):
  """A file is cut, changed, or declares more than it holds."""


def read_ilsvrc_ids(path: pathlib.Path) -> dict[int, str]:
  """Returns the wnid of each ILSVRC2012 id.

  What the file declares is checked before SciPy reads it.

  Args:
    path: of `meta.mat`: a structure `synsets` with `ILSVRC2012_ID` and `WNID`.

  Raises:
    UserError: it cannot be read, or holds something else.
  """
  from scipy import io as scipy_io  # Rarely needed.

  try:
    content = _checked(untrusted.read_bytes(path, budgets.META_FILE))
    found = scipy_io.loadmat(
      io.BytesIO(content), variable_names=['synsets'], squeeze_me=True
    )
    synsets = found['synsets']
    pairs = zip(synsets['ILSVRC2012_ID'], synsets['WNID'], strict=True)
    return {int(number): str(wnid) for number, wnid in pairs}
  except OSError as error:
    raise UserError(f'cannot read {path}: {error.strerror or error}') from error
  except UserError:
    raise
  except Exception as error:  # SciPy raises many types.
    raise UserError(
      f'{path} is not meta.mat of a development kit: {errors.one_line(error, 120)}'
    ) from error


def _checked(content: bytes) -> bytes:
  """Returns a file of MATLAB 5, unpacked, that declares no more than it holds."""
  if len(content) < _HEADER or content[124:128] != b'\x00\x01IM':
    raise _Malformed('it is no little-endian file of MATLAB 5')
  parts, left = [content[:_HEADER]], budgets.META_UNPACKED
  rest = memoryview(content)[_HEADER:]
  while len(rest):
    kind, body, rest = _element(rest)
    if kind == _COMPRESSED:
      unpacker = zlib.decompressobj()
      body = memoryview(unpacker.decompress(body, left))
      if unpacker.unconsumed_tail or not unpacker.eof:
        raise _Malformed(
          f'it is cut, or unpacks to more than {budgets.META_UNPACKED:,} bytes'
        )
      kind, inside, _ = _element(body)
      parts.append(bytes(body))
    else:
      inside = body
      parts.append(struct.pack('<II', kind, len(body)) + bytes(body))
    left -= len(parts[-1])
    if left < 1:
      raise _Malformed(f'it unpacks to more than {budgets.META_UNPACKED:,} bytes')
    if kind != _MATRIX:
      raise _Malformed(f'it has an element of the type {kind}')
    _check_array(inside, _DEPTH)
  return b''.join(parts)


def _element(data: memoryview) -> tuple[int, memoryview, memoryview]:
  """Returns type and bytes of the first element, and what is behind it."""
  if len(data) < 8:
    raise _Malformed('it is cut')
  kind, size = struct.unpack_from('<II', data)
  if kind >> 16:  # In four bytes, beside a size in the upper half.
    kind, size, start, end = kind & 0xFFFF, kind >> 16, 4, 8
  else:
    start = 8
    padded = size if kind == _COMPRESSED else -(-size // 8) * 8
    end = start + padded
  if start + size > min(len(data), end):
    raise _Malformed('it is cut')
  return kind, data[start : start + size], data[end:]


def _check_array(data: memoryview, depth: int) -> None:
  """Checks that an array has no more values than bytes, and those in it."""
  if not len(data):
    return  # An array of nothing.
  if not depth:
    raise _Malformed('its arrays are nested too deeply')
  _, flags, data = _element(data)
  _, shape, data = _element(data)
  _, _, data = _element(data)  # Its name.
  if len(flags) != 8 or len(shape) not in range(4, 129, 4) or flags[0] not in _CLASSES:
    raise _Malformed(f'it has an array of the class {bytes(flags[:1]).hex()}')
  sides = [n for (n,) in struct.iter_unpack('<i', shape)]
  values = math.prod(sides)
  if min(sides, default=0) < 0 or values > len(data):
    raise _Malformed(f'it has an array of {values:,} values in {len(data):,} bytes')
  if flags[0] not in _OF_ARRAYS:
    return
  if flags[0] == 2:
    _, _, data = _element(data)  # How long names of fields are.
    _, _, data = _element(data)
  while len(data):
    kind, inside, data = _element(data)
    if kind != _MATRIX:
      raise _Malformed(f'it has an element of the type {kind} in an array')
    _check_array(inside, depth - 1)
