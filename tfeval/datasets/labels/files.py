"""Files of labels: JSON, npy and CSV, by validation order or by file name."""

import collections
import csv
import dataclasses
import io
import itertools
import pathlib
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfeval.datasets.labels import imagenet
from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.utils import (
  arrow,
  budgets,
  errors,
  files,
  json_text,
  numpy_files,
  untrusted,
)
from tfeval.utils.arrow import to_numpy
from tfeval.utils.errors import UserError

KINDS = ('.json', '.npy', '.csv')
# The first three of a `LabelTable`.
_Labels = tuple[pa.Array | None, np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True)
class LabelTable:
  """A set of right classes for each of m images.

  Attributes:
    ids: string [m], different ids; None: the validation images, image 1 first.
    values: int32, class indices, those of the first image first.
    sizes: int64 [m], how many belong to each image; they sum to `len(values)`.
    sha256: of the file's content.
  """

  ids: pa.Array | None
  values: np.ndarray
  sizes: np.ndarray
  sha256: str


def read_labels(path: pathlib.Path, space: LabelSpace) -> LabelTable:
  """Reads a file of labels.

  Args:
    path: one of
      `.json`: a list with an entry for each of the 50,000 validation images, image
        1 first, or an object with an entry for each file name; an entry is a class
        index, a list of them (`real.json`), or null;
      `.npy`: int [50000], class indices of the validation images, negative for no
        label;
      `.csv`: columns `id` and `label`, a class index, a wnid, or nothing; the lines
        with the same id make a set; without `id` a line for each validation image, `""`
        for no label.
    space: the classes; ids are taken as well where wnids are.

  Raises:
    UserError: the file is missing, of another kind, or not as above.
  """
  kind = path.suffix.lower()
  if kind not in KINDS:
    raise UserError(
      f'labels {path}: expected original, real or the path of a {", ".join(KINDS)} file'
    )
  try:
    sha256 = files.sha256_of(path)
  except OSError as error:
    raise UserError(f'cannot read labels {path}: {error.strerror}') from error
  reader = {'.json': _read_json, '.npy': _read_npy, '.csv': _read_csv}[kind]
  ids, values, sizes = reader(path, space)
  if ids is None:
    _check_count(path, len(sizes))
  if not len(values):
    raise UserError(f'{path} labels no image: all {len(sizes)} entries are empty')
  return LabelTable(ids, values, sizes, sha256)


def _check_count(path: pathlib.Path, count: int) -> None:
  if count != imagenet.NUM_VALIDATION:
    raise UserError(
      f'{path} has {count} entries, expected {imagenet.NUM_VALIDATION}, one '
      'for each validation image: give labels of others by file name'
    )


def _read_json(path: pathlib.Path, space: LabelSpace) -> _Labels:
  content = read_json_without_repeats(path)
  ids, entries = None, content
  if isinstance(content, dict):
    ids, entries = to_ids(path, list(content)), list(content.values())
  elif not isinstance(content, list):
    raise UserError(
      f'{path}: no list and no object: expected an entry for each '
      'validation image, or for each file name'
    )
  if set(map(type, entries)) - {list}:
    entries = [
      [one] if type(one) is int else [] if one is None else one for one in entries
    ]
  right = not set(map(type, entries)) - {list}
  flat = list(itertools.chain.from_iterable(entries)) if right else []
  right = right and not set(map(type, flat)) - {int}
  if not right or (flat and not 0 <= min(flat) <= max(flat) < len(space)):
    at = next(i for i, entry in enumerate(entries) if not _is_label_set(entry, space))
    name = imagenet.validation_name(at + 1) if ids is None else ids[at].as_py()
    raise UserError(
      f'{path}: the entry of {name} is {str(entries[at])[:40]}, expected '
      f'classes from 0 to {len(space) - 1}'
    )
  sizes = np.fromiter(map(len, entries), np.int64, len(entries))
  return ids, *_without_repeats(np.array(flat, np.int32), sizes, space)


def _without_repeats(
  values: np.ndarray, sizes: np.ndarray, space: LabelSpace
) -> tuple[np.ndarray, np.ndarray]:
  """Leaves each class of an image once: a set is what is meant."""
  image = np.repeat(np.arange(len(sizes)), sizes)
  keys, at = np.unique(image * len(space) + values, return_index=True)
  if len(keys) == len(values):
    return values, sizes
  at.sort()
  return values[at], np.bincount(image[at], minlength=len(sizes)).astype(np.int64)


def _is_label_set(entry: Any, space: LabelSpace) -> bool:
  return isinstance(entry, list) and all(
    type(label) is int and 0 <= label < len(space) for label in entry
  )


def _read_npy(path: pathlib.Path, space: LabelSpace) -> _Labels:
  labels = numpy_files.load_npy(path)
  if labels.ndim != 1 or labels.dtype.kind not in 'iu':
    raise UserError(
      f'{path} holds {labels.dtype} {list(labels.shape)}, expected whole numbers '
      f'[{imagenet.NUM_VALIDATION}], a class for each validation image'
    )
  _check_count(path, len(labels))
  if labels.max() >= len(space):
    raise UserError(
      f'{path} has the class {labels.max()}, expected 0 to '
      f'{len(space) - 1}, negative for none'
    )
  labels = np.asarray(labels).astype(np.int32)
  return None, labels[labels >= 0], (labels >= 0).astype(np.int64)


