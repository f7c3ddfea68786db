"""Files of labels, read into the classes of each image."""

import dataclasses
import pathlib
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

from tfeval.datasets.labels import devkit
from tfeval.datasets.labels.entries import LabelEntries, check_count
from tfeval.datasets.labels.label_table import LabelTable
from tfeval.datasets.labels.meanings import NOTHING, UNKNOWN, Meanings, index_of
from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.utils import files
from tfeval.utils.arrow import to_numpy
from tfeval.utils.errors import UserError, listed

if TYPE_CHECKING:
  from tfeval.datasets.labels.columns import IsMeant

_TABLES = ('.csv', '.tsv', '.txt', '.lst')
KINDS = ('.json', '.npy', '.parquet', *_TABLES)


def read_labels(path: pathlib.Path, space: LabelSpace) -> LabelTable:
  """Reads a file of labels.

  Args:
    path: one of
      `.json`: a list with an entry for each of the 50,000 validation images, image
        1 first, an object with an entry for each file name, or a list of objects with
        a file name and a label; an entry is a class, a list of them (`real.json`), or
        null;
      `.npy`: int [50000], class indices of the validation images, negative for no
        label;
      `.csv`, `.tsv`, `.txt`, `.lst`: lines of an image and its label, separated by
        commas, semicolons, tabs or blanks; with a header the lines of the same image
        make a set; or a label alone for each validation image;
      `.parquet`: columns of images and of labels or lists of them.
    space: the classes; a label means one of them as `Meanings` says. 50,000 numbers
      from 1 to 1000 without names are the ids of the development kit.

  Raises:
    UserError: the file is missing, of another kind, or not as above.
  """
  meanings = Meanings(space)
  entries, sha256 = read_entries(
    path, lambda texts: bool((meanings.indices(texts) != UNKNOWN).all())
  )
  note = ''
  if entries.class_names is not None:
    found = meanings.of_named(entries.texts, entries.class_names)
    _check_known(path, entries, found, meanings)
  elif devkit.is_ground_truth(entries, space):
    found = devkit.indices(path, entries, space)
    note = f'read as ids 1 to {len(space)} of the development kit'
  else:
    found = meanings.indices(entries.texts)
    _check_known(path, entries, found, meanings)
  table = _as_table(path, entries, found, space, sha256)
  if entries.ids is not None and len(entries.ids) > len(table.sizes):
    if several := np.count_nonzero(table.sizes > 1):
      note = f'{several} images have several labels, of which each is right'
  return dataclasses.replace(table, note=note)


def read_entries(path: pathlib.Path, are_labels: 'IsMeant') -> tuple[LabelEntries, str]:
  """Reads what a file of labels says, whatever it means; see `read_labels`.

  Args:
    path: of the file.
    are_labels: whether all of some texts mean a class.

  Returns:
    The entries, and the SHA-256 of the file.

  Raises:
    UserError: the file is missing, of another kind, or cannot be read.
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
  # Imported as they are needed: all of them take a tenth of the time of `score`.
  if kind in _TABLES:
    from tfeval.datasets.labels import tables

    entries = tables.read_table(path, are_labels)
  elif kind == '.parquet':
    from tfeval.datasets.labels import parquet_labels

    entries = parquet_labels.read_parquet(path)
  else:
    from tfeval.datasets.labels import arrays

    entries = {'.json': arrays.read_json, '.npy': arrays.read_npy}[kind](path)
  if entries.ids is None:
    check_count(path, len(entries.sizes))
  return entries, sha256


def _check_known(
  path: pathlib.Path, entries: LabelEntries, found: np.ndarray, meanings: Meanings
) -> None:
  """Checks that every label means a class.

  Raises:
    UserError: one does not.
  """
  wrong = np.flatnonzero(found == UNKNOWN)
  if not wrong.size:
    return
  image = entries.name(int(entries.entry_of_text[wrong[0]]))
  text = _named(entries, entries.texts[wrong[0]].as_py())
  more = f' ({wrong.size:,} labels are like it)' if wrong.size > 1 else ''
  raise UserError(
    f'{path}: the label of {image} is {text[:40]!r}, {meanings.explain(text)}{more}'
    f'{devkit.hint(entries, meanings.space)}'
  )


def _named(entries: LabelEntries, text: str) -> str:
  """Returns a label by the name that a file gives its number."""
  names, index = entries.class_names or (), index_of(text)
  return text if index is None or index >= len(names) else names[index]


def _as_table(
  path: pathlib.Path,
  entries: LabelEntries,
  found: np.ndarray,
  space: LabelSpace,
  sha256: str,
) -> LabelTable:
  """Puts the labels of each image together.

  Raises:
    UserError: there are none, or an image has several that do not make a set.
  """
  labelled = found != NOTHING
  if not labelled.any():
    raise UserError(
      f'{path} labels no image: all {len(entries.sizes)} entries are empty'
    )
  ids, image, count = entries.ids, entries.entry_of_text[labelled], len(entries.sizes)
  if ids is not None:
    ids = pc.unique(entries.ids)
    image = to_numpy(pc.index_in(entries.ids, ids))[image]
    count = len(ids)
  values = found[labelled][np.argsort(image, kind='stable')]
  sizes = np.bincount(image, minlength=count).astype(np.int64)
  values, sizes = _without_repeats(values, sizes, space)
  if not entries.sets and (several := np.flatnonzero(sizes > 1)).size:
    assert ids is not None
    names = [ids[i].as_py() for i in several[:10].tolist()]
    raise UserError(
      f'{path}: {several.size} images have several different labels: '
      f'{listed(names, count=several.size)}: '
      'leave one of each (lines make sets under a header such as id,label)'
    )
  return LabelTable(ids, values, sizes, sha256)


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
