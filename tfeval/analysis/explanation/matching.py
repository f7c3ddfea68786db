"""How many answers of someone are those of a run, whatever their classes mean."""

import dataclasses
import functools
from collections.abc import Iterator

import numpy as np
from scipy import stats

from tfeval.datasets.labels import numbering
from tfeval.datasets.labels.spaces import LabelSpace

CLASS_ORDER, COLUMNS = 'class_order', 'columns'
AS_IS = ''
ASCENDING, UNSORTED = 'ascending', 'unsorted'
# Of a binomial tail: answers that agree so often by chance say nothing.
_SURE = 1e-3


@dataclasses.dataclass(frozen=True)
class Reading:
  """How someone's columns are read.

  Attributes:
    class_order: what classes mean, one of `class_orders`; empty: what they are.
    columns: `ascending`: the best class stands last; `unsorted`: in any order; empty:
      it stands first.
  """

  class_order: str = AS_IS
  columns: str = AS_IS

  @property
  def departures(self) -> tuple[tuple[str, str], ...]:
    """Axes and values of what is read otherwise."""
    both = (CLASS_ORDER, self.class_order), (COLUMNS, self.columns)
    return tuple((axis, value) for axis, value in both if value)


@functools.lru_cache(maxsize=4)
def class_orders(space: LabelSpace) -> dict[str, np.ndarray]:
  """Returns what classes mean that are numbered otherwise than a space's.

  Returns:
    By name, the space's own under `''`, else one of `numbering.other_numberings`:
    int64 [classes + 1], the class that each number means, -1 where that is none. The
    last one is of a background, or of numbers from 1.
  """
  n = len(space)
  found = {AS_IS: np.arange(n)}
  found |= {
    name: of
    for name, of in numbering.other_numberings(space).items()
    if name != 'index_from_1'
  }
  # Of numbers from 1, the last class is one more than there are.
  last = {'one_too_high': n - 1}
  if 'ilsvrc_id' in found:
    last['ilsvrc_id'] = int(found['ilsvrc_id_from_0'][-1])
  return {name: np.append(of, last.get(name, -1)) for name, of in found.items()}


def readings(theirs: np.ndarray, scored: bool, space: LabelSpace) -> Iterator[Reading]:
  """Yields how someone's classes may be read.

  Args:
    theirs: int64 [n, k], in 0 to the number of classes.
    scored: whether they are sorted for certain.
    space: the classes.
  """
  ways = [AS_IS]
  if theirs.shape[1] > 1 and not scored:
    ways += [ASCENDING, UNSORTED]
  for order in class_orders(space):
    for way in ways:
      yield Reading(order, way)


def agreeing(
  ours: np.ndarray, theirs: np.ndarray, reading: Reading, space: LabelSpace
) -> np.ndarray:
  """Returns bool [n]: which images have the same answer.

  Args:
    ours: int [n, at most 5], best first.
    theirs: int64 [n, k].
    reading: how theirs are read.
    space: the classes.

  Returns:
    Whether the first classes are the same; read as unsorted, whether as many of the
    best are, in any order.
  """
  meant = class_orders(space)[reading.class_order][theirs]
  if reading.columns == ASCENDING:
    return meant[:, -1] == ours[:, 0]
  if reading.columns == UNSORTED:
    k = min(meant.shape[1], ours.shape[1])
    if meant.shape[1] > k:  # More than we know of.
      return (meant[:, :, None] == ours[:, None, :]).any(axis=1).all(axis=1)
    return (np.sort(meant, axis=1) == np.sort(ours[:, :k], axis=1)).all(axis=1)
  return meant[:, 0] == ours[:, 0]


def is_unrelated(agree: int, of: int, classes: int) -> bool:
  """Whether answers agree about as often as by chance.

  Args:
    agree: images with the same answer.
    of: images.
    classes: how many there are.
  """
  return bool(stats.binom.sf(agree - 1, of, 1 / classes) > _SURE)
