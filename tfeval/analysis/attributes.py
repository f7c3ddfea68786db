"""Attributes of images as slices: binary columns, categories, quarters of numbers."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfeval.analysis.shift.images import ImageStatistics
from tfeval.datasets.labels import columns, sets
from tfeval.datasets.labels.group_files import GroupTable
from tfeval.metrics.slices import NONE, UNKNOWN
from tfeval.runs.run import Run
from tfeval.utils import arrow
from tfeval.utils.arrow import to_numpy
from tfeval.utils.errors import UserError, listed

# Of stored rows; others are of the answers, not of the images.
LABEL, REAL_LABELS, FOLDER = OF_ROWS = ('label', 'real_labels', 'folder')
# Numbers of more values are cut into quarters; SI-Score has 18 angles and 20 sizes.
_MOST_NUMBERS = 24
# Texts of more values are no categories: as many as ImageNet has classes.
_MOST_CATEGORIES = 1000
_BINARY = {'0': NONE, 'false': NONE, '1': 0, 'true': 0}


@dataclasses.dataclass(frozen=True, eq=False)
class Attribute:
  """What is known of m images.

  Attributes:
    name: of the column.
    slices: what its slices are called.
    codes: int64 [m], the slice of each image, `NONE` or `UNKNOWN`.
    is_factor: whether it is a factor that images have or have not.
  """

  name: str
  slices: tuple[str, ...]
  codes: np.ndarray
  is_factor: bool = False


def of_table(table: GroupTable) -> tuple[list[Attribute], list[str]]:
  """Makes attributes of columns.

  Args:
    table: of groups. A column of 0 and 1 (or of true and false) is one slice, the
      images with 1; numbers of more than 24 values, or of nearly as many as there are
      images, are four, quarters of the images; all else is a slice for each value.

  Returns:
    The attributes, and remarks on columns of which nothing can be made.

  Raises:
    UserError: there are none.
  """
  found, remarks = [], []
  for name, texts in table.columns.items():
    made = _attribute(name, texts)
    if isinstance(made, str):
      remarks.append(f'column {name} is left out: {made}')
    else:
      found.append(made)
  if not found:
    raise UserError('no column makes groups: ' + listed(remarks))
  return found, remarks


def _attribute(name: str, texts: pa.Array) -> Attribute | str:
  """Returns an attribute, or why a column makes none."""
  coded = texts.dictionary_encode()
  values = coded.dictionary.to_pylist()
  code_of = np.array(to_numpy(coded.indices), np.int64)
  unknown = [value.lower() in ('', 'nan') for value in values]
  known = [value for value, is_none in zip(values, unknown, strict=True) if not is_none]
  if not known:
    return 'it is empty'
  if {value.lower() for value in known} <= _BINARY.keys():
    binary = [_BINARY.get(value.lower(), UNKNOWN) for value in values]
    return Attribute(name, (name,), np.array(binary)[code_of], is_factor=True)
  labelled = int(np.count_nonzero(~np.array(unknown)[code_of]))
  # Of most values there are several images, or they are no groups.
  repeated = len(known) <= max(4, labelled // 2)
  numbers = _numbers(values, unknown)
  if numbers is None:
    known.sort()
  elif columns.names_classes(name) or repeated and len(known) <= _MOST_NUMBERS:
    known.sort(key=float)
  else:
    return _quarters(name, numbers[code_of])
  if len(known) > _MOST_CATEGORIES or not (repeated or len(known) <= _MOST_NUMBERS):
    return f'{len(known):,} values of {labelled:,} images are no groups'
  place = {value: i for i, value in enumerate(known)}
  codes = np.array([place.get(value, UNKNOWN) for value in values], np.int64)
  return Attribute(name, tuple(known), codes[code_of])


def _numbers(values: Sequence[str], unknown: Sequence[bool]) -> np.ndarray | None:
  """Returns float64 of texts, NaN of unknown ones; None: others are no numbers."""
  try:
    pairs = zip(values, unknown, strict=True)
    found = np.array([np.nan if none else float(text) for text, none in pairs])
  except ValueError:
    return None
  return None if np.isinf(found).any() else found


def _quarters(name: str, numbers: np.ndarray) -> Attribute:
  """Cuts numbers, float64 [m], NaN for unknown, at their quartiles."""
  edges = np.nanquantile(numbers, [0.25, 0.5, 0.75])
  at = np.where(np.isnan(numbers), UNKNOWN, np.searchsorted(edges, numbers))
  # Where a quarter of the numbers are equal, some of the four are empty.
  there = [quarter for quarter in range(4) if (at == quarter).any()]
  names = []
  codes = np.full(len(at), UNKNOWN, np.int64)
  for i, quarter in enumerate(there):
    inside = at == quarter
    codes[inside] = i
    low, high = numbers[inside].min(), numbers[inside].max()
    names.append(f'{low:.4g} to {high:.4g}')
  return Attribute(name, tuple(names), codes)


def of_rows(column: str, runs: Sequence[Run]) -> GroupTable:
  """Returns what stored rows say of images.

  Args:
    column: one of `OF_ROWS`: the original label; how many ReaL labels there are; the
      folder in the id.
    runs: whose images.

  Raises:
    UserError: they do not say it.
  """
  ids, texts = [], []
  for run in runs:
    rows = run.to_arrow(['id', 'label', 'real_labels'])
    ids.append(arrow.joined(rows['id']))
    texts += _texts(column, run, rows)
  if not any(texts):
    raise UserError(f'`by={column}`: the rows of {runs[0].path} do not say it')
  names = pa.concat_arrays(ids)
  different = pc.unique(names)
  kept = pc.index_in(different, names)
  return GroupTable(different, {column: arrow.strings(texts).take(kept)})


def _texts(column: str, run: Run, rows: pa.Table) -> list[str]:
  if column == FOLDER:
    return [one.rpartition('/')[0] for one in rows['id'].to_pylist()]
  if column == REAL_LABELS:
    if rows['real_labels'].null_count == len(rows):
      return [''] * len(rows)
    sizes = sets.LabelSource(sets.REAL).of_rows(rows).sizes.tolist()
    return [f'{size} label{"s" * (size != 1)}' for size in sizes]
  (source,) = sets.open_labels([sets.ORIGINAL], run.label_space)
  labels = source.of_rows(rows)
  found = np.full(len(rows), -1)
  found[labels.sizes > 0] = labels.values
  # Two classes of ImageNet are called crane, two maillot.
  names = [f'{name} ({i})' for i, name in enumerate(run.label_space.class_names)]
  return [names[label] if label >= 0 else '' for label in found.tolist()]


def of_statistics(found: Sequence[ImageStatistics]) -> GroupTable:
  """Returns what was measured of images, of different ones each.

  Raises:
    UserError: none of them could be decoded.
  """
  ids = [one for each in found for one in each.ids]
  if not ids:
    raise UserError('`by=images`: none of the images can be decoded')
  values = {
    name: np.concatenate([each.values[name] for each in found if each.ids])
    for name in next(each.values for each in found if each.ids)
  }
  texts = {
    name: arrow.strings(['' if np.isnan(x) else f'{x:.6g}' for x in column])
    for name, column in values.items()
  }
  failed = sum(len(each.failed) for each in found)
  notes = (f'{failed:,} images cannot be decoded',) if failed else ()
  return GroupTable(arrow.strings(ids), texts, notes)
