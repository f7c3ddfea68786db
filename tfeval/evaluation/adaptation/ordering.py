"""A dataset in an order of its own, the same whatever order it comes in."""

import dataclasses
import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfeval.datasets import looks, subset
from tfeval.datasets.base import ImageDataset
from tfeval.engine import pipeline
from tfeval.utils.errors import UserError

# A batch has images of all classes by it: folders and shards are often in their order.
SEED = 0


def order_of(ids: Sequence[str], seed: int = SEED) -> np.ndarray:
  """Returns a random order that the ids alone decide: by SHA-256 of `SEED ID`.

  Args:
    ids: n, unique.
    seed: of the order.

  Returns:
    int64 [n], the position in `ids` of each.
  """
  keys = [hashlib.sha256(f'{seed} {one}'.encode()).digest() for one in ids]
  return np.array(sorted(range(len(ids)), key=lambda i: (keys[i], ids[i])), np.int64)


def in_seeded_order(dataset: ImageDataset) -> ImageDataset:
  """Returns the examples of a dataset in the order of `order_of`.

  Where only ranges of it can be read, all of it is read once, and its encoded images
  lie in a temporary file as long as the dataset is used.

  Raises:
    UserError: it cannot be read, or the file cannot be written.
  """
  if dataset.at is not None and dataset.has_ids_in_order:
    ids, at = subset.ids_of(dataset), dataset.at
  else:
    spool = _Spool(dataset)
    ids, at = spool.ids, spool.at
  order, count = order_of(ids), len(ids)

  def examples(start: Any = 0, stop: Any = None) -> tf.data.Dataset:
    return at(tf.constant(order)[start : count if stop is None else stop])

  return dataclasses.replace(
    dataset,
    examples=examples,
    at=None,
    expected_ids=[ids[i] for i in order],
    has_ids_in_order=True,
    strided=None,
    looks=None if dataset.looks is None else looks.Looks(),
    read_by_python=dataset.read_by_python or dataset.at is None,
  )


class _Spool:
  """The examples of a dataset in a temporary file, to be read in any order.

  Attributes:
    ids: of the examples, in the dataset's order.
  """

  def __init__(self, dataset: ImageDataset):
    read = dataset.examples()
    self._spec = read.element_spec
    self.ids: list[str] = []
    self._columns: dict[str, list[np.ndarray]] = {
      key: [] for key in self._spec if key not in ('id', 'image')
    }
    ends = [0]
    self._file = tempfile.TemporaryFile(prefix='tfeval-')
    try:
      for example in read:
        self.ids.append(example['id'].numpy().decode())
        for key, values in self._columns.items():
          values.append(example[key].numpy())
        self._file.write(example['image'].numpy())
        ends.append(self._file.tell())
      self._file.flush()
    except tf.errors.OpError as error:
      raise pipeline.unreadable_after(dataset, len(self.ids), error) from error
    except OSError as error:
      raise UserError(
        f'the images of {dataset.name} cannot be kept in {tempfile.gettempdir()} for '
        f'`adapt`, which takes them in another order: {error.strerror}: set TMPDIR'
      ) from error
    self._ends = np.array(ends)

  def at(self, positions: tf.Tensor) -> tf.data.Dataset:
    return tf.data.Dataset.from_generator(
      self._read, output_signature=self._spec, args=(positions,)
    )

  def _read(self, positions: np.ndarray) -> Iterator[dict[str, Any]]:
    for i in positions:
      start, stop = self._ends[i], self._ends[i + 1]
      image = os.pread(self._file.fileno(), int(stop - start), int(start))
      found = {key: values[i] for key, values in self._columns.items()}
      yield {'id': self.ids[i], 'image': image, **found}
