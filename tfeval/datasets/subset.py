"""A part of a dataset by the ids of its images, the same whatever their order."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfeval.datasets import looks
from tfeval.datasets.base import ImageDataset
from tfeval.datasets.sampling import chosen_positions, count_of
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
    looks=None if dataset.looks is None else looks.Looks(),
  )


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
