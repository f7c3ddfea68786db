"""Answers of somebody else, by the images that their rows are of."""

from collections.abc import Sequence

import numpy as np

from tfeval.analysis.explanation import countings
from tfeval.evaluation.explain.rounds import Rounds
from tfeval.runs.importing import answers as importing
from tfeval.runs.importing import row_orders
from tfeval.utils.errors import UserError


class Rows:
  """Answers by the ids of images.

  Attributes:
    path: where they were read.
    ids: of the images that have one, in the order of the rows.
    batches: what the number of rows says of the last batch, as departures.
    remarks: what is to be said of them.
  """

  def __init__(self, rounds: Rounds, given: importing.Answers, order: str):
    self._given, self._order, self._all = given, order, rounds.ids
    self._where = rounds.relative_paths
    self.path = given.path
    self.scored, self.classes = given.scored, given.classes
    self.batches: countings.Departures = ()
    self.remarks: list[str] = []
    if given.ids is None:
      self.ids = self._by_order()
      self._row = {one: i for i, one in enumerate(self.ids)}
    else:
      self._row = self._by_id(given.ids)
      self.ids = list(self._row)

  def of(self, ids: Sequence[str]) -> np.ndarray:
    """Returns int64 [n, k], the classes of images."""
    return self.classes[[self._row[one] for one in ids]]

  def in_other_orders(self, ids: Sequence[str]) -> dict[str, np.ndarray]:
    """Returns what they are if rows stand in other orders, by name; -1: no row."""
    if self._given.ids is not None:
      return {}
    found = {}
    others = row_orders.other_orders(self._all, self._order, self._where)
    for name, order in others.items():
      row = {one: i for i, one in enumerate(order[: len(self.classes)])}
      none = np.full_like(self.classes[:1], -1)
      padded = np.concatenate([self.classes, none])
      found[name] = padded[[row.get(one, -1) for one in ids]]
    return found

  def _by_order(self) -> list[str]:
    path, n = self.path, len(self.classes)
    ids = row_orders.in_order(self._all, self._order, self._where)
    if n > len(ids):
      size = _batch_of(n, len(ids), padded=True)
      if size is None:
        raise UserError(
          f'{path} has {n:,} rows, {len(ids):,} images are there: give the dataset '
          'that they are of, or a list of its ids as `order`'
        )
      self.batches = (('batches', f'last_padded:{size}'),)
      self.remarks.append(
        f'{n:,} rows of {len(ids):,} images: the last batch of {size} was padded, and '
        'its padding kept'
      )
      return ids
    if n < len(ids):
      which = f'the first {n:,} of {len(ids):,} images in the order {self._order}'
      self.remarks.append(f'{n:,} rows: taken for {which}')
      size = _batch_of(n, len(ids), padded=False)
      if size is not None:
        self.batches = (('batches', f'last_lost:{size}'),)
        self.remarks.append(f'the last batch of {size} is missing, by all appearances')
    return ids[:n]

  def _by_id(self, given: Sequence[str]) -> dict[str, int]:
    path = self.path
    row = {one: i for i, one in enumerate(given)}
    if len(row) < len(given):
      raise UserError(f'{path} has {len(given) - len(row)} ids twice')
    known = set(self._all)
    found = {one: i for one, i in row.items() if one in known}
    if not found or len(found) < len(row):
      other = next(one for one in row if one not in known)
      raise UserError(
        f'{path}: {len(row) - len(found)} of {len(row)} ids are none of the '
        f'{len(known):,} images, such as {other}'
      )
    if len(found) < len(known):
      self.remarks.append(f'{len(found):,} of {len(known):,} images have a row')
    return found


def _batch_of(rows: int, images: int, padded: bool) -> int | None:
  """Returns the batch size that so many rows of images are left or made by."""
  for size in countings.BATCH_SIZES:
    whole = images // size * size
    if whole != images and rows == whole + size * padded:
      return size
  return None
