"""Which images of a dataset rows without ids are of."""

import pathlib
from collections.abc import Sequence

import numpy as np

from tfeval.datasets.labels import sets, subsets
from tfeval.datasets.labels.listing import doubles
from tfeval.runs.importing.orders import CLASS_FOLDER, FILE_NAME, NAMED
from tfeval.utils import arrow
from tfeval.utils.errors import UserError, listed


def in_order(
  ids: Sequence[str], order: str, relative_paths: Sequence[str] | None = None
) -> list[str]:
  """Returns ids in the order of rows.

  Args:
    ids: of a dataset's images.
    order: `file_name`: by file name; `class_folder`: by folder, then file name, as
      tools read a folder for each class; or the path of a list of ids.
    relative_paths: where each image lies in a folder; None: its id tells.

  Raises:
    UserError: the list has other ids, or one twice; nothing tells the folders.

  >>> in_order(['b/1.jpg', 'a/2.jpg'], 'file_name')
  ['b/1.jpg', 'a/2.jpg']
  >>> in_order(['b/1.jpg', 'a/2.jpg'], 'class_folder')
  ['a/2.jpg', 'b/1.jpg']
  """
  if order == FILE_NAME:
    return sorted(ids, key=lambda one: (one.rsplit('/', 1)[-1], one))
  if order == CLASS_FOLDER:
    return _by_folder(ids, ids if relative_paths is None else relative_paths)
  given = subsets.read_ids(pathlib.Path(order)).to_pylist()
  known = set(ids)
  if unknown := [one for one in given if one not in known]:
    raise UserError(
      f'`order={order}`: {len(unknown)} of {len(given)} ids are none of the '
      f'{len(ids):,} images: {listed(unknown)}'
    )
  if twice := doubles(given):
    raise UserError(f'`order={order}` has {len(twice)} ids twice: {listed(twice)}')
  return given


def other_orders(
  ids: Sequence[str], order: str, relative_paths: Sequence[str] | None = None
) -> dict[str, list[str]]:
  """Returns what else the order of rows may be, by name, as `in_order` has it."""
  found = {}
  for name in NAMED:
    try:
      found[name] = in_order(ids, name, relative_paths)
    except UserError:
      continue  # No folders.
  asked = in_order(ids, order, relative_paths)
  found['the order of the dataset'] = list(ids)
  return {name: one for name, one in found.items() if one != asked}


def _by_folder(ids: Sequence[str], where: Sequence[str]) -> list[str]:
  if all('/' in one for one in where):
    order = sorted(range(len(ids)), key=lambda i: tuple(where[i].rsplit('/', 1)))
    return [ids[i] for i in order]
  at = sets.validation_numbers(arrow.strings(list(ids))) - 1
  if (at < 0).any():
    raise UserError(
      f'`order={CLASS_FOLDER}`: {listed([one for one in ids if "/" not in one][:1])} '
      'lies in no folder: give `order=file_name` or the path of a list of ids'
    )
  classes = sets.packaged().values[at]
  return [ids[i] for i in np.lexsort((np.array(ids), classes))]
