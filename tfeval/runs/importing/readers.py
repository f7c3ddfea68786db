"""Files of predictions, read block by block; nothing in them is ever run.

Blocks bound the memory: full outputs of 50,000 images are 200 MB and more.
"""

import contextlib
import csv
import pathlib
import tempfile
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tfeval.datasets.labels import files
from tfeval.runs.importing import arrays, flat
from tfeval.runs.importing.blocks import BLOCK, Block, Table
from tfeval.runs.predictions import label_space
from tfeval.utils import errors
from tfeval.utils.arrow import to_numpy
from tfeval.utils.errors import UserError

_LISTS = (
  'classes with or without probabilities or log_probs, or logits or '
  f'probabilities of all {len(label_space())} classes'
)


@contextlib.contextmanager
def opened(
  predictions: pathlib.Path, probabilities: pathlib.Path | None
) -> Iterator[Table]:
  """Opens a file of predictions.

  Args:
    predictions: one of
      `.npy`: whole numbers [n, k] or [n], the classes, or floats [n, 1000], all
        outputs;
      `.npz`: one such array, or classes and their probabilities;
      `.csv`: a header, then `id` and either `class_1` to `class_k`, with or without
        `probability_1` to `probability_k`, or all outputs in 1000 columns named by
        class index or wnid; in any order, see `flat.choose`;
      `.parquet`: `id`, and `classes` (a list, or one), with or without `log_probs`
        or `probabilities`; or `logits` or `probabilities` of all 1000 classes; or
        the columns of `.csv`.
    probabilities: `.npy` [n, k], of the classes of an `.npy`; or None.

  Raises:
    UserError: the file cannot be read or holds something else.
  """
  kind = predictions.suffix.lower()
  if probabilities is not None and (kind, probabilities.suffix.lower()) != (
    '.npy',
    '.npy',
  ):
    raise UserError(
      f'`probabilities={probabilities}`: expected an .npy beside an .npy of classes'
    )
  if not predictions.is_file():
    raise UserError(f'{predictions} is not a file: `predictions` is a file or a folder')
  with tempfile.TemporaryDirectory() as scratch:
    if kind == '.npy':
      yield arrays.from_npy(predictions, predictions, probabilities)
    elif kind == '.npz':
      yield arrays.from_npz(predictions, pathlib.Path(scratch))
    elif kind == '.csv':
      yield _csv(predictions)
    elif kind == '.parquet':
      yield _parquet(predictions)
    else:
      raise UserError(f'{predictions}: expected an .npy, .npz, .csv or .parquet file')


@contextlib.contextmanager
def _readable(path: pathlib.Path) -> Iterator[None]:
  """Makes one line of what Arrow raises at a file that is cut, changed or no such."""
  try:
    yield
  except (pa.ArrowException, OSError) as error:
    raise UserError(f'{path} cannot be read: {errors.one_line(error, 160)}') from error


def _csv(path: pathlib.Path) -> Table:
  from pyarrow import csv as pa_csv  # Rarely needed.

  try:
    with open(path, encoding='utf-8-sig', newline='') as file:
      header = next(csv.reader(file), [])
  except (OSError, UnicodeDecodeError, csv.Error) as error:
    raise UserError(f'cannot read {path}: {errors.one_line(error, 120)}') from error
  classes, scores = flat.choose(path, header)
  types = {
    **dict.fromkeys(scores, pa.float64()),
    **dict.fromkeys(classes, pa.int64()),
    'id': pa.string(),
  }
  options = pa_csv.ConvertOptions(
    column_types=types, include_columns=[*classes, *scores, *{'id'} & {*header}]
  )
  # The header as it was read above.
  reading = pa_csv.ReadOptions(block_size=1 << 23, column_names=header, skip_rows=1)

  def blocks() -> Iterator[Block]:
    with _readable(path):
      try:
        with pa_csv.open_csv(path, reading, convert_options=options) as file:
          for batch in file:
            yield _flat_block(path, batch, classes, scores)
      except pa.ArrowInvalid as error:
        flat.refuse_cell(path, header, classes, str(error))
        raise

  return Table(None, 'id' in header, len(classes) or len(scores), blocks)


def _parquet(path: pathlib.Path) -> Table:
  with _readable(path):
    file = pq.ParquetFile(path)
  there = set(file.schema_arrow.names)
  if not there & {'classes', 'logits', 'log_probs', 'probabilities'}:
    return _flat_parquet(path, file)
  scores = next(
    (name for name in ('logits', 'log_probs', 'probabilities') if name in there), None
  )
  # Where all outputs are there they say more than the best classes.
  classes = 'classes' if 'classes' in there and scores != 'logits' else None
  if classes is None and scores in (None, 'log_probs'):
    raise UserError(
      f'{path} has the columns {files.first(sorted(there))}, expected id and {_LISTS}'
    )
  lists = [name for name in (classes, scores) if name is not None]
  columns = ['id'] * ('id' in there) + lists
  with _readable(path):
    first = next(file.iter_batches(1, columns=columns), None)
  if first is None:
    raise UserError(f'{path} has no rows')
  width = _lists(path, first, lists[0]).shape[1]
  if classes is None and width != (expected := len(label_space())):
    raise UserError(
      f'{path}: {scores} has {width} values in a row, expected {expected}'
    )

  def blocks() -> Iterator[Block]:
    with _readable(path):
      for batch in file.iter_batches(max(1, BLOCK // width), columns=columns):
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
        yield Block(_ids(batch), found.get(classes), found.get(scores))

  return Table(file.metadata.num_rows, 'id' in there, width, blocks)


def _flat_parquet(path: pathlib.Path, file: pq.ParquetFile) -> Table:
  """Opens Parquet with the columns of CSV."""
  header = file.schema_arrow.names
  classes, scores = flat.choose(path, header, f'; or lists: {_LISTS}')
  width = len(classes) or len(scores)

  def blocks() -> Iterator[Block]:
    with _readable(path):
      for batch in file.iter_batches(max(1, BLOCK // width)):
        yield _flat_block(path, batch, classes, scores)

  return Table(file.metadata.num_rows, 'id' in header, width, blocks)


def _flat_block(
  path: pathlib.Path, batch: pa.RecordBatch, classes: list[str], scores: list[str]
) -> Block:
  return Block(
    _ids(batch),
    flat.stack(path, batch, classes, whole=True),
    flat.stack(path, batch, scores, whole=False),
  )


def _ids(batch: pa.RecordBatch) -> pa.Array | None:
  if 'id' not in batch.schema.names:
    return None
  ids = batch['id'].cast(pa.string())
  ids.validate(full=True)  # Nothing else looks whether they are UTF-8.
  return ids


def _lists(path: pathlib.Path, batch: pa.RecordBatch, name: str) -> np.ndarray:
  """Returns a column of numbers or of equally long lists of them, [n, k]."""
  column = batch[name]
  nested = (
    pa.types.is_list(column.type)
    or pa.types.is_large_list(column.type)
    or pa.types.is_fixed_size_list(column.type)
  )
  values = column.flatten() if nested else column
  whole = len(values) // max(1, len(column))
  # Nulls first: what is null has no length.
  even = (
    not column.null_count
    and not values.null_count
    and (not nested or set(pc.unique(column.value_lengths()).to_pylist()) == {whole})
  )
  numbers = pa.types.is_integer(values.type) or pa.types.is_floating(values.type)
  if not (even and numbers):
    raise UserError(
      f'{path}: column {name} is {column.type} with '
      f'{column.null_count + values.null_count} nulls, expected lists of '
      'numbers, equally long'
    )
  return to_numpy(values).reshape(len(column), whole)
