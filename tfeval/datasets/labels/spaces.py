"""Label spaces, and what maps a model's outputs to one."""

import dataclasses
import functools
import hashlib

import numpy as np

# What names of classes are taken for.
FORMS = AUTO, NAME, INDEX, ILSVRC_ID = ('auto', 'name', 'index', 'ilsvrc_id')


@dataclasses.dataclass(frozen=True)
class LabelSpace:
  """Ordered classes; a class is named by its index in results.

  Attributes:
    name: of the space, such as `'ilsvrc2012'`.
    class_ids: stable ids, such as wnids or names of folders, each once.
    class_names: readable names, one for each id; need not differ.
  """

  name: str
  class_ids: tuple[str, ...]
  class_names: tuple[str, ...]

  def __len__(self) -> int:
    return len(self.class_ids)

  @property
  def readable_names(self) -> list[str]:
    """The names as tables have them, which may break lines at their spaces."""
    return [name.replace('_', ' ') for name in self.class_names]

  @functools.cached_property
  def index_of_id(self) -> dict[str, int]:
    return {class_id: index for index, class_id in enumerate(self.class_ids)}

  @property
  def digest(self) -> str:
    """SHA-256 over the ids in their order, a line each: equal for equal classes."""
    return hashlib.sha256('\n'.join(self.class_ids).encode()).hexdigest()


@dataclasses.dataclass(frozen=True)
class LabelMap:
  """Which of a model's outputs mean each class of a dataset.

  Attributes:
    outputs: how many outputs the model has; those in no group mean no class.
    classes: the dataset's.
    groups: for each class the indices of the outputs that mean it, one each.
    reduce: what becomes of the outputs of a group: `only`, the only one it has.

  >>> space = LabelSpace('animals', ('n1', 'n2'), ('cat', 'dog'))
  >>> LabelMap(3, space, ((2,), (1,))).indices
  array([2, 1])
  """

  outputs: int
  classes: LabelSpace
  groups: tuple[tuple[int, ...], ...]
  reduce: str = 'only'

  @functools.cached_property
  def indices(self) -> np.ndarray:
    """int64 [classes], the output of each class."""
    return np.array([output for (output,) in self.groups], np.int64)