def _read_csv(path: pathlib.Path, space: LabelSpace) -> _Labels:
  from pyarrow import csv as pa_csv  # Rarely needed.

  names = read_csv_header(path)
  if not names:
    raise UserError(f'{path} is not a CSV file: it is empty')
  # Ids under another name would be taken for none.
  if not {'id', 'label'} <= set(names) and names != ['label']:
    raise UserError(
      f'{path} has the columns {first(names)[:200]}, expected id and '
      'label, or label alone with a line for each validation image'
    )
  types = {name: pa.string() for name in ('id', 'label') if name in names}
  options = pa_csv.ConvertOptions(
    column_types=types, include_columns=list(types), strings_can_be_null=False
  )
  reading = pa_csv.ReadOptions(block_size=1 << 23, column_names=names, skip_rows=1)
  batches, rows = [], 0
  try:
    with pa_csv.open_csv(path, reading, convert_options=options) as file:
      for batch in file:
        batches.append(batch)
        check_rows(path, rows := rows + len(batch))
        for name in types:
          arrow.check_texts(path, batch[name])
      table = pa.Table.from_batches(batches, file.schema)
  except (pa.ArrowException, OSError) as error:
    raise UserError(
      f'{path} is not a CSV file: {errors.one_line(error, 120)}'
    ) from error
  texts = table['label'].combine_chunks()
  ids = table['id'].combine_chunks() if 'id' in names else None
  labelled = to_numpy(pc.not_equal(texts, ''))
  wnids = pa.array(space.class_ids)
  known = pa.concat_arrays([pa.array(map(str, range(len(space)))), wnids])
  found = to_numpy(pc.index_in(texts, known), null=-1)
  if (wrong := np.flatnonzero(labelled & (found < 0))).size:
    where = f'line {wrong[0] + 2}' if ids is None else ids[wrong[0]].as_py()
    raise UserError(
      f'{path}: the label of {where} is {texts[wrong[0]].as_py()!r}, expected a class '
      f'from 0 to {len(space) - 1} or a wnid'
    )
  values = (found[labelled] % len(space)).astype(np.int32)
  if ids is None:
    return None, values, labelled.astype(np.int64)
  unique = pc.unique(ids)
  image = to_numpy(pc.index_in(ids, unique))[labelled]
  sizes = np.bincount(image, minlength=len(unique)).astype(np.int64)
  values = values[np.argsort(image, kind='stable')]
  return unique, *_without_repeats(values, sizes, space)


def read_json_without_repeats(path: pathlib.Path) -> Any:
  """Reads JSON whose objects name nothing twice; of doubles one would be lost.

  Raises:
    UserError: the file is missing, is not JSON, or names something twice.
  """

  def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
      names = [name for name, _ in pairs]
      raise UserError(f'{path} has double ids: {first(doubles(names))}')
    return found

  try:
    return json_text.read(path, pairs=unique)
  except OSError as error:
    raise UserError(f'cannot read {path}: {error.strerror}') from error


def read_csv_header(path: pathlib.Path) -> list[str]:
  """Returns the names of a CSV file's columns, none of an empty file.

  Raises:
    UserError: the file is missing, not UTF-8, or its first line is too long.
  """
  try:
    with untrusted.open_file(path) as file:
      start = io.BytesIO(file.read(budgets.CSV_HEADER))
    text = io.TextIOWrapper(start, encoding='utf-8-sig', newline='')
    header = next(csv.reader(text), [])
    if start.tell() == budgets.CSV_HEADER and not text.read(1):
      raise UserError(
        f'{path} has a header of {budgets.CSV_HEADER:,} bytes and more, expected less'
      )
  except (OSError, UnicodeDecodeError, csv.Error) as error:
    raise UserError(f'cannot read {path}: {errors.one_line(error, 120)}') from error
  return header


def check_rows(path: pathlib.Path, rows: int) -> None:
  """Raises a UserError if a table has more rows than any may have."""
  if rows > budgets.ROWS:
    raise UserError(f'{path} has more than {budgets.ROWS:,} rows')


def to_ids(path: pathlib.Path, names: list[str]) -> pa.Array:
  """Returns names as ids.

  Raises:
    UserError: they are too many, too long, or not UTF-8.
  """
  check_rows(path, len(names))
  try:
    ids = arrow.strings(names)
  except UnicodeEncodeError as error:
    raise UserError(f'{path} has ids that are not UTF-8') from error
  arrow.check_texts(path, ids)
  return ids


def doubles(names: list[str]) -> list[str]:
  """Returns what occurs more than once, sorted.

  >>> doubles(['b', 'a', 'b'])
  ['b']
  """
  return sorted(name for name, count in collections.Counter(names).items() if count > 1)


def first(names: list[str]) -> str:
  """Returns the first ten names, for a message.

  >>> first(['a', 'b'])
  'a, b'
  """
  return ', '.join(names[:10]) + ', ...' * (len(names) > 10)
