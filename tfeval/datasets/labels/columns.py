"""Which column of a table holds the images, and which their labels."""

import dataclasses
import pathlib
import re
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa

from tfeval.datasets.labels.listing import check_rows
from tfeval.datasets.labels.meanings import index_of
from tfeval.utils import arrow
from tfeval.utils.errors import UserError, listed

# As `_plain` makes them, those first that are taken where a table has several.
_IDS = (
  *('filename', 'imagename', 'imgname', 'filepath', 'imagepath', 'path', 'file'),
  *('id', 'imageid', 'imgid', 'image', 'img', 'images', 'key', 'name'),
)
_LABELS = (
  *('label', 'labels', 'classindex', 'classidx', 'classid', 'labelindex', 'labelid'),
  *('target', 'wnid', 'synset', 'class', 'classname', 'labelname', 'category'),
  *('categoryid', 'groundtruth', 'gt', 'y', 'predictionstring'),
)
_FILE = re.compile(
  r'[/\\]|\.(jpe?g|jpe|jfif|png|gif|bmp|webp|tiff?)$|^ILSVRC2012_val_', re.IGNORECASE
)
_EXPECTED = (
  'expected id and label, or label alone with a line for each validation image'
)
IsMeant = Callable[[pa.Array], bool]


@dataclasses.dataclass(frozen=True)
class Columns:
  """What the columns of a table are.

  Attributes:
    id: the place of the images' ids; None: a line for each validation image.
    label: the place of the labels.
  """

  id: int | None
  label: int


def _plain(name: str) -> str:
  return re.sub(r'[\W_]+', '', name).casefold()


def is_prediction_string(name: str) -> bool:
  """Whether a column is Kaggle's: labels, each with four corners of a box behind it."""
  return _plain(name) == 'predictionstring'


def by_header(path: pathlib.Path, names: Sequence[str]) -> Columns | None:
  """Returns what columns are by their names; None: no name is that of labels.

  Args:
    path: of the table, for messages.
    names: of all columns, whatever their case, with blanks or underscores.

  Raises:
    UserError: there are labels, and the ids cannot be told.

  >>> by_header('x', ['File Name', 'Class ID'])
  Columns(id=0, label=1)
  >>> by_header('x', ['a.jpg', '3']) is None
  True
  """
  plain = [_plain(name) for name in names]
  label = next((plain.index(name) for name in _LABELS if name in plain), None)
  if label is None or any(map(_FILE.search, names)):
    return None
  if len(names) == 1:
    return Columns(None, label)
  found = id_column(names)
  if found is None and len(names) == 2:
    found = 1 - label
  if found is None or len(set(plain)) < len(plain) and plain.count(plain[label]) > 1:
    raise unknown_columns(path, names)
  return Columns(found, label)


def id_column(names: Sequence[str]) -> int | None:
  """Returns which column holds the images by its name, None where no name says so.

  >>> id_column(['rotation', 'Image ID'])
  1
  """
  plain = [_plain(name) for name in names]
  return next((plain.index(name) for name in _IDS if name in plain), None)


def names_classes(name: str) -> bool:
  """Whether a column is called as one of labels, so that its numbers are classes."""
  return _plain(name) in _LABELS


def unknown_columns(path: pathlib.Path, names: Sequence[str]) -> UserError:
  """Returns the error for a table whose columns cannot be told."""
  return UserError(f'{path} has the columns {listed(list(names))}, {_EXPECTED}')


def by_content(
  path: pathlib.Path, columns: Sequence[pa.Array], are_labels: IsMeant
) -> Columns:
  """Returns what the columns of a table without a header are.

  Args:
    path: of the table, for messages.
    columns: strings [n] each, n > 0.
    are_labels: whether all of some texts mean a class.

  Raises:
    UserError: that cannot be told.
  """
  names = [column[0].as_py() for column in columns]
  if len(columns) == 1:
    return Columns(None, 0)
  files = [i for i, column in enumerate(columns) if _FILE.search(column[0].as_py())]
  others = [i for i in range(len(columns)) if files != [i]]
  labels = [i for i in others if are_labels(columns[i])]
  if len(columns) == 2:
    if len(files) == 1:
      return Columns(files[0], others[0])
    # Both may be numbers: an image comes before its label.
    return Columns(1, 0) if labels == [0] else Columns(0, 1)
  if len(labels) > 1:
    # MXNet's lists start with the number of the line.
    labels = [i for i in labels if not _is_numbering(columns[i])] or labels[1:]
  if len(files) != 1 or len(labels) != 1:
    raise unknown_columns(path, names)
  return Columns(files[0], labels[0])


def _is_numbering(column: pa.Array) -> bool:
  """Whether a column has no number twice; labels of more images than classes do."""
  numbers = [index_of(text) for text in column.to_pylist()]
  return None not in numbers and len(set(numbers)) == len(numbers)


def in_prediction_strings(
  path: pathlib.Path, texts: pa.Array
) -> tuple[pa.Array, np.ndarray]:
  """Returns the labels of Kaggle's strings, and how many each has.

  Args:
    path: of the table, for messages.
    texts: string [n], such as `n01440764 11 22 333 444 n01440764 5 6 77 88`; others
      are labels as they stand.

  Returns:
    string [m], and int64 [n], which sum to m.

  Raises:
    UserError: there are more labels than a table may have rows.
  """
  labels, sizes = [], np.ones(len(texts), np.int64)
  for i, text in enumerate(texts.to_pylist()):
    words = text.split()
    found = list(dict.fromkeys(words[::5])) if len(words) % 5 == 0 else [text.strip()]
    labels += found
    check_rows(path, len(labels))
    sizes[i] = len(found)
  return arrow.strings(labels), sizes
