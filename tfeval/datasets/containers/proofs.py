"""What names of images prove: which validation image one is, and of which class."""

import collections
import os
import pathlib
import posixpath
import re
from collections.abc import Sequence

import numpy as np

from tfeval.datasets.labels import imagenet
from tfeval.utils import budgets
from tfeval.utils.errors import UserError, listed

_VALIDATION = re.compile(
  r'ILSVRC2012_val_(\d{8})(?:_n\d{8})?(?:\.[A-Za-z]+)?', re.IGNORECASE
)
_WNID = re.compile(r'(?:^|[/_])(n\d{8})(?=[/_.]|$)')


def validation_number(name: str) -> int | None:
  """Returns which validation image a name means, whatever stands around it, or None.

  >>> validation_number('val/ILSVRC2012_val_00000001_n01751748.JPEG')
  1
  """
  match = _VALIDATION.fullmatch(posixpath.basename(name))
  number = int(match[1]) if match else 0
  return number if 1 <= number <= imagenet.NUM_VALIDATION else None


def ids(names: Sequence[str], where: object) -> list[str]:
  """Returns ids of images as a folder has them.

  Args:
    names: of the images, with folders or without; each once.
    where: what holds them, for messages.

  Returns:
    File names; names with their folders where a file name occurs twice. Validation
    images have their own name, whatever their suffix.

  Raises:
    UserError: a validation image occurs twice, or an id is too long.
  """
  numbers = [validation_number(name) for name in names]
  bases = [
    imagenet.validation_name(number) if number else posixpath.basename(name)
    for name, number in zip(names, numbers, strict=True)
  ]
  counts = collections.Counter(bases)
  again = sorted(
    {
      base
      for base, number in zip(bases, numbers, strict=True)
      if number and counts[base] > 1
    }
  )
  if again:
    raise UserError(
      f'{where} has {len(again)} validation images twice: {listed(again)}: name each '
      'file once'
    )
  found = bases if len(counts) == len(bases) else list(names)
  check_ids(found, where)
  return found


def numbered(files: Sequence[pathlib.Path], counts: Sequence[int]) -> list[str]:
  """Returns ids of images that have no names: of the file, and a number in it.

  >>> numbered([pathlib.Path('/a/x.parquet'), pathlib.Path('/b/x.parquet')], [2, 1])
  ['a/x.parquet__0', 'a/x.parquet__1', 'b/x.parquet__0']
  """
  names = [path.name for path in files]
  if len(set(names)) < len(names):
    above = os.path.commonpath([path.parent for path in files])
    names = [os.path.relpath(path, above) for path in files]
  return [
    f'{name}__{number}'
    for name, count in zip(names, counts, strict=True)
    for number in range(count)
  ]


def check_ids(found: Sequence[str], where: object) -> None:
  """Checks that ids are different, and no longer than they may be.

  Raises:
    UserError: they are not.
  """
  longest = max(found, key=len)
  if len(longest.encode()) > budgets.ID:
    raise UserError(
      f'{where} has an id of {len(longest.encode()):,} bytes, expected at most '
      f'{budgets.ID:,}'
    )
  if len(set(found)) != len(found):
    again = sorted(one for one, n in collections.Counter(found).items() if n > 1)
    raise UserError(
      f'{where} has {len(again)} ids twice: {listed(again)}: name each file once, and '
      'give each image its own id'
    )


def known_classes(names: Sequence[str]) -> np.ndarray:
  """Returns the ILSVRC2012 class that each name proves, int64 [names], -1 for none.

  The name of a validation image does, and a wnid in any other.

  >>> known_classes(['n01443537/a.png', 'ILSVRC2012_val_00000001.JPEG', 'n1.png'])
  array([ 1, 65, -1])
  """
  index = imagenet.label_space().index_of_id
  wnids = [_WNID.search(name) for name in names]
  # Of a larger set of classes those that ILSVRC2012 has too prove nothing.
  own = all(wnid[1] in index for wnid in wnids if wnid)
  found = []
  for name, wnid in zip(names, wnids, strict=True):
    number = validation_number(name)
    if number:
      found.append(imagenet.original_validation_labels()[number - 1])
    else:
      found.append(index[wnid[1]] if wnid and own else -1)
  return np.array(found, np.int64)
