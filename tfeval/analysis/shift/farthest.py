"""The images of the target that are farthest from the source."""

from typing import NamedTuple

import numpy as np

from tfeval.analysis.shift.side import Geometry


class Far(NamedTuple):
  """An image of the target.

  Attributes:
    id: its id.
    distance: to the nearest image of the source, by the median of such distances within
      the source.
    share: of the source's images that are as far from the others of it.
  """

  id: str
  distance: float
  share: float


def farthest(space: Geometry, ids: np.ndarray, count: int) -> list[Far]:
  """Returns the images whose nearest neighbour in the source is farthest, that first.

  Args:
    space: all distances.
    ids: of the target's images.
    count: how many, at most.
  """
  n = len(space.first)
  own = space.distances[:n, :n] + np.diag(np.full(n, np.inf))
  nearest, usual = space.distances[:n, n:].min(axis=0), own.min(axis=1)
  scale = float(np.median(usual)) or 1.0
  order = np.argsort(-nearest, kind='stable')[:count]
  return [
    Far(
      str(ids[i]),
      float(nearest[i]) / scale,
      float(np.mean(usual >= nearest[i])),
    )
    for i in order
  ]
