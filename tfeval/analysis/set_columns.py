"""Sets of right classes of many examples, as columns."""

from collections.abc import Iterator

import numpy as np

from tfeval.metrics.accuracy import LabelSets, hits


def taken(labels: LabelSets, at: np.ndarray) -> LabelSets:
  """Returns the sets of examples at places, int64 [m], in this order.

  >>> sets = LabelSets(np.array([7, 8, 9]), np.array([2, 0, 1]))
  >>> taken(sets, np.array([2, 0])).values
  array([9, 7, 8])
  """
  sizes = np.asarray(labels.sizes)
  starts, chosen = (np.cumsum(sizes) - sizes)[at], sizes[at]
  shift = np.repeat(starts - (np.cumsum(chosen) - chosen), chosen)
  return LabelSets(np.asarray(labels.values)[shift + np.arange(len(shift))], chosen)


def is_in(classes: np.ndarray, labels: LabelSets) -> np.ndarray:
  """Returns bool [n]: whether a class of each example, int [n], is in its set."""
  return hits(classes[:, None], labels, 1)


def sets_of(labels: LabelSets) -> Iterator[tuple[int, ...]]:
  """Yields the set of each example."""
  values, end = np.asarray(labels.values).tolist(), 0
  for size in np.asarray(labels.sizes).tolist():
    yield tuple(values[end : end + size])
    end += size
