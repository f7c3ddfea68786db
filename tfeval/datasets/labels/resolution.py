"""Which classes names of folders, or of a dataset, mean."""

import functools
import re
from collections.abc import Iterable, Sequence

from tfeval.datasets.labels import class_numbers, imagenet
from tfeval.datasets.labels.spaces import (
  AUTO,
  FORMS,
  ILSVRC_ID,
  INDEX,
  NAME,
  LabelSpace,
)
from tfeval.utils import errors
from tfeval.utils.errors import UserError

# `n01616318_vulture`, `n02085620-Chihuahua`.
_WNID = re.compile(r'(n[0-9]{8})(?:[_\s.-].*)?', re.IGNORECASE | re.DOTALL)


def resolve(
  name: str,
  names: Sequence[str],
  form: str = AUTO,
  known: Iterable[tuple[str, int]] | None = None,
) -> tuple[LabelSpace, list[int]]:
  """Returns the classes of a dataset, and the index of each of its names among them.

  They are those of ILSVRC2012 if all names mean one of these, else the names in the
  order given. Names are wnids in any case, perhaps with a name behind; readable
  names, without regard to case, blanks, underscores and hyphens; or numbers, see
  `class_numbers`.

  Args:
    name: of the dataset.
    names: of its classes.
    form: one of `FORMS`: `name` takes names as they stand, as classes of their own,
      `index` and `ilsvrc_id` are numbers of ILSVRC2012.
    known: images whose ILSVRC2012 class is known by other means: the name that each
      has here and the index of this class. None: numbers are no names but stand where
      names are missing, and mean no class of ILSVRC2012.

  Raises:
    UserError: two names are the same, or mean the same class; a name is that of
      several classes; numbers are not what the form says, or cannot be told.

  >>> resolve('mine', ['Tench', 'gold fish'])[1], resolve('x', ['n01440764_tench'])[1]
  ([0, 1], [0])
  >>> resolve('digits', ['0', '1'])[0].class_ids
  ('0', '1')
  """
  if form not in FORMS:
    raise errors.unknown('class_folders', form, FORMS)
  if len(set(names)) != len(names):
    if not (form == AUTO and _in_order(names)):
      double = next(one for one in names if names.count(one) > 1)
      raise UserError(f'{name} has two classes that are called {double!r}')
    return imagenet.label_space(), list(range(len(names)))
  found = None
  if form == AUTO:
    found = imagenet_indices(name, names, known)
  elif form != NAME:
    found = _numbered(name, names, form)
  if found is not None:
    return imagenet.label_space(), found
  return LabelSpace(name, tuple(names), tuple(names)), list(range(len(names)))


def imagenet_indices(
  name: str, names: Sequence[str], known: Iterable[tuple[str, int]] | None = None
) -> list[int] | None:
  """Returns the ILSVRC2012 class that each name means; None: some mean none.

  Args:
    name, names, known: see `resolve`.

  Raises:
    UserError: see `resolve`.

  >>> imagenet_indices('mine', ['n01443537', 'N01440764'])
  [1, 0]
  >>> imagenet_indices('mine', ['n01443537', 'cat']) is None
  True
  """
  if not names:
    return None
  if known is not None and (numbers := class_numbers.parse(name, names)) is not None:
    of_name = dict(zip(names, numbers, strict=True))
    form = class_numbers.form_of(
      name, numbers, [(of_name[one], index) for one, index in known]
    )
    return None if form is None else class_numbers.indices(name, numbers, form)
  meant = [classes_meant(one) for one in names]
  if not all(meant):
    return None
  if _in_order(names):
    return list(range(len(names)))
  told: dict[str, set[int]] = {}
  for one, index in known or ():
    told.setdefault(one, set()).add(index)
  found: list[int] = []
  for one, classes in zip(names, meant, strict=True):
    if len(classes) > 1:
      # Images of it may tell which it is.
      classes = tuple(told.get(one, set()).intersection(classes)) or classes
    if len(classes) > 1:
      ids = ' and '.join(imagenet.label_space().class_ids[i] for i in classes)
      raise UserError(
        f'{name}: {one} is what {ids} are called: name it by wnid, or give '
        f'`class_folders={NAME}` if these classes are not those of ImageNet'
      )
    found += classes
  return _each_once(name, names, found)


