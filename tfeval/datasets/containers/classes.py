"""Which classes labels in containers mean: numbers, names, and what they count from."""

import dataclasses
import pathlib
import re
from collections.abc import Sequence
from typing import Self

import numpy as np
import pyarrow as pa

from tfeval.datasets.containers import checks, class_names, numbering, proofs
from tfeval.datasets.containers.locations import Location
from tfeval.datasets.labels import beside, imagenet, resolution, sets
from tfeval.datasets.labels.files import read_labels
from tfeval.datasets.labels.meanings import no_classes
from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.utils import arrow, budgets
from tfeval.utils.errors import UserError

_NUMBER = re.compile(r'-?\d+(?:\.0*)?', re.ASCII)


@dataclasses.dataclass(frozen=True)
class Labelled:
  """Labels of images.

  Attributes:
    space: the classes.
    labels: int64 [images], indices of classes.
    competing, listed: as of `base.ImageDataset`.
    notes: what was decided, where the data do not say it themselves.
  """

  space: LabelSpace
  labels: np.ndarray
  competing: list[int] | None = None
  notes: tuple[str, ...] = ()
  listed: list[int] | None = None

  @classmethod
  def of(cls, space: LabelSpace, labels: np.ndarray, indices: Sequence[int]) -> Self:
    """Returns labels of a space, of which classes of some indices were named."""
    competing = class_names.competing(space, indices) if indices else None
    listed = resolution.listed(space, indices)
    return cls(space, labels, competing, listed=listed)


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
    start = numbering.start(
      location, numbers, len(named), 0 if names else count_from, bool(names)
    )
    labels = numbers - start
    checks.inside(location, images, numbers, (labels < 0) | (labels >= len(named)))
    labels = np.array(indices, np.int64)[labels]
    checks.proven(location, images, space, labels, known)
    return Labelled.of(space, labels, indices)
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
  span = f'labels are {numbers.min()} to {numbers.max()}'
  if numbers.min() != start:
    span += f', counted from {start}'
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
  """Returns labels of names of classes, or of numbers that are texts; '' for none.

  Raises:
    UserError: as `of_numbers`; or images have no label, or one that is none of the
      classes.
  """
  names = class_names.chosen(location, None)
  numbers = [_NUMBER.fullmatch(text) for text in texts if text]
  if all(numbers) and (names is None or not set(texts) <= {*names, ''}):
    # Longer ones are no classes either.
    found = [
      max(-1, int(text.partition('.')[0][:10])) if text else -1 for text in texts
    ]
    return of_numbers(location, images, np.array(found, np.int64))
  checks.labelled(location, images, np.array([not text for text in texts]))
  names = names or sorted(set(texts))
  if len(names) > budgets.CLASSES:
    raise UserError(
      f'{location.name} has {len(names):,} classes, expected at most '
      f'{budgets.CLASSES:,}'
    )
  space, indices = class_names.resolved(location, names)
  index = dict(zip(names, indices, strict=True))
  odd = set() if location.classes else set(no_classes(set(texts)))
  outside = np.array([text not in index or text in odd for text in texts])
  checks.inside(location, images, texts, outside)
  labels = np.array([index[text] for text in texts], np.int64)
  # Of the validation images those of some classes are a part, no set of its own.
  part = any(map(proofs.validation_number, images))
  found = Labelled.of(space, labels, indices)
  if part:
    found = dataclasses.replace(found, competing=None)
  checks.proven(location, images, space, labels, proofs.known_classes(images))
  return found


def of_file(location: Location, images: Sequence[str]) -> Labelled:
  """Returns labels of a file by ids, see `files.read_labels`.

  Args:
    location: names the file; its `classes`, else what the labels in it are, see
      `beside.read_image_labels`, are the classes.
    images: names of the images.

  Raises:
    UserError: images or labels are without the other, or have several.
  """
  named = class_names.chosen(location, None)
  path = pathlib.Path(location.labels or '').expanduser()
  part = any(map(proofs.validation_number, images))
  if named is None:
    own = beside.read_image_labels(path, images, class_names.short_name(location))
    competing = None if part else class_names.competing(own.space, own.classes)
    return Labelled(own.space, np.array(own.labels, np.int64), competing, (own.note,))
  space, indices = class_names.resolved(location, named)
  source = sets.LabelSource(path.stem, read_labels(path, space), path)
  ids = arrow.strings(images)
  sets.check_ids(source, ids, location.name)
  found = source.of_rows(pa.table({'id': ids}))
  beside.check_one_each(path, images, found)
  beside.check_numbering(path, ids, found, space)
  values = np.array(found.values, np.int64)
  return Labelled.of(space, values, [] if part else indices)
