"""Subsets of images, by lists of their ids."""

import dataclasses
import pathlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfeval.datasets.labels import label_errors, sets
from tfeval.datasets.labels.listing import check_rows, to_ids
from tfeval.metrics.accuracy import LabelSets
from tfeval.utils import arrow, budgets, paths, untrusted
from tfeval.utils.arrow import to_numpy
from tfeval.utils.errors import UserError, listed


@dataclasses.dataclass(frozen=True)
class Subset:
  """The images that a second accuracy is counted over.

  Attributes:
    keep: ids of the only images that count; None for all.
    omit: ids of images that do not.
    omit_numbers: int [k], numbers of validation images that do not; None: all do.
  """

  keep: pa.Array | None
  omit: pa.Array | None
  omit_numbers: np.ndarray | None = None

  def mask(self, ids: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Returns bool [n]: which images belong to it."""
    inside = np.ones(len(ids), bool)
    if self.keep is not None:
      inside &= to_numpy(pc.is_in(ids, self.keep))
    if self.omit is not None:
      inside &= ~to_numpy(pc.is_in(ids, self.omit))
    if self.omit_numbers is not None:
      numbers = sets.validation_numbers(arrow.joined(ids))
      inside &= ~np.isin(numbers, self.omit_numbers)
    return inside

  def check(self, ids: pa.Array, where: paths.Path) -> None:
    """Checks that it names nothing but these images, and some of them.

    Raises:
      UserError: it names others, and lists the first ten; or leaves none; or it omits
        numbers, and none of the images has one.
    """
    if self.omit_numbers is not None and not sets.validation_numbers(ids).any():
      raise UserError(
        f'`omit={label_errors.NAME}`: none of the {len(ids)} images of {where} is '
        f'called as validation images are: the first is {ids[0]}'
      )
    for flag, asked in (('keep', self.keep), ('omit', self.omit)):
      if asked is None:
        continue
      if unknown := arrow.without(asked, ids).to_pylist():
        raise UserError(
          f'`{flag}`: {len(unknown)} of {len(asked)} ids are none of '
          f'the {len(ids)} images: {listed(sorted(unknown))}'
        )
    if not self.mask(ids).any():
      raise UserError(
        f'`keep` and `omit` leave none of the {len(ids)} images of {where}'
      )


def open_subset(keep: str | None, omit: str | None) -> Subset | None:
  """Reads lists of ids; returns None without any.

  Args:
    keep, omit: paths, see `read_ids`; or to omit `label_errors`, the validation images
      whose original label is an error.
  """
  if keep is None and omit is None:
    return None
  numbers = None
  if omit == label_errors.NAME:
    omit, numbers = None, label_errors.error_numbers()
  kept, omitted = (
    None if path is None else pc.unique(read_ids(pathlib.Path(path)))
    for path in (keep, omit)
  )
  return Subset(kept, omitted, numbers)


def read_ids(path: pathlib.Path) -> pa.Array:
  """Reads ids: one on each line, or a JSON list of them (`.json`).

  Raises:
    UserError: the file is missing, empty, or no such list.
  """
  path = path.expanduser()
  if path.suffix.lower() == '.json':
    from tfeval.datasets.labels import arrays  # Rarely needed.

    found = arrays.read_json_without_repeats(path)
    if not isinstance(found, list) or set(map(type, found)) - {str}:
      raise UserError(f'{path} is not a list of ids')
  else:
    found = _read_lines(path)
  if not found:
    raise UserError(f'{path} lists no ids')
  return to_ids(path, found)


def _read_lines(path: pathlib.Path) -> list[str]:
  try:
    content = untrusted.read_bytes(path, budgets.TEXT_FILE)
    check_rows(path, content.count(b'\n'))
    lines = content.decode().split('\n')
  except OSError as error:
    raise UserError(f'cannot read ids {path}: {error.strerror}') from error
  except UnicodeDecodeError as error:
    raise UserError(f'{path} is not text: expected one id on each line') from error
  return [line.removesuffix('\r') for line in lines if line.strip()]


def select(labels: LabelSets, inside: np.ndarray) -> LabelSets:
  """Returns the sets of some examples.

  Args:
    labels: of n examples.
    inside: bool [n].
  """
  return LabelSets(
    np.asarray(labels.values)[np.repeat(inside, labels.sizes)],
    np.asarray(labels.sizes)[inside],
  )
