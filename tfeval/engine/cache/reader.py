"""Batches whose pixels come from a cache where it has them, and go there where not."""

import contextlib
import functools
import logging
import os
import pathlib
import platform
import random
from collections.abc import Callable, Iterator

import tensorflow as tf

from tfeval.datasets.base import ImageDataset
from tfeval.engine import batches, pipeline
from tfeval.engine.batches import Batch
from tfeval.engine.cache import chunks, entries, writer
from tfeval.engine.cache.chunks import Chunk
from tfeval.preprocess import apply
from tfeval.preprocess.protocol import Protocol
from tfeval.utils import files
from tfeval.utils.errors import UserError

_LOG = logging.getLogger('tfeval')
_SHA256_BYTES = 32
# Images of each stretch that is cached, made again and compared: of a cache in which a
# twentieth is wrong 96 % of the runs find it.
SAMPLE = 64


def read_cached(
  cache: writer.Cache,
  dataset: ImageDataset,
  protocol: Protocol,
  batch_size: int,
  skip_errors: bool,
  positions: range,
) -> Iterator[Batch]:
  """Yields the same batches as `batches.read_batches`.

  Every encoded image is read and hashed as without a cache, so that ids, labels and
  content are those of today; only what is decoded and resized may come from the cache.
  Of that a sample is made again and compared.

  Args:
    cache: where preprocessed images lie.
    dataset, protocol, batch_size, skip_errors, positions: as `batches.read_batches`.

  Raises:
    UserError: as `batches.read_batches`.
  """
  store = _Store(cache, dataset, protocol)
  at = positions.start
  while at < positions.stop:
    stop, cached = store.stretch(range(at, positions.stop), batch_size)
    if not cached:
      yield from store.writer.through(
        batches.read_batches(
          dataset, protocol, batch_size, skip_errors, range(at, stop)
        )
      )
      at = stop
      continue
    for batch in _cached(store, dataset, batch_size, range(at, stop)):
      yield batch
      at = batch.positions[-1] + 1
    if at < stop:
      # It is made: reading tells what is wrong, where it is not the cache.
      store.leave_out(at, min(at + batch_size, stop))


def filled(
  cache: writer.Cache,
  dataset: ImageDataset,
  protocol: Protocol,
  batch_size: int,
  advance: Callable[[int], None],
) -> tuple[tf.data.Dataset, int] | None:
  """Fills a cache with a dataset, to measure what it costs to read it from there.

  Args:
    cache, dataset, protocol, batch_size: as for `read`.
    advance: is told how many images went by.

  Returns:
    Endless batches as of `pipeline.make_pipeline`, over and over the same, and the
    bytes of an image on disk; None if the cache cannot be written.

  Raises:
    UserError: as `read`.
  """
  positions = range(dataset.num_examples)
  for batch in read_cached(cache, dataset, protocol, batch_size, False, positions):
    advance(len(batch.ids))
  store = _Store(cache, dataset, protocol)
  if store.stretch(positions, batch_size) != (positions.stop, True):
    return None
  used = store.between(positions)

  def whole() -> Iterator[bytes]:
    for chunk in used:
      fault = store.fault(chunk)
      if fault:
        raise UserError(f'{chunk.path} was changed: {fault}: measure again')
      yield os.fsencode(chunk.path)

  pairs = _batches(whole, protocol, dataset, batch_size, positions, 0, repeat=True)
  bytes_on_disk = sum(entries.size_of(chunk.path) for chunk in used)
  return (
    pairs.map(lambda batch, digests: batch),
    round(bytes_on_disk / sum(chunk.stop - chunk.start for chunk in used)),
  )


