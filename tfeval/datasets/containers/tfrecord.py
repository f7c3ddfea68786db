"""TFRecords of `tf.train.Example` as TF-slim and the Inception code write them.

Features: `image/encoded`, `image/class/label` (from 1 on where 0 is background),
`image/class/synset`, `image/class/text`, `image/filename`. A `labels.txt` beside the
files names the classes.
"""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tfeval.datasets.containers import (
  class_names,
  classes,
  dataset,
  example_proto,
  locations,
  proofs,
  stamps,
)
from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.datasets.options import DatasetConfig
from tfeval.utils import budgets, untrusted
from tfeval.utils.errors import UserError, listed

if TYPE_CHECKING:
  from tfeval.datasets.base import ImageDataset

IMAGE = 'image/encoded'
_LABEL, _SYNSET, _TEXT, _NAME = (
  'image/class/label',
  'image/class/synset',
  'image/class/text',
  'image/filename',
)
_WANTED = frozenset((_LABEL, _SYNSET, _TEXT, _NAME))
_BACKGROUND = 'background'


@dataclasses.dataclass
class _Records:
  """What the files hold, a value for each example; '' and -1 for none."""

  sizes: list[int] = dataclasses.field(default_factory=list)
  numbers: list[int] = dataclasses.field(default_factory=list)
  synsets: list[str] = dataclasses.field(default_factory=list)
  texts: list[str] = dataclasses.field(default_factory=list)
  names: list[str] = dataclasses.field(default_factory=list)


def open_tfrecord(config: DatasetConfig) -> 'ImageDataset':
  """Opens TFRecords.

  Args:
    config: its `name` is `tfrecord:FILES`, see `locations.find`.

  Returns:
    The dataset, in the order of the files and of the records in them. Ids are file
    names where each example has one, else the name of the file and the record's number.

  Raises:
    UserError: a file is cut off or holds other records, an image occurs twice, or
      labels are missing, outside of the classes or cannot be understood.
  """
  location = locations.find(config)
  counts, records = [], _Records()
  for path in location.files:
    before = len(records.sizes)
    _read(path, records)
    counts.append(len(records.sizes) - before)
  if not records.sizes:
    raise UserError(f'{location.name} holds no records: get the files again')
  named = all(records.names)
  images = records.names if named else proofs.numbered(location.files, counts)
  ids = proofs.ids(images, location.name) if named else images

  def read(start: Any, stop: Any, step: int) -> Any:
    from tfeval.datasets.containers import reading

    del step  # None of these has any.
    paths = [str(path) for path in location.files]
    return reading.records(paths, np.array(counts, np.int64), IMAGE, start, stop)

  return dataset.make(
    config,
    dataset.Found(
      location,
      ids,
      _labelled(location, images, ids, records),
      records.sizes,
      read,
      read_by_python=False,
      has_stride=False,
    ),
  )


def _read(path: pathlib.Path, records: _Records) -> None:
  """Adds what is in a file."""
  with stamps.opened(path) as (_, file):
    found = example_proto.examples(path, file, _WANTED, IMAGE)
    for number, (features, others) in enumerate(found):
      where = f'{path}: record {number}'
      if len(records.sizes) >= budgets.ROWS:
        raise UserError(f'{where}: more than {budgets.ROWS:,} images: name fewer files')
      size = _one(where, features, IMAGE, int)
      if size is None:
        known = listed(sorted(others | set(features)))
        raise UserError(
          f'{where} has no {IMAGE}: expected features as TF-slim names them, seen '
          f'{known}: of data that TFDS prepared give its name and `data_dir`'
        )
      label = _one(where, features, _LABEL, int)
      records.sizes.append(size)
      records.numbers.append(-1 if label is None else label)
      for key, values in (
        (_SYNSET, records.synsets),
        (_TEXT, records.texts),
        (_NAME, records.names),
      ):
        text = _one(where, features, key, bytes)
        values.append('' if text is None else _decoded(where, key, text))


def _one(where: str, features: dict, key: str, kind: type) -> Any:
  """Returns the one value of a feature, None where it is not there."""
  values = features.get(key, [])
  if len(values) > 1:
    what = 'two images' if key == IMAGE else f'two labels, {str(values[:2])[:80]}'
    raise UserError(f'{where} has {what} in {key}, expected one')
  if values and type(values[0]) is not kind:
    raise UserError(f'{where} has {key} of another type, expected {kind.__name__}')
  return values[0] if values else None


def _decoded(where: str, key: str, text: bytes) -> str:
  try:
    return text.decode()
  except UnicodeDecodeError as error:
    raise UserError(f'{where} has {key} that is not UTF-8') from error


def _labelled(
  location: locations.Location,
  images: Sequence[str],
  ids: Sequence[str],
  records: _Records,
) -> classes.Labelled:
  """Returns the labels: synsets where there are such, else numbers."""
  if location.labels is not None:
    return classes.of_file(location, ids)
  numbers = np.array(records.numbers, np.int64)
  if all(records.synsets):
    _check_same(location, numbers, records.synsets)
    return classes.of_texts(location, images, records.synsets)
  path = location.files[0].parent / 'labels.txt'
  if location.classes is None and path.is_file():
    # Nobody has named it, so that it may not be a link to anywhere.
    untrusted.check_inside(path, path.parent)
    names = class_names.read_names(path)
    if names[0].lower() == _BACKGROUND:
      numbers, names = np.where(numbers > 0, numbers - 1, numbers), names[1:]
    return classes.of_numbers(location, images, numbers, names)
  found = classes.of_numbers(location, images, numbers, None, None)
  own = found.space.name == class_names.short_name(location)
  if own and location.classes is None and all(records.texts):
    _check_same(location, numbers, records.texts)
    return _with_texts(found, records.texts)
  return found


def _check_same(
  location: locations.Location, numbers: np.ndarray, texts: Sequence[str]
) -> None:
  """Checks that numbers and names are labels of the same classes."""
  text_of: dict[int, str] = {}
  number_of: dict[str, int] = {}
  for number, text in zip(numbers.tolist(), texts, strict=True):
    if number >= 0 and (
      text_of.setdefault(number, text) != text
      or number_of.setdefault(text, number) != number
    ):
      raise UserError(
        f'{location.name}: the class {text[:80]!r} has the label {number} in one '
        'record and another in others: write the records again'
      )


def _with_texts(found: classes.Labelled, texts: Sequence[str]) -> classes.Labelled:
  """Returns labels whose classes are called as the records call them."""
  names = list(found.space.class_names)
  for index, text in zip(found.labels.tolist(), texts, strict=True):
    names[index] = text
  complete = len(set(found.labels.tolist())) == len(names) == len(set(names))
  ids = tuple(names) if complete else found.space.class_ids
  space = LabelSpace(found.space.name, ids, tuple(names))
  return dataclasses.replace(found, space=space, notes=())
