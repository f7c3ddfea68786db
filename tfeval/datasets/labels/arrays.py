"""Labels in JSON and NumPy's files."""

import itertools
import pathlib
from typing import Any

import numpy as np
import pyarrow as pa

from tfeval.datasets.labels import columns, imagenet
from tfeval.datasets.labels.entries import LabelEntries, check_count
from tfeval.datasets.labels.listing import doubles, to_ids
from tfeval.utils import arrow, json_text
from tfeval.utils.errors import UserError, listed

_LABEL = (int, float, str)


def read_json_without_repeats(path: pathlib.Path) -> Any:
  """Reads JSON whose objects name nothing twice; of doubles one would be lost.

  Raises:
    UserError: the file is missing, is not JSON, or names something twice.
  """

  def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
      names = [name for name, _ in pairs]
      raise UserError(f'{path} has double ids: {listed(doubles(names))}')
    return found

  try:
    return json_text.read(path, pairs=unique)
  except OSError as error:
    raise UserError(f'cannot read {path}: {error.strerror}') from error


def read_json(path: pathlib.Path) -> LabelEntries:
  """Reads an object of images and labels, or a list.

  Args:
    path: of an object with an entry for each image, or of a list with an entry for
      each validation image, image 1 first, or with an object for each image. An entry
      is a label, a list of labels, or null.

  Raises:
    UserError: it is not JSON, or something else.
  """
  content = read_json_without_repeats(path)
  ids: pa.Array | None = None
  if isinstance(content, dict):
    ids, entries = to_ids(path, list(content)), list(content.values())
  elif not isinstance(content, list):
    raise UserError(
      f'{path}: no list and no object: expected an entry for each '
      'validation image, or for each file name'
    )
  elif content and isinstance(content[0], dict):
    ids, entries = _of_objects(path, content)
  else:
    entries = content
  if set(map(type, entries)) - {list}:
    entries = [
      one if type(one) is list else [] if one is None else [one] for one in entries
    ]
  flat = list(itertools.chain.from_iterable(entries))
  sizes = np.fromiter(map(len, entries), np.int64, len(entries))
  kinds = set(map(type, flat))
  if kinds - {*_LABEL}:
    at = next(i for i, entry in enumerate(entries) if not _is_label_set(entry))
    name = imagenet.validation_name(at + 1) if ids is None else ids[at].as_py()
    raise UserError(
      f'{path}: the entry of {name} is {str(entries[at])[:40]}, expected a class, a '
      'list of classes or null'
    )
  return LabelEntries(ids, _as_texts(path, flat, kinds), sizes)


def _is_label_set(entry: list[Any]) -> bool:
  return all(type(label) in _LABEL for label in entry)


def _as_texts(path: pathlib.Path, values: list[Any], kinds: set[type]) -> pa.Array:
  if kinds == {int}:
    try:
      return arrow.numbers(np.array(values, np.int64)).cast(pa.string())
    except OverflowError:
      pass
  # A longer number is no class.
  return to_ids(path, [one if type(one) is str else str(one)[:40] for one in values])


def _of_objects(path: pathlib.Path, content: list[Any]) -> tuple[pa.Array, list[Any]]:
  """Returns ids and labels of a list of objects, a line of a table each."""
  names = list(content[0])
  found = columns.by_header(path, names)
  if found is None or found.id is None:
    raise columns.unknown_columns(path, names)
  id_name, label_name = names[found.id], names[found.label]
  for number, one in enumerate(content):
    if not isinstance(one, dict) or not {id_name, label_name} <= {*one}:
      raise UserError(
        f'{path}: entry {number} is {str(one)[:40]}, expected an object with '
        f'{id_name!r} and {label_name!r}, as the first has'
      )
    if type(one[id_name]) not in (int, str):
      raise UserError(
        f'{path}: {id_name!r} of entry {number} is {str(one[id_name])[:40]}, expected '
        'a text'
      )
  ids = to_ids(path, [str(one[id_name]) for one in content])
  return ids, [one[label_name] for one in content]


def read_npy(path: pathlib.Path) -> LabelEntries:
  """Reads int [50000], a class for each validation image, negative for none.

  Raises:
    UserError: it is no such array.
  """
  from tfeval.utils import numpy_files  # Which needs more than JSON does.

  labels = numpy_files.load_npy(path)
  if labels.ndim != 1 or labels.dtype.kind not in 'iu':
    raise UserError(
      f'{path} holds {labels.dtype} {list(labels.shape)}, expected whole numbers '
      f'[{imagenet.NUM_VALIDATION}], a class for each validation image'
    )
  check_count(path, len(labels))  # Before any of them is read.
  labels = np.asarray(labels)
  labels = labels.astype(np.uint64 if labels.dtype.kind == 'u' else np.int64)
  texts = arrow.numbers(labels[labels >= 0]).cast(pa.string())
  return LabelEntries(None, texts, (labels >= 0).astype(np.int64))
