"""Predictions block by block: full outputs of 50,000 images are 200 MB and more."""

import contextlib
import dataclasses
import pathlib
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa

from tfeval.utils import arrow, errors
from tfeval.utils.errors import UserError

# What to do of outputs of other classes, where these can be named.
OR_NAMED = ', or `classes`, a file that names them'
# Values in a block: 1000 rows of all outputs.
BLOCK = 1_000_000


@dataclasses.dataclass(frozen=True)
class Block:
  """Some rows.

  Attributes:
    ids: string [n], or None where the file has none.
    classes: [n, k], any type, or None: scores are of all classes.
    scores: [n, k] or [n, 1000], any type, or None.
  """

  ids: pa.Array | None
  classes: np.ndarray | None
  scores: np.ndarray | None

  def __len__(self) -> int:
    return next(len(one) for one in (self.classes, self.scores) if one is not None)


@dataclasses.dataclass(frozen=True)
class Table:
  """An opened file of predictions.

  Attributes:
    rows: how many, None where only reading them tells.
    has_ids: whether blocks have ids.
    classes: how many classes of each row are known, best or not; 1000 with all
      outputs.
    blocks: reads the rows.
  """

  rows: int | None
  has_ids: bool
  classes: int
  blocks: Callable[[], Iterator[Block]]


@contextlib.contextmanager
def readable(path: pathlib.Path) -> Iterator[None]:
  """Makes one line of what Arrow raises at a file that is cut, changed or no such."""
  try:
    yield
  except (pa.ArrowException, OSError) as error:
    raise UserError(f'{path} cannot be read: {errors.one_line(error, 160)}') from error


def ids_of(path: pathlib.Path, batch: pa.RecordBatch) -> pa.Array | None:
  """Returns the column `id`, string [n], None without one.

  Raises:
    pa.ArrowException: ids are of another type, or not UTF-8.
    UserError: they are too long.
  """
  if 'id' not in batch.schema.names:
    return None
  arrow.check_texts(path, batch['id'])
  ids = batch['id'].cast(pa.string())
  ids.validate(full=True)  # Nothing else looks whether they are UTF-8.
  return ids
