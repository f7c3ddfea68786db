"""Which classes labels in containers mean: numbers, names, and what they count from."""

import dataclasses
import pathlib
from collections.abc import Sequence

import numpy as np

from tfeval.datasets.containers import checks, class_names, numbering, proofs
from tfeval.datasets.containers.locations import Location
from tfeval.datasets.labels import imagenet
from tfeval.datasets.labels.files import read_labels
from tfeval.datasets.labels.listing import first
from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.utils import budgets
from tfeval.utils.errors import UserError


@dataclasses.dataclass(frozen=True)
class Labelled:
  """Labels of images.

  Attributes:
    space: the classes.
    labels: int64 [images], indices of classes.
    competing: as of `base.ImageDataset`.
    notes: what was decided, where the data do not say it themselves.
  """

  space: LabelSpace
  labels: np.ndarray
  competing: list[int] | None = None
  notes: tuple[str, ...] = ()


def of_numbers(
  location: Location,
  images: Sequence[str],
  numbers: np.ndarray,
  names: Sequence[str] | None = None,
  count_from: int | None = 0,
) -> Labelled:
  """Returns labels of numbers.

  Args:
    location: whose options go before what the container says.
    images: names of the images.
    numbers: int64 [images], one of each; negative for none.
    names: the classes from number 0 on; None: the container does not name them.
    count_from: what numbers count from where neither names nor data prove it, 0 or 1;
      None to ask.

  Raises:
    UserError: images have no label, labels are outside of the classes or contradict
      what the images are called, or what they count from cannot be known.
  """
  checks.labelled(location, images, numbers < 0)
  known = proofs.known_classes(images)
  named = class_names.chosen(location, names)
  if named is not None:
    space, indices = class_names.resolved(location, named)
    start = numbering.start(location, numbers, len(named), 0 if names else count_from)
    labels = numbers - start
    checks.inside(location, images, numbers, (labels < 0) | (labels >= len(named)))
    labels = np.array(indices, np.int64)[labels]
    checks.proven(location, images, space, labels, known)
    return Labelled(space, labels, class_names.competing(space, indices))
  if (known >= 0).any():
    found = numbering.by_names(location, images, numbers, known)
    return Labelled(imagenet.label_space(), *found)
  start = numbering.start(location, numbers, None, count_from)
  checks.inside(location, images, numbers, numbers < start)
  count = int(numbers.max()) - start + 1
  if count > budgets.CLASSES:
    raise UserError(
      f'{location.name} has labels up to {numbers.max():,}, expected at most '
      f'{budgets.CLASSES:,} classes'
    )
  span = f'labels are {start} to {start + count - 1}'
  if count == len(imagenet.label_space()):
    note = f'{span}: taken for the classes of ILSVRC2012 in their order'
    return Labelled(imagenet.label_space(), numbers - start, None, (note,))
  texts = tuple(str(start + n) for n in range(count))
  note = f'{span}, which nothing names: they are classes of their own'
  return Labelled(
    LabelSpace(class_names.short_name(location), texts, texts),
    numbers - start,
    None,
    (note,),
  )


def of_texts(
  location: Location, images: Sequence[str], texts: Sequence[str]
) -> Labelled:
  """Returns labels of names of classes; '' for none.

  Raises:
    UserError: images have no label, or one that is none of the classes.
  """
  checks.labelled(location, images, np.array([not text for text in texts]))
  names = class_names.chosen(location, None) or sorted(set(texts))
  if len(names) > budgets.CLASSES:
    raise UserError(
      f'{location.name} has {len(names):,} classes, expected at most '
      f'{budgets.CLASSES:,}'
    )
  space, indices = class_names.resolved(location, names)
  index = dict(zip(names, indices, strict=True))
  outside = np.array([text not in index for text in texts])
  checks.inside(location, images, texts, outside)
  labels = np.array([index[text] for text in texts], np.int64)
  # Of the validation images those of some classes are a part, no set of its own.
  part = any(map(proofs.validation_number, images))
  found = Labelled(
    space, labels, None if part else class_names.competing(space, indices)
  )
  checks.proven(location, images, space, labels, proofs.known_classes(images))
  return found


def of_file(location: Location, images: Sequence[str]) -> Labelled:
  """Returns labels of a file by ids, with suffix or without.

  Args:
    location: names the file; its `classes`, else those of ILSVRC2012, are what the
      labels in it are.
    images: names of the images.

  Raises:
    UserError: images or labels are without the other, or have several.
  """
  named = class_names.chosen(location, None)
  space, indices = (
    (imagenet.label_space(), [])
    if named is None
    else class_names.resolved(location, named)
  )
  path = pathlib.Path(location.labels or '').expanduser()
  table = read_labels(path, space)
  if table.ids is None:
    ids = [imagenet.validation_name(n + 1) for n in range(len(table.sizes))]
  else:
    ids = table.ids.to_pylist()
  ends = np.cumsum(table.sizes)
  one = dict(zip(ids, zip(ends, table.sizes, strict=True), strict=True))
  found, used = np.full(len(images), -1, np.int64), set()
  for at, image in enumerate(images):
    base = image.rsplit('/', 1)[-1]
    for name in (image, base, image.rsplit('.', 1)[0], base.rsplit('.', 1)[0]):
      if name in one and one[name][1]:
        end, size = one[name]
        if size > 1:
          raise UserError(f'{path} has {size} labels of {name}, expected one')
        found[at] = table.values[end - 1]
        used.add(name)
        break
  checks.labelled(location, images, found < 0)
  if table.ids is not None and (left := sorted(set(ids) - used)):
    raise UserError(
      f'{path} labels {len(left)} images that {location.name} does not hold: '
      f'{first(left)}: name all files, or leave these lines out'
    )
  return Labelled(
    space, found, class_names.competing(space, indices) if indices else None
  )
