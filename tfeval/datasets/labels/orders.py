"""Orders of classes that models have been trained in by mistake."""

import functools
from collections.abc import Sequence

import numpy as np

from tfeval.datasets.labels import imagenet
from tfeval.datasets.labels.spaces import LabelSpace

ONE_TOO_HIGH, ONE_TOO_LOW = 'one_too_high', 'one_too_low'


@functools.lru_cache(maxsize=4)
def other_class_orders(space: LabelSpace) -> dict[str, np.ndarray]:
  """Returns the class orders besides a space's own that models have been found in.

  Returns:
    By the order's name: int64 [classes], the class that each output stands for, -1
    where that is none. `ilsvrc_id`: by the ids of ImageNet's development kit. `name`:
    by readable name; `name_lower_case`: without regard to case; `id`, `id_lower_case`:
    the same of ids, such as names of folders; `number`: ids that are numbers by their
    value, not as text; `reversed`; `one_too_high`, `one_too_low`: a head of one output
    more that was cut at its wrong end. Without those that are the space's own.
  """
  ids, names, index = space.class_ids, space.class_names, np.arange(len(space))
  # Folders named by what a class is called come in either order, depending on who
  # sorts them; where a name occurs twice, its classes stand as in the space.
  found = {
    'name': np.argsort(names, kind='stable'),
    'name_lower_case': np.argsort([name.lower() for name in names], kind='stable'),
    'id': np.argsort(ids, kind='stable'),
    'id_lower_case': np.argsort([one.lower() for one in ids], kind='stable'),
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
  order it does not. The order is named only where that cannot be luck: a
  binomial tail below 1e-6 at the hit rate of chance, and four times the hits of
  the expected order. Neighbours in our order are alike and confused with each other
  more often than by chance, so orders that are off by one must fit a fifth of the
  examples as well.

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
  n, orders = len(labels), other_class_orders(space)
  if n == 0 or not orders:
    return None
  expected_hits = int(np.sum(predicted == labels))
  found = {name: int(np.sum(of[predicted] == labels)) for name, of in orders.items()}
  name, hits = max(found.items(), key=lambda one: one[1])
  return name if stands_out(name, hits, expected_hits, n, len(space)) else None


def stands_out(name: str, hits: int, expected_hits: int, n: int, classes: int) -> bool:
  """Whether hits under another order cannot be luck; see `other_class_order`.

  Args:
    name: of the order.
    hits: under it.
    expected_hits: under the expected one.
    n: how many examples there are.
    classes: how many classes.
  """
  if name in (ONE_TOO_HIGH, ONE_TOO_LOW) and 5 * hits < n:
    return False
  return hits > 4 * expected_hits and _chance_of(hits, n, 1 / classes) < 1e-6


def _chance_of(hits: int, n: int, rate: float) -> float:
  """Bounds P(X >= hits), X ~ Binomial(n, rate), from above (Chernoff)."""
  if hits == 0:
    return 1.0
  seen = hits / n
  divergence = seen * np.log(seen / rate)
  if seen < 1:
    divergence += (1 - seen) * np.log((1 - seen) / (1 - rate))
  return float(np.exp(-n * divergence)) if seen > rate else 1.0
