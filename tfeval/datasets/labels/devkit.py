"""Labels in the ids 1 to 1000 of ImageNet's development kit."""

import os
import pathlib

import numpy as np
import pyarrow.compute as pc

from tfeval.datasets.labels import imagenet, matlab
from tfeval.datasets.labels.entries import LabelEntries
from tfeval.datasets.labels.meanings import index_of
from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.utils.arrow import to_numpy
from tfeval.utils.errors import UserError

META = 'meta.mat'


def is_ground_truth(entries: LabelEntries, space: LabelSpace) -> bool:
  """Whether these are lines of `ILSVRC2012_validation_ground_truth.txt`.

  That is a number from 1 to 1000 for each validation image: indices have a 0 among
  50,000, and no 1000.
  """
  if entries.ids is not None or space.digest != imagenet.label_space().digest:
    return False
  return _range(entries) == (1, len(space))


def _range(entries: LabelEntries) -> tuple[int, int] | None:
  """Returns the least and the greatest label, None where some are no numbers."""
  different = pc.unique(entries.texts).to_pylist()
  numbers = [index_of(text.strip()) for text in different]
  there = [number for number in numbers if number is not None]
  return (min(there), max(there)) if there and None not in numbers else None


def indices(path: pathlib.Path, entries: LabelEntries, space: LabelSpace) -> np.ndarray:
  """Returns the classes of labels that are ids of the development kit.

  Args:
    path: of the file; `meta.mat` beside it says which wnid has which id, without it the
      packaged table.
    entries: numbers, all of them from 1 to 1000.
    space: the classes of ILSVRC2012.

  Returns:
    int32 [n].

  Raises:
    UserError: `meta.mat` lacks one of the ids, or cannot be read.
  """
  meta = path.parent / META
  if os.path.lexists(meta):
    wnids = matlab.read_ilsvrc_ids(meta)
    class_of = {n: space.index_of_id.get(wnid) for n, wnid in wnids.items()}
  else:
    class_of = {n: index for index, n in enumerate(imagenet.ilsvrc_ids())}
  coded = entries.texts.dictionary_encode()
  found = []
  for text in coded.dictionary.to_pylist():
    number = index_of(text.strip())
    class_index = None if number is None else class_of.get(number)
    if class_index is None:
      raise UserError(
        f'{meta} has no class of ILSVRC2012 with the id {number}, which {path} has: '
        'get the development kit again, or move it away'
      )
    found.append(class_index)
  return np.array(found, np.int32)[to_numpy(coded.indices)]


def hint(entries: LabelEntries, space: LabelSpace) -> str:
  """Returns what numbers from 1 to the number of classes probably are, else `''`."""
  if _range(entries) != (1, len(space)):
    return ''
  if space.digest != imagenet.label_space().digest:
    return f': 1 to {len(space)} are off by one: subtract 1 from each'
  return (
    f': 1 to {len(space)} are off by one (subtract 1 from each) or ids of the '
    'development kit (give wnids)'
  )