class _Store:
  """The chunks of one protocol and dataset that may be used.

  Attributes:
    writer: takes batches that were not cached.
  """

  def __init__(self, cache: writer.Cache, dataset: ImageDataset, protocol: Protocol):
    # Mirrors are made of what is cached.
    protocol = protocol.of_pixels
    description = describe(dataset, protocol)
    self.protocol = protocol
    self.key = entries.key_of(description)
    self._count = dataset.num_examples
    of_image = protocol.size, protocol.dtype, protocol.crops
    self._size = chunks.images_per_chunk(*of_image)
    directory = cache.root / self.key
    cache.open(directory, description)
    self._chunks: dict[int, Chunk] = {}
    for chunk in entries.read_entry(directory).chunks:
      if self._covers(chunk):
        self._chunks[chunk.start] = chunk
    self.writer = writer.Writer(cache, directory, self._size, self._count, self._chunks)

  def _covers(self, chunk: Chunk) -> bool:
    """Returns whether a chunk is as long as it would be made now, or longer."""
    return (
      chunk.start % self._size == 0
      and min(chunk.start + self._size, self._count)
      <= chunk.stop
      <= chunk.start + self._size
    )

  def stretch(self, positions: range, batch_size: int) -> tuple[int, bool]:
    """Returns how far batches are alike from the first on, and whether cached."""

    def cached(start):
      return all(
        first in self._chunks
        for first in self._starts(start, min(start + batch_size, positions.stop))
      )

    first = cached(positions.start)
    for start in positions[::batch_size]:
      if cached(start) != first:
        return start, first
    return positions.stop, first

  def _starts(self, start: int, stop: int) -> range:
    return range(start // self._size * self._size, stop, self._size)

  def between(self, positions: range) -> list[Chunk]:
    """Returns the chunks that cover positions, all of which are there."""
    return [
      self._chunks[start] for start in self._starts(positions.start, positions.stop)
    ]

  def at(self, position: int) -> Chunk | None:
    return self._chunks.get(position // self._size * self._size)

  def fault(self, chunk: Chunk) -> str | None:
    one = self.protocol
    return chunks.fault(chunk, self.key, one.size, one.dtype, one.crops)

  def reject(self, chunk: Chunk, why: str) -> None:
    """Removes a chunk that is wrong, to be made again."""
    _LOG.info(f'{chunk.path} is not used, {why}: its images are made again')
    self._chunks.pop(chunk.start, None)
    with contextlib.suppress(OSError):
      chunk.path.unlink()

  def compare(self, batch: Batch, encoded: tf.Tensor, sampled: set[int]) -> None:
    """Compares pixels of a batch with those that are made of its images now.

    Args:
      batch: from the cache.
      encoded: string [n], its images.
      sampled: positions of those that are compared.

    Raises:
      UserError: they differ: checksums that are right do not make them so.
    """
    for number, position in enumerate(batch.positions):
      if position in sampled:
        image_id = tf.constant(batch.ids[number])
        made = pipeline.preprocess_image(
          self.protocol, encoded[number], image_id, False
        )
        if not tf.reduce_all(made == batch.pixels[number]):
          chunk = self.at(position)
          raise UserError(
            f'{chunk.path if chunk else self.key} has other pixels of image '
            f'{batch.ids[number]} than are made of it: somebody has changed the cache: '
            f'remove it (tfeval cache prune `all`), and ask who can write there'
          )

  def leave_out(self, start: int, stop: int) -> None:
    """Uses no chunk of these positions any more."""
    for first in self._starts(start, stop):
      self._chunks.pop(first, None)


def _cached(
  store: _Store, dataset: ImageDataset, batch_size: int, positions: range
) -> Iterator[Batch]:
  """Yields batches of positions that are cached, up to what proves to be wrong."""
  used, faults = store.between(positions), {}
  # Nobody who writes a cache can know which.
  sampled = set(random.SystemRandom().sample(positions, min(SAMPLE, len(positions))))

  def whole() -> Iterator[bytes]:
    for chunk in used:
      # Threads of tf.data come here: nothing is removed by them.
      faults[chunk] = store.fault(chunk)
      if faults[chunk]:
        return
      yield os.fsencode(chunk.path)

  at = positions.start
  pairs = iter(
    _batches(whole, store.protocol, dataset, batch_size, positions, at - used[0].start)
  )
  while True:
    try:
      found = next(pairs, None)
    except tf.errors.OpError as error:
      if at >= positions.stop:
        raise pipeline.unreadable_after(dataset, at, error) from error
      # Reading without a cache tells of data that cannot be read.
      return
    size = min(batch_size, positions.stop - at)
    if found is None or not size or len(found[0]['position']) < size:
      break
    batch = batches.make_batch(dataset, found[0])
    other = next(
      (
        position
        for position, sha256, cached in zip(
          batch.positions, batch.image_sha256, found[1].numpy(), strict=True
        )
        if sha256 != cached
      ),
      None,
    )
    if other is not None:
      store.reject(store.at(other), 'it is of images with other content')
      return
    store.compare(batch, found[0]['image'], sampled)
    yield batch
    at = batch.positions[-1] + 1
  for chunk, why in faults.items():
    if why:
      store.reject(chunk, why)


def _batches(
  paths: Callable[[], Iterator[bytes]],
  protocol: Protocol,
  dataset: ImageDataset,
  batch_size: int,
  positions: range,
  skip: int,
  repeat: bool = False,
) -> tf.data.Dataset:
  """Returns pairs of a batch as of `pipeline.make_pipeline`, and the digests cached."""
  dtype = tf.as_dtype(protocol.dtype)

  @tf.autograph.experimental.do_not_convert
  def with_pixels(numbered, records):
    position, example = numbered
    values = tf.io.decode_raw(records, dtype)[:, _SHA256_BYTES // dtype.size :]
    pixels = tf.reshape(values, [-1, *protocol.shape])
    return (
      {**example, 'position': position, 'pixels': pixels},
      tf.strings.substr(records, 0, _SHA256_BYTES),
    )

  # The next chunk is checked while one is used.
  records = (
    tf.data.Dataset.from_generator(paths, output_signature=tf.TensorSpec([], tf.string))
    .prefetch(1)
    .flat_map(lambda path: tf.data.TFRecordDataset(path).skip(1))
    .skip(skip)
  )
  read = dataset.examples(positions.start, positions.stop).enumerate(positions.start)
  pairs = tf.data.Dataset.zip(read, records)
  return (
    (pairs.repeat() if repeat else pairs)
    .batch(batch_size)
    .map(with_pixels)
    .prefetch(2)
    .with_options(pipeline.options())
  )


def describe(dataset: ImageDataset, protocol: Protocol) -> dict:
  """Returns what cached images are of: all that their pixels may depend on.

  Content of the dataset is only in it as the sizes of files: the digests of the images
  beside their pixels tell of it, when they are used.
  """
  return {
    'format': chunks.FORMAT,
    'protocol': protocol.describe(),
    'dataset': {
      'name': dataset.name,
      'config': dataset.config,
      'version': dataset.version,
      'split': dataset.split,
      'size_digest': dataset.size_digest,
    },
    'made_by': {
      'tensorflow': tf.__version__,
      'machine': platform.machine(),
      'preprocessing_sha256': _preprocessing_sha256(),
    },
    'images': dataset.num_examples,
  }


@functools.cache
def _preprocessing_sha256() -> str:
  folder = pathlib.Path(apply.__file__).parent
  return files.digest_of_pairs(
    (path.name, files.sha256_of(path))
    for path in [*sorted(folder.glob('*.py')), folder / 'corruptions.toml']
  )
