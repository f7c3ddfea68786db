"""Files of labels: JSON, npy and CSV, by validation order or by file name."""

import collections
import dataclasses
import itertools
import json
import pathlib
import tokenize
import zipfile
import zlib
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfeval.datasets.labels import imagenet
from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.utils import errors, files
from tfeval.utils.arrow import strings, to_numpy
from tfeval.utils.errors import UserError

KINDS = ('.json', '.npy', '.csv')
# What Python raises at a zip archive that is cut, changed or no such.
BROKEN_ARCHIVE = (
  zipfile.BadZipFile,
  zlib.error,
  EOFError,
  NotImplementedError,
  RuntimeError,
)
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
  if ids is None and len(sizes) != imagenet.NUM_VALIDATION:
    raise UserError(
      f'{path} has {len(sizes)} entries, expected {imagenet.NUM_VALIDATION}, one '
      'for each validation image: give labels of others by file name'
    )
  if not len(values):
    raise UserError(f'{path} labels no image: all {len(sizes)} entries are empty')
  return LabelTable(ids, values, sizes, sha256)


def _read_json(path: pathlib.Path, space: LabelSpace) -> _Labels:
  content = read_json_without_repeats(path)
  ids, entries = None, content
  if isinstance(content, dict):
    try:
      ids, entries = strings(list(content)), list(content.values())
    except UnicodeEncodeError as error:
      raise UserError(f'{path} has ids that are not UTF-8') from error
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
  labels = load_npy(path)
  if labels.ndim != 1 or labels.dtype.kind not in 'iu':
    raise UserError(
      f'{path} holds {labels.dtype} {list(labels.shape)}, expected whole numbers '
      f'[{imagenet.NUM_VALIDATION}], a class for each validation image'
    )
  if len(labels) and labels.max() >= len(space):
    raise UserError(
      f'{path} has the class {labels.max()}, expected 0 to '
      f'{len(space) - 1}, negative for none'
    )
  labels = np.asarray(labels).astype(np.int32)
  return None, labels[labels >= 0], (labels >= 0).astype(np.int64)


def load_npy(path: pathlib.Path) -> np.ndarray:
  """Opens an npy file without reading it and without running what it holds.

  Raises:
    UserError: it cannot be read, is cut off, or holds Python objects.
  """
  try:
    found = np.load(path, mmap_mode='r', allow_pickle=False)
  except OSError as error:
    raise UserError(f'cannot read {path}: {error.strerror or error}') from error
  except (
    ValueError,
    EOFError,
    SyntaxError,
    TypeError,
    OverflowError,
    MemoryError,
    RecursionError,
    tokenize.TokenError,
  ) as error:  # A header is parsed.
    raise UserError(
      f'{path} is not a whole .npy file of numbers (Python objects are '
      f'never loaded): {errors.one_line(error, 120)}'
    ) from error
  if not isinstance(found, np.ndarray):
    found.close()
    raise UserError(f'{path} is an .npz archive: name it so')
  return found


def _read_csv(path: pathlib.Path, space: LabelSpace) -> _Labels:
  from pyarrow import csv  # Rarely needed.

  options = csv.ConvertOptions(
    column_types={'id': pa.string(), 'label': pa.string()}, strings_can_be_null=False
  )
  try:
    table = csv.read_csv(path, convert_options=options)
  except (pa.ArrowException, OSError) as error:
    raise UserError(
      f'{path} is not a CSV file: {errors.one_line(error, 120)}'
    ) from error
  names = table.column_names
  # Ids under another name would be taken for none.
  if not {'id', 'label'} <= set(names) and names != ['label']:
    raise UserError(
      f'{path} has the columns {", ".join(names)}, expected id and '
      'label, or label alone with a line for each validation image'
    )
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
    return json.loads(path.read_bytes(), object_pairs_hook=unique)
  except UserError:
    raise
  except OSError as error:
    raise UserError(f'cannot read {path}: {error.strerror}') from error
  except (ValueError, RecursionError) as error:
    raise UserError(f'{path} is not JSON: {errors.one_line(error, 120)}') from error


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
