"""Which classes names of folders, or of a dataset, mean."""

from collections.abc import Sequence

from tfeval.datasets.labels import imagenet
from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.utils.errors import UserError


def imagenet_indices(names: Sequence[str]) -> list[int] | None:
  """Returns the ILSVRC2012 class that each name means; None: some mean none.

  Args:
    names: wnids.

  Raises:
    UserError: two names mean the same class.

  >>> imagenet_indices(['n01443537', 'n01440764'])
  [1, 0]
  >>> imagenet_indices(['n01443537', 'cat']) is None
  True
  """
  index = imagenet.label_space().index_of_id
  found = [index.get(name) for name in names]
  seen: dict[int, str] = {}
  for name, class_index in zip(names, found, strict=True):
    if class_index is None:
      return None
    if class_index in seen:
      raise UserError(
        f'{seen[class_index]} and {name} are the same class, '
        f'{imagenet.label_space().class_ids[class_index]}: put them together'
      )
    seen[class_index] = name
  return [one for one in found if one is not None]


def resolve(name: str, names: Sequence[str]) -> tuple[LabelSpace, list[int]]:
  """Returns the classes of a dataset, and the index of each of its names among them.

  They are those of ILSVRC2012 if all names mean one of these, else the names in the
  order given.

  Args:
    name: of the dataset.
    names: of its classes.

  Raises:
    UserError: two names are the same, or mean the same class.
  """
  if known := imagenet_indices(names):
    return imagenet.label_space(), known
  if len(set(names)) != len(names):
    double = next(one for one in names if names.count(one) > 1)
    raise UserError(f'{name} has two classes that are called {double!r}')
  return LabelSpace(name, tuple(names), tuple(names)), list(range(len(names)))
