"""Writes preprocessed images into a cache, as long as that can be done."""

import contextlib
import logging
import os
import pathlib
import uuid
from collections.abc import Iterable, Iterator, Mapping

import tensorflow as tf

from tfeval.engine.batches import Batch
from tfeval.engine.cache import chunks, entries
from tfeval.engine.cache.chunks import Chunk
from tfeval.utils import errors, files, lock_file, untrusted
from tfeval.utils.errors import UserError

_LOG = logging.getLogger('tfeval')


class Cache:
  """A cache directory, of which a run may lose the use and continue.

  Attributes:
    root: the directory.
    writable: whether it can still be written.
  """

  def __init__(self, directory: str):
    """Makes the directory.

    Raises:
      UserError: it cannot be made, or holds something else.
    """
    self.root, why = entries.prepare(directory)
    self.writable = True
    if why:
      self.give_up(why)

  def give_up(self, why: str) -> None:
    """Writes nothing any more, and says so once."""
    if self.writable:
      _LOG.warning(
        f'images are not cached in {self.root} from here on, the evaluation goes '
        f'on: {why}'
      )
    self.writable = False

  def open(self, directory: pathlib.Path, description: dict) -> None:
    """Makes an entry, or notes that it is used.

    Args:
      directory: of the entry.
      description: what it is of.

    Raises:
      UserError: others can write there, or it is a link to elsewhere.
    """
    path = directory / entries.ENTRY
    # What is written into a link lands wherever it leads.
    untrusted.check_inside(directory, self.root)
    if directory.is_dir():
      entries.check_own(directory)
    if self.writable:
      for one in directory.glob(entries.UNFINISHED):
        lock_file.remove_abandoned(one)
    there = entries.read_description(directory)
    if there and there['images'] >= description['images']:
      # When it was used last.
      with contextlib.suppress(OSError):
        path.touch()
    elif self.writable:
      try:
        directory.mkdir(entries.MODE, exist_ok=True)
        files.write_json(path, description)
      except OSError as error:
        self.give_up(f'{directory}: {error.strerror}')
      except UserError as error:
        self.give_up(str(error))


class Writer:
  """Writes chunks that are missing, each all at once under its name.

  An image that was skipped leaves its chunk unwritten.
  """

  def __init__(
    self,
    cache: Cache,
    directory: pathlib.Path,
    size: int,
    count: int,
    there: Mapping[int, Chunk],
  ):
    """Writes nothing yet.

    Args:
      cache: that the entry lies in.
      directory: of the entry.
      size: how many positions a chunk covers.
      count: how many images there are.
      there: chunks by their first position, which need not be written.
    """
    self._cache, self._directory = cache, directory
    self._size, self._count, self._there = size, count, there
    self._file: tf.io.TFRecordWriter | None = None
    self._lock: int | None = None
    self._path = directory
    self._start = self._next = self._stop = 0

  def through(self, batches: Iterable[Batch]) -> Iterator[Batch]:
    """Yields batches, in order, and writes the chunks that they complete."""
    try:
      for batch in batches:
        if self._cache.writable:
          self._take(batch)
        yield batch
    finally:
      self._discard()

  def _take(self, batch: Batch) -> None:
    pixels = batch.pixels.numpy()
    try:
      for number, position in enumerate(batch.positions):
        if position % self._size == 0:
          self._discard()
          if position not in self._there:
            self._begin(position)
        if self._file is None or position != self._next:
          self._discard()
          continue
        self._file.write(chunks.record(batch.image_sha256[number], pixels[number]))
        self._next += 1
        if self._next == self._stop:
          self._finish()
    except (OSError, tf.errors.OpError) as error:
      self._discard()
      self._cache.give_up(errors.one_line(error))

  def _begin(self, start: int) -> None:
    self._next, self._start = start, start
    self._stop = min(start + self._size, self._count)
    self._path = self._directory / f'.chunk-{start:08d}.{uuid.uuid4().hex}.tmp'
    # Locked, it is seen to be no leftover; TensorFlow writes into the same file.
    self._lock = lock_file.take(self._path, must_be_new=True)
    self._file = tf.io.TFRecordWriter(str(self._path))
    self._file.write(chunks.header(self._directory.name, start, self._stop))

  def _finish(self) -> None:
    # Not synced: what a power cut tears does not match its name.
    self._file.close()
    sha256 = files.sha256_of(self._path)
    path = self._directory / chunks.name(self._start, self._stop, sha256)
    self._path.replace(path)
    self._forget()
    for other in self._directory.glob(f'chunk-{self._start:08d}-*'):
      # Of a smaller limit, or torn.
      if other != path and chunks.parse(other):
        other.unlink(missing_ok=True)

  def _discard(self) -> None:
    if self._file is not None:
      with contextlib.suppress(OSError, tf.errors.OpError):
        self._file.close()
    if self._lock is not None:
      with contextlib.suppress(OSError):
        self._path.unlink()
    self._forget()

  def _forget(self) -> None:
    self._file = None
    if self._lock is not None:
      os.close(self._lock)
    self._lock = None
