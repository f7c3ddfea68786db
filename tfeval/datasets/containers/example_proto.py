"""TFRecords of `tf.train.Example`, looked through without reading the images in them.

Formats: https://www.tensorflow.org/tutorials/load_data/tfrecord and `example.proto` of
TensorFlow in Protocol Buffers' wire format. Only what is asked for is read.
"""

import os
import pathlib
from collections.abc import Collection, Iterator
from typing import BinaryIO

from tfeval.utils import budgets
from tfeval.utils.errors import UserError

Values = list[int] | list[bytes]
_WINDOW = 4096
_MOST_KEY = 1024
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
# Fields of `Feature`.
_BYTES_LIST, _INT64_LIST = 1, 3
# Of each record: its length, a checksum of that, and one of the content behind it.
_HEAD, _TAIL = 12, 4


class _Broken(ValueError):
  """The wire format is not kept."""


def examples(
  path: pathlib.Path, file: BinaryIO, wanted: Collection[str], sized: str
) -> Iterator[tuple[dict[str, Values], set[str]]]:
  """Yields what is in each example of a file.

  Args:
    path: what messages call it.
    file: it, opened.
    wanted: names of features whose values are short texts or whole numbers.
    sized: the name of one whose values are long.

  Yields:
    The wanted features that are there, with the sizes of the values of `sized` in place
    of them; and the names of all others.

  Raises:
    UserError: the file is cut off, packed, or no such records.
  """
  descriptor = file.fileno()
  size = os.fstat(descriptor).st_size
  window, at, number = _Window(descriptor), 0, 0
  while at < size:
    head = os.pread(descriptor, _HEAD, at)
    length = int.from_bytes(head[:8], 'little')
    if len(head) == _HEAD and head[8:] != _masked_crc(head[:8]):
      packed = head.startswith(b'\x1f\x8b')
      raise UserError(
        f'{path} '
        + (
          'is packed with gzip: gunzip it'
          if packed
          else f'has no record at byte {at:,}: expected TFRecords: get it again'
        )
      )
    start, at = at + _HEAD, at + _HEAD + length + _TAIL
    if len(head) < _HEAD or at > size:
      raise UserError(
        f'{path} ends within record {number}: it was cut off: get it again'
      )
    try:
      yield _features(window, start, start + length, wanted, sized)
    except (_Broken, UnicodeDecodeError) as error:
      raise UserError(
        f'{path}: record {number} is no tf.train.Example ({error}): get it again'
      ) from error
    number += 1


class _Window:
  """A file of which the part around the last place is in memory."""

  def __init__(self, descriptor: int):
    self._descriptor = descriptor
    self._start, self._content = 0, b''

  def bytes(self, at: int, count: int) -> bytes:
    """Returns so many bytes, fewer at the end of the file."""
    first = at - self._start
    if not 0 <= first <= first + count <= len(self._content):
      self._content = os.pread(self._descriptor, max(count, _WINDOW), at)
      self._start, first = at, 0
    return self._content[first : first + count]

  def varint(self, at: int, stop: int) -> tuple[int, int]:
    """Returns a number, and where it ends."""
    first = at - self._start
    if at < stop and 0 <= first < len(self._content):
      # Nearly all are of one byte, and there are fifty in a record.
      byte = self._content[first]
      if byte < 128:
        return byte, at + 1
    value = 0
    for shift, byte in enumerate(self.bytes(at, min(10, stop - at))):
      value |= (byte & 127) << 7 * shift
      if byte < 128:
        return value, at + shift + 1
    raise _Broken('a number without an end')

  def fields(self, at: int, stop: int) -> Iterator[tuple[int, int | None, int, int]]:
    """Yields fields of a message: number, value, and where its bytes are.

    The value is None of what is no number.
    """
    while at < stop:
      tag, at = self.varint(at, stop)
      kind, end = tag & 7, at
      value: int | None = None
      if kind == _VARINT:
        value, end = self.varint(at, stop)
      elif kind == _BYTES:
        length, at = self.varint(at, stop)
        end = at + length
      elif kind in (_FIXED32, _FIXED64):
        end = at + (4 if kind == _FIXED32 else 8)
      else:
        raise _Broken(f'a field of the kind {kind}')
      if end > stop:
        raise _Broken('a field longer than what it is in')
      yield tag >> 3, value, at, end
      at = end


def _features(
  window: _Window, start: int, stop: int, wanted: Collection[str], sized: str
) -> tuple[dict[str, Values], set[str]]:
  """Returns what `examples` yields of the example that lies from start to stop."""
  found: dict[str, Values] = {}
  others = set()
  for number, _, at, end in window.fields(start, stop):
    if number != 1:
      continue
    for inside, _, first, last in window.fields(at, end):
      if inside != 1:
        continue
      entry = {n: (a, b) for n, _, a, b in window.fields(first, last)}
      if 1 not in entry:
        continue
      key_at, key_end = entry[1]
      if key_end - key_at > _MOST_KEY:
        raise _Broken('a feature with a long name')
      key = window.bytes(key_at, key_end - key_at).decode()
      if key in found:
        raise _Broken(f'two features {key[:80]}')
      if key != sized and key not in wanted:
        others.add(key)
      elif 2 in entry:
        found[key] = _values(window, *entry[2], key == sized)
  return found, others


def _values(window: _Window, start: int, stop: int, sized: bool) -> Values:
  """Returns the values of a feature, or the sizes of texts."""
  values: list = []
  for kind, _, at, end in window.fields(start, stop):
    if kind == _BYTES_LIST:
      for _, _, first, last in window.fields(at, end):
        if not sized and last - first > budgets.ID:
          raise _Broken(f'a text of {last - first:,} bytes')
        values.append(last - first if sized else window.bytes(first, last - first))
    elif kind == _INT64_LIST and not sized:
      for _, value, first, last in window.fields(at, end):
        if last - first > 10:
          raise _Broken('many numbers where one is due')
        if value is not None:
          values.append(_signed(value))
          continue
        while first < last:  # Packed.
          value, first = window.varint(first, last)
          values.append(_signed(value))
  return values


def _signed(value: int) -> int:
  return value - (1 << 64) if value >> 63 else value


def _table() -> list[int]:
  found = []
  for byte in range(256):
    crc = byte
    for _ in range(8):
      crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    found.append(crc)
  return found


_CRC32C = _table()


def _masked_crc(content: bytes) -> bytes:
  """Returns the checksum of a few bytes as TFRecords have it (CRC-32C, masked)."""
  crc = 0xFFFFFFFF
  for byte in content:
    crc = crc >> 8 ^ _CRC32C[(crc ^ byte) & 255]
  crc ^= 0xFFFFFFFF
  masked = ((crc >> 15 | crc << 17) & 0xFFFFFFFF) + 0xA282EAD8 & 0xFFFFFFFF
  return masked.to_bytes(4, 'little')
