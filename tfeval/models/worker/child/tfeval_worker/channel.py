"""How a process and the one that it started speak: lines of JSON and shared memory.

Messages go through two pipes, a JSON object in a line; arrays through one anonymous
file that both map, so that nothing is pickled and nothing is left behind when either
is killed. Known to both sides, one of which may be another Python environment: nothing
but the standard library and NumPy is imported.
"""

import json
import mmap
import os
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np

# No message is near it: what is longer comes from something else.
_LONGEST_MESSAGE = 1 << 24
# Starts of arrays, as vector instructions want them.
_ALIGNED = 64


class SharedMemory:
  """Anonymous memory of two processes, mapped again where it has grown."""

  def __init__(self, file: int | None = None):
    """Makes it, or takes the file that was inherited."""
    self.file = _anonymous_file() if file is None else file
    self._map: mmap.mmap | None = None

  def reserve(self, size: int) -> None:
    """Makes room for so many bytes; what was there is lost where it grows."""
    if self._map is None or len(self._map) < size:
      size = max(size, os.fstat(self.file).st_size)  # The other side may have grown it.
      os.ftruncate(self.file, size)
      self._map = mmap.mmap(self.file, size)

  def array(self, offset: int, shape: Sequence[int], dtype: str) -> np.ndarray:
    """Returns an array in it, of what was reserved; it is no copy."""
    count = int(np.prod(shape, dtype=np.int64))
    end = offset + count * np.dtype(dtype).itemsize
    if self._map is None or len(self._map) < end:  # The other side made it larger.
      self._map = mmap.mmap(self.file, os.fstat(self.file).st_size)
    return np.frombuffer(self._map, dtype, count, offset).reshape(shape)

  def close(self) -> None:
    self._map = None  # Arrays may still look at it.
    os.close(self.file)


def aligned(size: int) -> int:
  """Returns the next place where an array may start.

  >>> aligned(1), aligned(64)
  (64, 64)
  """
  return -(-size // _ALIGNED) * _ALIGNED


def _anonymous_file() -> int:
  if hasattr(os, 'memfd_create'):
    return os.memfd_create('tfeval')
  with tempfile.TemporaryFile() as file:
    return os.dup(file.fileno())


class Pipe:
  """One end of a pair of pipes."""

  def __init__(self, reads: int, writes: int):
    self.reads = open(reads, 'rb', buffering=0)
    self.writes = open(writes, 'wb', buffering=0)
    self._read = b''

  def send(self, message: dict[str, Any]) -> None:
    """Writes a message.

    Raises:
      OSError: the other side is gone.
    """
    data = json.dumps(message).encode() + b'\n'
    while data:
      data = data[self.writes.write(data) :]

  def receive(self) -> dict[str, Any] | None:
    """Waits for a message; None where the other side is gone.

    Raises:
      ValueError: it is none.
    """
    while b'\n' not in self._read:
      part = self.reads.read(1 << 16)
      if not part:
        return None
      self._read += part
      if len(self._read) > _LONGEST_MESSAGE:
        raise ValueError('a message without an end')
    line, _, self._read = self._read.partition(b'\n')
    return json.loads(line)

  def close(self) -> None:
    self.reads.close()
    self.writes.close()
