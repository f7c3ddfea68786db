"""Orders of classes that models have been trained in by mistake."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Self

import numpy as np

from tfeval.datasets.labels import imagenet
from tfeval.datasets.labels.spaces import LabelSpace

SHIFTED = ONE_TOO_HIGH, ONE_TOO_LOW = 'one_too_high', 'one_too_low'


@functools.lru_cache(maxsize=4)
def other_class_orders(space: LabelSpace) -> dict[str, np.ndarray]:
  """Returns the class orders besides a space's own that models have been found in.

  Returns:
    By the order's name: int64 [classes], the class that each output stands for, -1
    where that is none. `ilsvrc_id`: by the ids of ImageNet's development kit. `name`:
    by readable name; `name_lower_case`: without regard to case; `id`, `id_lower_case`:
    the same of ids, such as names of folders; `number`: ids that are numbers by their
    value, not as text; `text`: by their places, sorted as text; `reversed`;
    `one_too_high`, `one_too_low`: a head of one output more that was cut at its wrong
    end. Without those that are the space's own.
  """
  ids, names, index = space.class_ids, space.class_names, np.arange(len(space))
  # Folders named by what a class is called come in either order, depending on who
  # sorts them; where a name occurs twice, its classes stand as in the space.
  found = {
    'name': np.argsort(names, kind='stable'),
    'name_lower_case': np.argsort([name.lower() for name in names], kind='stable'),
    'id': np.argsort(ids, kind='stable'),
    'id_lower_case': np.argsort([one.lower() for one in ids], kind='stable'),
    'text': np.argsort([str(i) for i in index], kind='stable'),
    'reversed': index[::-1].copy(),
    ONE_TOO_HIGH: index - 1,
    ONE_TOO_LOW: np.where(index < index[-1], index + 1, -1),
  }
  if all(one.isdecimal() and len(one) < 10 for one in ids):
    found['number'] = np.argsort([int(one) for one in ids], kind='stable')
  if space.digest == imagenet.label_space().digest:
    # Output i is the class with ILSVRC id i + 1.
    found = {'ilsvrc_id': np.argsort(imagenet.ilsvrc_ids()), **found}
  different: dict[str, np.ndarray] = {}
  for name, order in found.items():
    known = [index, *different.values()]
    if not any(np.array_equal(order, other) for other in known):
      different[name] = order
  return different


def other_class_order(
  predicted: np.ndarray, labels: np.ndarray | Sequence[int], space: LabelSpace
) -> str | None:
  """Names the class order that a model was trained in when it is not a space's.

  A model whose outputs stand in another order scores at chance; under its own
  order it does not. Only predictions count that the two orders take for different
  classes, since orders may agree on most classes. See `OrderCounts.stand_out`.

  Args:
    predicted: int [n], the top-1 output index of each example.
    labels: int [n], class indices.
    space: the classes.

  Returns:
    The order's name, a key of `other_class_orders`, or None where there is nothing
    to say.
  """
  predicted = np.asarray(predicted, np.int64)
  labels = np.asarray(labels, np.int64)
  orders = other_class_orders(space)
  if not len(labels) or not orders:
    return None
  found = {name: int(np.sum(of[predicted] == labels)) for name, of in orders.items()}
  name = max(found, key=lambda one: found[one])
  counts = OrderCounts.of(orders[name][predicted], predicted, labels)
  return name if counts.stand_out(orders[name]) else None


@dataclasses.dataclass(frozen=True)
class OrderCounts:
  """Hits under two orders, of examples that they take for different classes.

  Counts of disjoint sets of examples add up.

  Attributes:
    hits: under the other order.
    expected: under the expected one.
    images: how many examples there are.
  """

  hits: int = 0
  expected: int = 0
  images: int = 0

  @classmethod
  def of(cls, other: np.ndarray, expected: np.ndarray, right: np.ndarray) -> Self:
    """Counts n examples.

    Args:
      other, expected: int [n], the class of each under either order, -1 for none.
      right: int [n], the class that it would have to be.
    """
    differ = other != expected
    return cls(
      int(np.count_nonzero(differ & (other == right))),
      int(np.count_nonzero(differ & (expected == right))),
      int(np.count_nonzero(differ)),
    )

  def __add__(self, more: Self) -> Self:
    return type(self)(
      self.hits + more.hits, self.expected + more.expected, self.images + more.images
    )

  def stand_out(self, order: np.ndarray) -> bool:
    """Whether the examples are in the other order, and that cannot be luck.

    That needs a binomial tail below 1e-6 at the hit rate of chance; twice the hits of
    the expected order, and four times those that are more than chance. Neighbours in
    our order are alike and confused with each other more often than by chance: an order
    that moves most classes by one place needs four times all hits, and a fifth of the
    examples.

    Args:
      order: int64 [classes], the other one, as of `other_class_orders`.
    """
    classes = len(order)
    return self.are_no_luck(classes, is_near=classes > 2 and _is_near(order))

  def are_no_luck(self, classes: int, is_near: bool = False) -> bool:
    """Whether so many hits cannot be luck, as `stand_out` tells.

    Args:
      classes: how many there are.
      is_near: whether most examples are taken for a neighbour of their class.
    """
    by_chance = self.images // classes
    if is_near:
      if 5 * self.hits < self.images:
        return False
      by_chance = 0
    return (
      self.hits > max(2 * self.expected, 4 * (self.expected - by_chance))
      and _chance_of(self.hits, self.images, 1 / classes) < 1e-6
    )


def _is_near(order: np.ndarray) -> bool:
  """Whether an order moves most of the classes that it moves by one place."""
  moved = (order - np.arange(len(order)))[order >= 0]
  moved = moved[moved != 0]
  return bool(2 * np.count_nonzero(abs(moved) == 1) > len(moved))


def _chance_of(hits: int, n: int, rate: float) -> float:
  """Bounds P(X >= hits), X ~ Binomial(n, rate), from above (Chernoff)."""
  if hits == 0:
    return 1.0
  seen = hits / n
  divergence = seen * np.log(seen / rate)
  if seen < 1:
    divergence += (1 - seen) * np.log((1 - seen) / (1 - rate))
  return float(np.exp(-n * divergence)) if seen > rate else 1.0
