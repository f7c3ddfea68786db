"""A part of a dataset by the ids of its images, the same whatever their order."""

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfeval.datasets.base import ImageDataset
from tfeval.utils.errors import UserError


def sample(dataset: ImageDataset, size: str) -> ImageDataset:
  """Returns a sample of a dataset.

  An image belongs to it by the SHA-256 of its id: of two sizes the smaller sample lies
  within the larger one, and nothing about order, shards or hosts changes it.

  Args:
    dataset: all examples; where their ids are not known, these are read first.
    size: how many, such as `'1000'`, or which share, such as `'0.1'`.

  Raises:
    UserError: it is no size, or of more examples than there are.
  """
  total = dataset.num_examples
  count = count_of(size, total)
  if count > total:
    raise UserError(f'`sample={size}`: {dataset.name} has {total:,} examples')
  ids = _ids(dataset)
  chosen = chosen_positions(ids, count)
  expected = None if dataset.expected_ids is None else [ids[i] for i in chosen]
  return dataclasses.replace(
    dataset,
    num_examples=count,
    expected_ids=expected,
    sample=None if count == total else size,
    notes=(*dataset.notes, f'a sample of {count:,} of {total:,} examples, by id'),
    examples=lambda start=0, stop=None: _examples(
      dataset, chosen, start, count if stop is None else stop
    ),
    strided=None,
  )


def count_of(size: str, total: int) -> int:
  """Returns how many examples a sample has.

  Args:
    size: see `sample`.
    total: of how many.

  Raises:
    UserError: it is no size.

  >>> count_of('1000', 50_000), count_of('0.1', 50_000), count_of('0.001', 10)
  (1000, 5000, 1)
  """
  try:
    value = float(size)
  except ValueError:
    value = -1.0
  if '.' not in size and value >= 1 and value.is_integer():
    return int(value)
  if '.' in size and 0 < value < 1:
    return max(1, round(value * total))
  raise UserError(
    f'`sample={size}`: expected how many examples, such as 1000, or which share, such '
    'as 0.1'
  )


def chosen_positions(ids: Sequence[str], count: int) -> np.ndarray:
  """Returns int64 [count], the positions of a sample of examples, ascending."""
  keys = [hashlib.sha256(one.encode()).digest() for one in ids]
  first = sorted(range(len(ids)), key=lambda i: (keys[i], ids[i]))[:count]
  return np.sort(np.array(first, np.int64))


def _ids(dataset: ImageDataset) -> Sequence[str]:
  if dataset.expected_ids is not None:
    return dataset.expected_ids
  return [one['id'].numpy().decode() for one in dataset.examples()]


def _examples(
  dataset: ImageDataset, chosen: np.ndarray, start: Any, stop: Any
) -> tf.data.Dataset:
  positions = tf.constant(chosen)
  inside = np.zeros(int(chosen[-1]) + 1, bool)
  inside[chosen] = True
  start, stop = tf.cast(start, tf.int64), tf.cast(stop, tf.int64)
  first = positions[tf.minimum(start, len(chosen) - 1)]
  behind = tf.where(stop > start, positions[tf.maximum(stop, 1) - 1] + 1, first)
  found = dataset.examples(first, behind).enumerate(first)
  found = found.filter(lambda position, _: tf.constant(inside)[position])
  found = found.map(lambda _, example: example)
  return found.apply(tf.data.experimental.assert_cardinality(stop - start))
