"""Labels that are numbered otherwise than the classes, found by what models predict."""

import logging
import pathlib

import numpy as np

from tfeval.datasets.labels import imagenet, orders
from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.metrics.accuracy import LabelSets

_LOG = logging.getLogger('tfeval')
_ILSVRC_ID, _ILSVRC_ID_FROM_0 = 'ilsvrc_id', 'ilsvrc_id_from_0'
_INDEX_FROM_1 = 'index_from_1'
WORDS = {
  orders.ONE_TOO_HIGH: 'off by one (too high)',
  orders.ONE_TOO_LOW: 'off by one (too low)',
  _ILSVRC_ID: 'ids 1 to 1000 of the development kit',
  _ILSVRC_ID_FROM_0: 'ids of the development kit less 1',
  _INDEX_FROM_1: 'indices 1 to 1000, not ids of the development kit',
  'name': 'numbers in the order of names',
  'name_lower_case': 'numbers in the order of names whatever their case',
  'id': 'numbers in the order of ids',
  'id_lower_case': 'numbers in the order of ids whatever their case',
  'number': 'numbers in the order of ids by their value',
  'text': 'numbers sorted as text: 0, 1, 10, 100',
  'reversed': 'numbers from the last class on',
}


def other_numberings(space: LabelSpace) -> dict[str, np.ndarray]:
  """Returns what labels mean that are numbered otherwise than a space's classes.

  Returns:
    By the numbering's name, one of `orders.other_class_orders`, `ilsvrc_id_from_0`, or
    `index_from_1` of what was read as ids of the development kit: int64 [classes], the
    class that each label means, -1 where that is none.
  """
  found = dict(orders.other_class_orders(space))
  if space.digest == imagenet.label_space().digest:
    # As models have it, output 0 is the class of id 1; labels are the ids themselves.
    from_0 = found.pop(_ILSVRC_ID)
    ids = np.concatenate([[-1], from_0[:-1]])
    found = {_ILSVRC_ID: ids, _ILSVRC_ID_FROM_0: from_0, **found}
    found[_INDEX_FROM_1] = np.array(imagenet.ilsvrc_ids()) - 1
  return found


class NumberingCounts:
  """How many predictions are right under each numbering of a label set.

  Only images with one label count. Counts add up over parts of a run.

  Attributes:
    count: how many images there were.
    as_they_stand: how many of their predictions are right.
  """

  def __init__(self, space: LabelSpace):
    self._space = space
    self._parts: list[tuple[np.ndarray, np.ndarray]] = []
    self.count = self.as_they_stand = 0

  def add(self, predicted: np.ndarray, labels: LabelSets) -> None:
    """Counts some images.

    Args:
      predicted: int [n], the best class of each.
      labels: their sets.
    """
    sizes = np.asarray(labels.sizes)
    single = sizes == 1
    values = np.asarray(labels.values)[np.repeat(single, sizes)]
    predicted = np.asarray(predicted)[single]
    self.count += len(values)
    self.as_they_stand += int(np.count_nonzero(predicted == values))
    self._parts.append((predicted, values))

  @property
  def others(self) -> dict[str, int]:
    """How many predictions are right, by the name of another numbering."""
    return {
      name: sum(int(np.count_nonzero(one == of[values])) for one, values in self._parts)
      for name, of in other_numberings(self._space).items()
    }

  def found(self) -> str | None:
    """Returns the numbering that labels have by all appearances, None: their own."""
    others = self.others
    name = max(others, key=lambda one: others[one], default=None)
    if name is None or others[name] <= self.as_they_stand:
      return None
    of, counts = other_numberings(self._space)[name], orders.OrderCounts()
    for predicted, values in self._parts:
      counts += orders.OrderCounts.of(of[values], values, predicted)
    return name if counts.stand_out(of) else None

  def order_of_predictions(self) -> tuple[str, int] | None:
    """Returns the class order that predictions have by all appearances, and its hits.

    None: that of the space, as far as can be known.
    """
    if not self._parts:
      return None
    predicted, values = map(np.concatenate, zip(*self._parts, strict=True))
    order = orders.other_class_order(predicted, values, self._space)
    if order is None:
      return None
    meant = orders.other_class_orders(self._space)[order][predicted]
    return order, int(np.count_nonzero(meant == values))

  def remark(self) -> str | None:
    """Says in which numbering labels are, with the counts under each; None: their own.

    Or that predictions are in another order of the classes.

    >>> counts = NumberingCounts(imagenet.label_space())
    >>> classes = np.arange(10)
    >>> counts.add(classes, LabelSets.from_single(classes + 1))
    >>> counts.remark()[:65]
    'its labels seem to be off by one (too high): 0 of 10 predictions '
    """
    name = self.found()
    if name is None:
      if (found := self.order_of_predictions()) is None:
        return None
      return (
        f'the predictions seem to stand in another class order, {found[0]}: '
        f'{self.as_they_stand:,} of {self.count:,} are right as they stand, which is '
        f'what is counted, {found[1]:,} in that order'
      )
    ranked = sorted(self.others.items(), key=lambda one: -one[1])
    hits = [f'{count:,} if they are {WORDS[one]}' for one, count in ranked if count]
    rest = ', 0 otherwise' if len(hits) < len(ranked) else ''
    return (
      f'its labels seem to be {WORDS[name]}: {self.as_they_stand:,} of '
      f'{self.count:,} predictions are right as they stand, which is what is counted, '
      f'{", ".join(hits)}{rest}'
    )


def warn(path: pathlib.Path | None, where: object, counts: NumberingCounts) -> None:
  """Logs what `NumberingCounts.remark` says of a label file, if anything.

  Args:
    path: of the file.
    where: the run whose predictions were counted.
    counts: of them.
  """
  if remark := counts.remark():
    _LOG.warning('%s, for %s: %s', path, where, remark)
