"""Parquet files of predictions, whose columns are lists or those of CSV."""

import contextlib
import pathlib
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.runs.importing import flat
from tfeval.runs.importing.blocks import BLOCK, OR_NAMED, Block, Table, ids_of, readable
from tfeval.utils import parquet
from tfeval.utils.arrow import to_numpy
from tfeval.utils.errors import UserError, listed

_LISTS = (
  'classes with or without probabilities or log_probs, or logits or probabilities of '
  'all classes'
)


@contextlib.contextmanager
def opened(path: pathlib.Path, space: LabelSpace) -> Iterator[Table]:
  """Opens Parquet; see `readers.opened`.

  Raises:
    UserError: it cannot be read, holds something else, or takes too much memory.
  """
  with contextlib.ExitStack() as stack:
    with readable(path):
      content = stack.enter_context(parquet.content(path))
      file = parquet.File(path, content)
    if {'classes', 'logits', 'log_probs', 'probabilities'} & {*file.schema.names}:
      yield _of_lists(path, file, len(space))
    else:
      yield _flat(path, file, space)


def _of_lists(path: pathlib.Path, file: parquet.File, expected: int) -> Table:
  there = {*file.schema.names}
  scores = next(
    (name for name in ('logits', 'log_probs', 'probabilities') if name in there), None
  )
  # Where all outputs are there they say more than the best classes.
  classes = 'classes' if 'classes' in there and scores != 'logits' else None
  if classes is None and scores in (None, 'log_probs'):
    raise UserError(
      f'{path} has the columns {listed(sorted(there))}, expected id and {_LISTS}'
    )
  lists = [name for name in (classes, scores) if name is not None]
  for name in lists:
    _check_type(file, name)
  columns = ['id'] * ('id' in there) + lists
  rows_at_once = _rows_at_once(path, file, columns)
  with readable(path):
    batch = next(file.batches(1, columns), None)
  if batch is None:
    raise UserError(f'{path} has no rows')
  width = _lists(path, batch, lists[0]).shape[1]
  if classes is None and width != expected:
    raise UserError(
      f'{path}: {scores} has {width} values in a row, expected {expected}{OR_NAMED}'
    )

  def blocks() -> Iterator[Block]:
    with readable(path):
      for batch in file.batches(rows_at_once, columns):
        found: dict[str | None, np.ndarray] = {
          name: _lists(path, batch, name) for name in lists
        }
        if scores == 'log_probs':
          found[scores] = np.exp(found[scores].astype(np.float64))
        for name, values in found.items():
          if values.shape[1] != width:
            raise UserError(
              f'{path}: {name} has {values.shape[1]} values in a row, expected {width}'
            )
        yield Block(ids_of(path, batch), found.get(classes), found.get(scores))

  return Table(sum(file.rows), 'id' in there, width, blocks)


def _flat(path: pathlib.Path, file: parquet.File, space: LabelSpace) -> Table:
  """Opens Parquet with the columns of CSV."""
  header = file.schema.names
  classes, scores = flat.choose(path, header, space, f'; or lists: {_LISTS}')
  for names, whole in ((classes, True), (scores, False)):
    for name in names:
      flat.check_type(path, name, file.schema.field(name).type, whole)
  rows_at_once = _rows_at_once(path, file, header)

  def blocks() -> Iterator[Block]:
    with readable(path):
      for batch in file.batches(rows_at_once, header):
        yield flat.block(path, batch, classes, scores)

  return Table(sum(file.rows), 'id' in header, len(classes) or len(scores), blocks)


def _rows_at_once(path: pathlib.Path, file: parquet.File, columns: list[str]) -> int:
  """Returns how many rows make a block, however their values are spread."""
  with readable(path):
    found = file.check(columns, whole=False)
  width = sum(
    max(-(-n // max(1, rows)) for n, rows in zip(one.values, file.rows, strict=True))
    for name, one in found.items()
    if name != 'id' and one.values
  )
  return min(
    [max(1, BLOCK // max(1, width)), *(c.rows_at_once for c in found.values())]
  )


def _is_list(kind: pa.DataType) -> bool:
  return (
    pa.types.is_list(kind)
    or pa.types.is_large_list(kind)
    or pa.types.is_fixed_size_list(kind)
  )


def _is_number(kind: pa.DataType) -> bool:
  return pa.types.is_integer(kind) or pa.types.is_floating(kind)


def _check_type(file: parquet.File, name: str) -> None:
  kind = file.schema.field(name).type
  if not _is_number(kind.value_type if _is_list(kind) else kind):
    raise UserError(
      f'{file.path}: column {name} is {str(kind)[:80]}, expected lists of numbers, '
      'equally long'
    )


def _lists(path: pathlib.Path, batch: pa.RecordBatch, name: str) -> np.ndarray:
  """Returns a column of numbers or of equally long lists of them, [n, k]."""
  column = batch[name]
  nested = _is_list(column.type)
  values = column.flatten() if nested else column
  whole = len(values) // max(1, len(column))
  # Nulls first: what is null has no length.
  even = (
    not column.null_count
    and not values.null_count
    and (not nested or set(pc.unique(column.value_lengths()).to_pylist()) == {whole})
  )
  if not even:
    raise UserError(
      f'{path}: column {name} is {column.type} with '
      f'{column.null_count + values.null_count} nulls, expected lists of '
      'numbers, equally long'
    )
  return to_numpy(values).reshape(len(column), whole)
