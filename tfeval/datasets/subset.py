"""A part of a dataset by the ids of its images, the same whatever their order."""

import dataclasses
import hashlib
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfeval.datasets import looks
from tfeval.datasets.base import ImageDataset, check_coverage
from tfeval.datasets.labels.listing import doubles
from tfeval.datasets.labels.subsets import read_ids
from tfeval.datasets.sampling import chosen_positions, count_of
from tfeval.utils.errors import UserError, listed


def sample(dataset: ImageDataset, size: str) -> ImageDataset:
  """Returns a sample of a dataset.

  An image belongs to it by the SHA-256 of its id: of two sizes the smaller sample lies
  within the larger one, and nothing about order, shards or hosts changes it.

  Args:
    dataset: all examples; where their order of ids is not known, these are read first.
    size: how many, such as `'1000'`, or which share, such as `'0.1'`.

  Raises:
    UserError: it is no size, or of more examples than there are.
    DataError: the ids that were read are not those that are expected.
  """
  total = dataset.num_examples
  count = count_of(size, total)
  if count > total:
    raise UserError(f'`sample={size}`: {dataset.name} has {total:,} examples')
  dataset = with_ids(dataset)
  chosen = chosen_positions(ids_of(dataset), count)
  note = f'a sample of {count:,} of {total:,} examples, by id'
  return part(dataset, chosen, None if count == total else size, note)


def only(dataset: ImageDataset, path: str) -> ImageDataset:
  """Returns the images of a dataset that a file lists.

  Args:
    dataset: all examples; where their order of ids is not known, these are read first.
    path: of the list of ids, see `subsets.read_ids`.

  Raises:
    UserError: it is no such list, has an id twice, or one that is no image's.
    DataError: the ids that were read are not those that are expected.
  """
  dataset = with_ids(dataset)
  asked = read_ids(pathlib.Path(path)).to_pylist()
  position = {one: i for i, one in enumerate(ids_of(dataset))}
  if unknown := [one for one in asked if one not in position]:
    raise UserError(
      f'`only={path}`: {len(unknown)} of {len(asked)} ids are none of the '
      f'{len(position):,} images: {listed(unknown)}'
    )
  if twice := doubles(asked):
    raise UserError(f'`only={path}` has {len(twice)} ids twice: {listed(twice)}')
  chosen = np.sort(np.array([position[one] for one in asked], np.int64))
  digest = hashlib.sha256('\n'.join(sorted(asked)).encode()).hexdigest()[:16]
  note = f'{len(asked):,} of {len(position):,} examples, of a list of ids'
  return part(dataset, chosen, f'ids {digest}', note)


def part(
  dataset: ImageDataset, chosen: np.ndarray, name: str | None, note: str
) -> ImageDataset:
  """Returns some examples of a dataset.

  Args:
    dataset: all examples, see `with_ids`.
    chosen: int64 [n], their positions, ascending.
    name: what tells the part from others; None: it is all.
    note: what a reader of the result must know.
  """
  ids, at, count = ids_of(dataset), dataset.at, len(chosen)
  where = dataset.relative_paths
  return dataclasses.replace(
    dataset,
    num_examples=count,
    expected_ids=[ids[i] for i in chosen],
    relative_paths=None if where is None else [where[i] for i in chosen],
    sample=name,
    notes=(*dataset.notes, note),
    examples=lambda start=0, stop=None: _examples(
      dataset, chosen, start, count if stop is None else stop
    ),
    at=None if at is None else lambda i: at(tf.gather(tf.constant(chosen), i)),
    strided=None,
    looks=None if dataset.looks is None else looks.Looks(),
  )


def with_ids(dataset: ImageDataset) -> ImageDataset:
  """Returns a dataset whose ids are known by position; where they are not, it is read.

  Raises:
    DataError: the ids that were read are not those that are expected.
  """
  if dataset.has_ids_in_order:
    return dataset
  ids = [one.decode() for one in dataset.examples().map(_id).as_numpy_iterator()]
  check_coverage(dataset, ids, [])
  return dataclasses.replace(dataset, expected_ids=ids, has_ids_in_order=True)


def ids_of(dataset: ImageDataset) -> Sequence[str]:
  """Returns the ids of all examples, in their order, of a dataset that has these."""
  assert dataset.has_ids_in_order and dataset.expected_ids is not None
  return dataset.expected_ids


def _id(example: dict[str, tf.Tensor]) -> tf.Tensor:
  return example['id']


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
