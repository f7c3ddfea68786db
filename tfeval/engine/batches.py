"""A dataset as batches of images, each with what is known of it."""

import dataclasses
import functools
import hashlib
import itertools
from collections.abc import Iterator, Sequence
from concurrent import futures

import numpy as np
import tensorflow as tf

from tfeval.datasets.base import ImageDataset
from tfeval.engine import data_service
from tfeval.engine.pipeline import (
  Protocols,
  by_position,
  cores,
  explain_failure,
  make_pipeline,
  unreadable_after,
)
from tfeval.engine.placement import Pixels, Placed
from tfeval.preprocess import device_canvas
from tfeval.preprocess.protocol import Protocol


@dataclasses.dataclass(frozen=True)
class Batch:
  """n examples, ready for any model that shares their protocol.

  Attributes:
    positions: n positions in the dataset, from 0, ascending.
    ids: n ids.
    image_sha256: n SHA-256 digests of the encoded images, 32 bytes each.
    labels: int64 [n], -1 for none.
    real_labels: n lists of classes, or None without ReaL labels.
    pixels: [n, size, size, 3] of the protocol's dtype, of several protocols those of
      each by its number, or what `device_resize.resize` makes these of;
      `placement.Placed` once they are where they are computed with, None once they are
      not needed any more.
    resized_on_host: positions of the images that were too large for the device's
      canvas.
  """

  positions: list[int]
  ids: list[str]
  image_sha256: list[bytes]
  labels: np.ndarray
  real_labels: list[list[int]] | None
  pixels: Pixels | Placed | None
  resized_on_host: Sequence[int] = ()


def read_batches(
  dataset: ImageDataset,
  protocol: Protocols,
  batch_size: int,
  skip_errors: bool = False,
  positions: range | None = None,
  canvas: int | None = None,
  pipeline: tf.data.Dataset | None = None,
) -> Iterator[Batch]:
  """Yields examples batch by batch, in the dataset's order.

  Args:
    dataset: examples.
    protocol: makes pixels of them.
    batch_size: how many positions a batch covers.
    skip_errors: whether images that cannot be decoded are skipped; their
      positions are then missing.
    positions: which to read, from a multiple of the batch size; all by default.
    canvas: as for `make_pipeline`.
    pipeline: what `make_pipeline` made of the same arguments before, if it did.

  Raises:
    UserError: the data cannot be read, or an image is broken, which is named.
  """
  for batch in decoded(
    dataset, protocol, batch_size, skip_errors, positions, canvas, pipeline
  ):
    yield make_batch(dataset, batch)


def decoded(
  dataset: ImageDataset,
  protocol: Protocols,
  batch_size: int,
  skip_errors: bool = False,
  positions: range | None = None,
  canvas: int | None = None,
  pipeline: tf.data.Dataset | None = None,
) -> Iterator[dict[str, tf.Tensor]]:
  """Yields the batches of `make_pipeline`, and tells of what stops them.

  Args and what is raised are those of `read_batches`.
  """
  done = 0 if positions is None else positions.start
  if pipeline is None:
    pipeline = make_pipeline(
      dataset, protocol, batch_size, skip_errors, positions, canvas
    )
  batches = iter(pipeline)
  if skip_errors:
    batches = by_position(batches, batch_size)
  while True:
    try:
      batch = next(batches, None)
    except tf.errors.OpError as error:
      if skip_errors:
        raise unreadable_after(dataset, done, error) from error
      raise explain_failure(dataset, protocol, done, error) from error
    if batch is None:
      return
    done += len(batch['id'])
    yield batch


def read_from_service(
  address: str,
  dataset: ImageDataset,
  protocol: Protocol,
  batch_size: int,
  skip_errors: bool,
  positions: range,
) -> Iterator[tuple[int, Batch | None]]:
  """Yields the same batches as `read_batches`, each once, in any order.

  Args:
    address: HOST:PORT of the dispatcher of a tf.data service.
    dataset, protocol, batch_size, skip_errors, positions: as for `read_batches`.

  Yields:
    The batch's first position, and the batch; None where all of it was skipped.

  Raises:
    UserError: as `read_batches`, or the service does not answer.
  """
  for start, batch in data_service.batches(
    address, dataset, protocol, batch_size, skip_errors, positions
  ):
    yield start, make_batch(dataset, batch) if batch else None


def make_batch(dataset: ImageDataset, batch: dict[str, tf.Tensor]) -> Batch:
  """Returns what is known of n examples.

  Args:
    dataset: where they come from.
    batch: what `make_pipeline` yields.

  Raises:
    UserError: examples that were read before are others now.
  """
  ids = [name.decode() for name in batch['id'].numpy()]
  if dataset.real_labels is not None:
    real = [list(dataset.real_labels[name]) for name in ids]
  elif dataset.has_real_labels:
    real = [np.flatnonzero(hot).tolist() for hot in batch['real_labels'].numpy()]
  else:
    real = None
  image_sha256, labels = digests(batch['image'].numpy()), batch['label'].numpy()
  positions = batch['position'].numpy().tolist()
  if dataset.looks is not None:
    dataset.looks.tell(positions, ids, image_sha256, labels)
  pixels = batch.get('pixels')
  on_host = batch['position'][batch['resized_on_host']] if pixels is None else None
  return Batch(
    positions=positions,
    ids=ids,
    image_sha256=image_sha256,
    labels=labels,
    real_labels=real,
    pixels=device_canvas.device_inputs(batch) if pixels is None else pixels,
    resized_on_host=() if on_host is None else on_host.numpy().tolist(),
  )


def digests(images: Sequence[bytes]) -> list[bytes]:
  """Returns the SHA-256 digests of encoded images, 32 bytes each, on all cores."""
  threads = max(1, min(cores(), len(images)))
  bounds = [len(images) * i // threads for i in range(threads + 1)]
  shares = [images[start:stop] for start, stop in itertools.pairwise(bounds)]
  return [one for share in _hashers().map(_digests, shares) for one in share]


def _digests(images: Sequence[bytes]) -> list[bytes]:
  return [hashlib.sha256(image).digest() for image in images]


@functools.cache
def _hashers() -> futures.ThreadPoolExecutor:
  """Returns threads that hash, which needs no lock of Python's."""
  return futures.ThreadPoolExecutor(cores(), 'tfeval-sha256')
