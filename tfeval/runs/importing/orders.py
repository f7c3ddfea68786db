"""Which row is which image: orders of rows, and the faults that they reveal."""

import functools
import pathlib
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfeval.datasets.labels import imagenet, sets, subsets
from tfeval.datasets.labels import orders as class_orders
from tfeval.datasets.labels.listing import doubles
from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.utils import arrow
from tfeval.utils.errors import UserError, listed

FILE_NAME, CLASS_FOLDER = NAMED = ('file_name', 'class_folder')
# Ten times chance: what a trained model exceeds and a wrong order does not.
_CHANCE = 0.01
# Fewer right ones in another order may be luck: of few images 1 % is less than one.
_FEWEST = 10
_SORTED_BY = {FILE_NAME: 'file name', CLASS_FOLDER: 'wnid, then file name'}


@functools.cache
def named_ids(order: str) -> pa.Array:
  """Returns the ids of the validation images in a named order.

  Args:
    order: `file_name`: image 1 first; `class_folder`: sorted by (wnid, file name),
      as tools read a folder for each class.
  """
  places = range(imagenet.NUM_VALIDATION) if order == FILE_NAME else _by_class()
  return arrow.strings([imagenet.validation_name(place + 1) for place in places])


def _by_class() -> np.ndarray:
  # Classes are numbered in the order of their wnids.
  return np.argsort(sets.packaged().values, kind='stable')


def row_ids(path: pathlib.Path, order: str | None, rows: int | None) -> pa.Array:
  """Returns the id of each row of a file that has none.

  Args:
    path: of the predictions.
    order: one of `NAMED`, the path of a list of ids, or None.
    rows: how many there are.

  Raises:
    UserError: no order was given, or one of another length or with an id twice.
  """
  if order is None:
    raise UserError(
      f'{path} has no ids: say which row is which image: '
      f'`order={FILE_NAME}`, {CLASS_FOLDER} or the path of a list of ids'
    )
  ids = named_ids(order) if order in NAMED else subsets.read_ids(pathlib.Path(order))
  if twice := [] if order in NAMED else doubles(ids.to_pylist()):
    raise UserError(f'`order={order}` has {len(twice)} ids twice: {listed(twice)}')
  if len(ids) != rows:
    raise UserError(f'{path} has {rows} rows, `order={order}` is of {len(ids)}')
  return ids


def check_ids(
  path: pathlib.Path, ids: pa.Array, expected: pa.Array, partial: bool
) -> None:
  """Checks that every expected image is there, once.

  Args:
    path: of the predictions.
    ids: of their rows.
    expected: what there should be.
    partial: whether some may be missing.

  Raises:
    UserError: ids are double, unknown or missing; lists the first ten.
  """
  counts = pc.value_counts(ids)
  repeated = np.flatnonzero(arrow.to_numpy(counts.field('counts')) > 1)
  double = counts.field('values').take(arrow.numbers(repeated))
  unknown, missing = arrow.without(ids, expected), arrow.without(expected, ids)
  for found, what in (
    (double, 'there more than once'),
    (unknown, 'none of those that have labels'),
    (missing, 'missing (`partial` allows that)'),
  ):
    if len(found) and not (partial and found is missing):
      are = 'image is' if len(found) == 1 else 'images are'
      raise UserError(
        f'{path}: {len(found)} {are} {what}: {listed(sorted(found.to_pylist()))}'
      )


def explain_chance(
  path: pathlib.Path, top1: np.ndarray, ids: pa.Array, order: str | None
) -> str | None:
  """Says what is wrong with predictions that are right as seldom as by chance.

  Args:
    path: of the predictions.
    top1: int [n], the best class of each row.
    ids: string [n], what the rows are taken for.
    order: `--order`.

  Returns:
    A remark on predictions at chance, None for others.

  Raises:
    UserError: the rows or the classes stand in another order, and which.
  """
  truth = sets.packaged()
  at = sets.validation_numbers(ids) - 1
  top1, at = top1[at >= 0], at[at >= 0]
  labels = truth.values[at]
  if not len(labels) or np.mean(top1 == labels) > _CHANCE:
    return None
  seen = f'{path}: {int(np.sum(top1 == labels))} of {len(labels)} answers are right'
  if other := class_orders.other_class_order(top1, labels, imagenet.label_space()):
    raise UserError(
      f'{seen}: its classes stand in another order ({other}): bring them '
      'into that of the sorted wnids'
    )
  # Rows that have ids are what these say, wherever they stand.
  for row_order, labels in _other_orders(at) if order is not None else ():
    right = int(np.sum(top1 == labels))
    if right > max(_CHANCE * len(labels), _FEWEST):
      raise UserError(f'{seen}, with {row_order} it would be {right}: give that')
    if other := class_orders.other_class_order(top1, labels, imagenet.label_space()):
      raise UserError(
        f'{seen}: its classes stand in another order ({other}) and its '
        f'rows in that of {row_order}'
      )
  return (
    'AT CHANCE: top-1 is no better than guessing; rows or classes probably stand '
    'in another order'
  )


def check_own(
  path: pathlib.Path,
  top1: np.ndarray,
  labels: np.ndarray,
  ids: pa.Array,
  order: str | None,
  space: LabelSpace,
) -> None:
  """Checks predictions of classes or images that are not those of the validation set.

  Args:
    path: of the predictions.
    top1: int [n], the best class of each row.
    labels: int [n], -1 for none.
    ids: string [n], what the rows are taken for.
    order: the list of ids that says so, None where rows carry them.
    space: the classes.

  Raises:
    UserError: nearly all are wrong, and right if classes or rows stand in another
      order; says which.
  """
  labelled = labels >= 0
  hits, count = int(np.sum((top1 == labels)[labelled])), int(labelled.sum())
  seen = f'{path}: {hits} of {count} answers are right'
  if order is not None:
    by_id = labels[arrow.to_numpy(pc.sort_indices(ids))]
    right = int(np.sum((top1 == by_id)[by_id >= 0]))
    if class_orders.OrderCounts.of(by_id, labels, top1).are_no_luck(len(space)):
      raise UserError(
        f'{seen}, with the ids of `order={order}` sorted it would be {right}: give that'
      )
  other = class_orders.other_class_order(top1[labelled], labels[labelled], space)
  if other is not None:
    raise UserError(
      f'{seen}: its classes stand in another order ({other}) than those of the labels: '
      'correct `classes` or `labels`'
    )


def _other_orders(at: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
  """Yields other orders of the validation images `at`, with the labels in them."""
  truth = sets.packaged().values
  for name in NAMED:
    other = np.sort(at) if name == FILE_NAME else at[np.lexsort((at, truth[at]))]
    if not np.array_equal(other, at):
      whole = len(at) == imagenet.NUM_VALIDATION
      part = f'the ids of `order` sorted by {_SORTED_BY[name]}'
      yield f'`order={name}`' if whole else part, truth[other]
