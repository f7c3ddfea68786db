"""Labels in the ids 1 to 1000 of ImageNet's development kit."""

import os
import pathlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfeval.datasets.labels import imagenet
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
    from tfeval.datasets.labels import matlab  # Rarely needed.

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
  """Returns what numbers from 1 to the number of classes probably are, else `''`.

  Where images are validation images, that is counted by the packaged labels.
  """
  if _range(entries) != (1, len(space)):
    return ''
  if space.digest != imagenet.label_space().digest:
    return f': 1 to {len(space)} are off by one: subtract 1 from each'
  found = _validation_labels(entries)
  off_by_one, ids = 'off by one', 'ids of the development kit'
  if found is not None:
    numbers, truth = found
    kit = np.array(imagenet.ilsvrc_ids())[truth]
    off_by_one += f' (so {np.sum(numbers - 1 == truth):,} of {len(truth):,} are right)'
    ids += f' ({np.sum(numbers == kit):,} of {len(truth):,})'
  return (
    f': 1 to {len(space)} are {off_by_one}, or {ids}: give indices from 0, or wnids'
  )


def _validation_labels(
  entries: LabelEntries,
) -> tuple[np.ndarray, np.ndarray] | None:
  """Returns the numbers that validation images have, and their packaged labels."""
  if entries.ids is None or (entries.sizes != 1).any():
    return None
  names = pc.extract_regex(entries.ids, r'(?i)ILSVRC2012_val_(?P<n>\d{8})')
  images = to_numpy(names.field('n').cast(pa.int64()), null=0)
  known = (images > 0) & (images <= imagenet.NUM_VALIDATION)
  if not known.any():
    return None
  texts = entries.texts.to_pylist()
  numbers = np.array([index_of(text.strip()) or 0 for text in texts], np.int64)
  truth = np.array(imagenet.original_validation_labels())
  return numbers[known], truth[images[known] - 1]