def listed(space: LabelSpace, indices: Sequence[int]) -> list[int] | None:
  """Returns indices of classes; None: they are none, or all classes in their order.

  >>> listed(LabelSpace('pets', ('cat', 'dog'), ('cat', 'dog')), [0, 1]) is None
  True
  """
  found = list(indices)
  return None if found in ([], list(range(len(space)))) else found


def classes_meant(name: str) -> tuple[int, ...]:
  """Returns the ILSVRC2012 classes that a wnid or a readable name means.

  >>> classes_meant('N01440764'), classes_meant('Great White-Shark')
  ((0,), (2,))
  >>> classes_meant('crane'), classes_meant('cat')
  ((134, 517), ())
  """
  if wnid := _WNID.fullmatch(name):
    index = imagenet.label_space().index_of_id.get(wnid[1].lower())
    return () if index is None else (index,)
  return _classes_by_words().get(_words(name), ())


def foreign_note(names: Sequence[str]) -> tuple[str, ...]:
  """Says that classes which are named by wnid are not those of ImageNet, and why.

  Args:
    names: of classes that are not those of ILSVRC2012.

  Returns:
    A sentence where a half or more of the names mean a class of ILSVRC2012, or all
    are numbers with gaps; else nothing.
  """
  foreign = [one for one in names if not classes_meant(one)]
  if 2 * len(foreign) <= len(names):
    return (
      f'{len(foreign)} of {len(names)} classes are none of ILSVRC2012 '
      f'(such as {foreign[0]}): all are taken for classes of their own',
    )
  numbers = class_numbers.parse('classes', names)
  if numbers and len(numbers) <= max(numbers) - min(numbers) and max(numbers) <= 1000:
    return (
      'classes are numbers with gaps, taken for classes of their own: '
      f'`class_folders={INDEX}` and `{ILSVRC_ID}` take '
      'them for those of ILSVRC2012',
    )
  return ()


def _numbered(name: str, names: Sequence[str], form: str) -> list[int]:
  numbers = class_numbers.parse(name, names)
  if numbers is None:
    odd = next(one for one in names if class_numbers.parse(name, [one]) is None)
    raise UserError(
      f'{name}: {odd!r} is no number, as `class_folders={form}` says: leave it out'
    )
  return class_numbers.indices(name, numbers, form)


def _each_once(where: str, names: Sequence[str], indices: list[int]) -> list[int]:
  """Returns the indices of names, if no two are the same class."""
  seen: dict[int, str] = {}
  for name, class_index in zip(names, indices, strict=True):
    if class_index in seen:
      raise UserError(
        f'{where}: {seen[class_index]} and {name} are the same class, '
        f'{imagenet.label_space().class_ids[class_index]}: put them together'
      )
    seen[class_index] = name
  return indices


def _in_order(names: Sequence[str]) -> bool:
  """Whether names are those of all 1000 classes in our order: that tells cranes."""
  return len(names) == len(imagenet.label_space()) and all(
    index in classes_meant(name) for index, name in enumerate(names)
  )


def _words(name: str) -> str:
  """Returns what of a readable name counts: its words up to a comma."""
  return ' '.join(re.split(r'[\s_-]+', name.partition(',')[0].casefold())).strip()


@functools.cache
def _classes_by_words() -> dict[str, tuple[int, ...]]:
  found: dict[str, tuple[int, ...]] = {}
  for index, name in enumerate(imagenet.label_space().class_names):
    found[_words(name)] = (*found.get(_words(name), ()), index)
  return found
