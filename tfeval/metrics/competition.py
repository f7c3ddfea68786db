"""Which of a model's outputs compete for an image, by class rule."""

import dataclasses

import numpy as np

# What belongs to the rule `restricted` is called as under `all`, with this behind.
RESTRICTED = '@restricted'


@dataclasses.dataclass(frozen=True, eq=False)
class Competition:
  """Which classes a model's outputs are, and which of them compete.

  Attributes:
    said: int64 [outputs], the class of each output, ascending; None: all classes, in
      their order.
    restricted: int64 [m], which outputs compete under the rule `restricted`, ascending;
      None: the dataset has no such rule.
  """

  said: np.ndarray | None = None
  restricted: np.ndarray | None = None

  def columns_of(self, labels: np.ndarray, restricted: bool = False) -> np.ndarray:
    """Returns int64 [n], the output of each class: -1 of -1, -2 where there is none."""
    said = self.classes(restricted)
    if said is None:
      return labels
    at = np.searchsorted(said, labels)
    found = said[np.minimum(at, len(said) - 1)] == labels
    return np.where(labels < 0, -1, np.where(found, at, -2))

  def classes(self, restricted: bool = False) -> np.ndarray | None:
    """Returns the classes of the outputs that compete; None: all, in their order."""
    if not restricted:
      return self.said
    assert self.restricted is not None
    return self.restricted if self.said is None else self.said[self.restricted]


ALL = Competition()
