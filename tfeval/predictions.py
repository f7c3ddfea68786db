"""The prediction store: a row for each example, in atomic, listed parts.

`predictions/index.json` lists the parts with their rows and SHA-256. A part is
written first and listed after, both by renaming, so that a part that is torn,
stale or of an earlier run is never read.
"""

import math
import pathlib
import re
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tfeval import errors, files
from tfeval import labels as labels_lib
from tfeval.columns import joined, numbers, to_numpy
from tfeval.errors import UserError
from tfeval.metrics import ranking

SCHEMA_VERSION = 1
STORED_CLASSES = 20
_CLASSES = 0, labels_lib.NUM_CLASSES - 1
# The softmax of a model may come out at 1 + 2**-23.
_LOG_PROBS = -math.inf, 1e-6
_LIMITS = {'label': _CLASSES, 'real_labels': _CLASSES, 'classes': _CLASSES,
           'log_probs': _LOG_PROBS, 'label_log_prob': _LOG_PROBS}
# Anything else could lead out of the directory.
_PART = re.compile(r'part-\d{5,}\.parquet')


def schema(store_logits: bool, classes: int = STORED_CLASSES) -> pa.Schema:
  """Returns the columns of a part.

  Args:
    store_logits: whether all 1000 outputs are kept.
    classes: how many ranked classes are kept.

  Returns:
    `id`: file name; `image_sha256`: of the encoded bytes, null where these are not
    known; `label`: original label or null; `real_labels`: set of classes, null
    where the dataset has no such labels at all; `classes`, `log_probs`: best
    first, ties lowest class first, null where no probability is known;
    `label_log_prob`: of the original label, null without one or where it is not
    known; `logits`: the model's outputs as they came (probabilities if that is
    what it returns).
  """
  fields = [
      pa.field('id', pa.string(), nullable=False),
      pa.field('image_sha256', pa.binary(32)),
      pa.field('label', pa.int32()),
      pa.field('real_labels', pa.list_(pa.int32())),
      pa.field('classes', pa.list_(pa.int32(), classes), nullable=False),
      pa.field('log_probs', pa.list_(pa.float32(), classes)),
      pa.field('label_log_prob', pa.float32()),
  ]
  if store_logits:
    fields.append(pa.field('logits', pa.list_(pa.float32(), labels_lib.NUM_CLASSES)))
  return pa.schema(fields)


def make_rows(ids: list[str], hashes: list[bytes], labels: np.ndarray,
              real_labels: list[list[int]] | None, scores: np.ndarray,
              output: str, store_logits: bool) -> pa.RecordBatch:
  """Makes the rows of n examples out of a model's outputs.

  Args:
    ids: n unique ids.
    hashes: n SHA-256 digests of the encoded images, 32 bytes each.
    labels: int [n], original labels, negative for none.
    real_labels: n lists of class indices, or None without ReaL labels.
    scores: float32 [n, 1000], finite.
    output: `'logits'` or `'probabilities'`: what the scores are.
    store_logits: whether to keep the scores.

  Returns:
    A record batch of `schema(store_logits)`.
  """
  ranked, log_probs, of_label = rank_scores(scores, labels, output)
  return assemble(
      pa.array(ids, pa.string()), pa.array(hashes, pa.binary(32)), labels,
      pa.array(real_labels if real_labels is not None else [None] * len(ids),
               pa.list_(pa.int32())),
      ranked, log_probs, of_label, scores if store_logits else None)


def rank_scores(scores: np.ndarray, labels: np.ndarray,
                output: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Ranks all outputs of n examples.

  Args:
    scores: float [n, 1000], finite.
    labels: int [n], original labels, negative for none.
    output: `'logits'` or `'probabilities'`: what the scores are.

  Returns:
    int32 [n, 20], the best classes; float64 [n, 20], their log-probabilities;
    float64 [n], the log-probability of the label, NaN without one.
  """
  ranked = ranking.top_k(scores, STORED_CLASSES)
  if output == 'logits':
    log_probs = ranking.log_softmax(scores)
  else:
    with np.errstate(divide='ignore'):
      log_probs = np.log(scores.astype(np.float64))
  labelled = labels >= 0
  of_label = log_probs[np.arange(len(labels)), np.where(labelled, labels, 0)]
  return (ranked, np.take_along_axis(log_probs, ranked, axis=1),
          np.where(labelled, of_label, np.nan))


def assemble(ids: pa.Array, hashes: pa.Array, labels: np.ndarray,
             real_labels: pa.Array, ranked: np.ndarray, log_probs: np.ndarray | None,
             label_log_prob: np.ndarray | None,
             scores: np.ndarray | None) -> pa.RecordBatch:
  """Puts the columns of n rows together.

  Args:
    ids, hashes, real_labels: as `schema` has them.
    labels: int [n], negative for none.
    ranked: int [n, k], classes, best first.
    log_probs: float [n, k]; None where nothing is known of them.
    label_log_prob: float [n], NaN for unknown; None where all are.
    scores: float [n, 1000] to keep as `logits`, or None.

  Returns:
    A record batch of `schema(scores is not None, k)`.
  """
  n, k = ranked.shape
  unknown = pa.nulls(n, pa.float32())
  columns = [
      ids, hashes, numbers(labels.astype(np.int32), labels < 0), real_labels,
      _fixed_size(ranked, np.int32),
      (pa.nulls(n, pa.list_(pa.float32(), k)) if log_probs is None
       else _fixed_size(log_probs, np.float32)),
      (unknown if label_log_prob is None else
       numbers(label_log_prob.astype(np.float32), np.isnan(label_log_prob))),
  ]
  if scores is not None:
    columns.append(_fixed_size(scores, np.float32))
  return pa.record_batch(columns, schema=schema(scores is not None, k))


def _fixed_size(values: np.ndarray, dtype: type) -> pa.Array:
  flat = np.ascontiguousarray(values, dtype).reshape(-1)
  return pa.FixedSizeListArray.from_arrays(numbers(flat), values.shape[1])


class Writer:
  """Writes parts of a number of rows or a batch more; lists each once it is whole."""

  def __init__(self, directory: pathlib.Path, store_logits: bool,
               rows_per_part: int = 2000, classes: int = STORED_CLASSES,
               keep: Sequence[dict] = ()):
    """Starts a store, discarding what is not kept of an unfinished run.

    Args:
      directory: of the parts.
      store_logits: whether rows have all 1000 outputs.
      rows_per_part: how many rows make a part; of rows with positions, how many
        positions.
      classes: how many ranked classes rows have.
      keep: what `resume.whole_parts` found.

    Raises:
      UserError: the directory cannot be written.
    """
    self._directory = directory
    self._schema = schema(store_logits, classes)
    self._rows_per_part = rows_per_part
    self._parts = list(keep)
    self._pending: list[pa.Table] = []
    self._positions: list[int] = []
    try:
      directory.mkdir(parents=True, exist_ok=True)
      kept = {part['file'] for part in keep}
      if not keep:
        # The list goes before the parts: what is not listed is never read.
        (directory / 'index.json').unlink(missing_ok=True)
      for stale in [*directory.glob('part-*.parquet'), *directory.glob('.*.tmp')]:
        if stale.name not in kept:
          stale.unlink(missing_ok=True)
    except OSError as error:
      raise files.cannot_write(directory, error) from error
    self._write_index(self._parts)
    if keep and keep[-1]['positions'][-1][1] % rows_per_part:
      self._reopen()

  def _reopen(self) -> None:
    """Takes up a part that an interruption cut short; listed until it is replaced."""
    part = self._parts.pop()
    self._pending = [read_part(self._directory, part, self._schema.names)]
    self._positions = [position for start, stop in part['positions']
                       for position in range(start, stop)]

  def write(self, rows: pa.RecordBatch | pa.Table,
            positions: Sequence[int] | None = None) -> None:
    """Takes rows; writes a part when enough have come together.

    Args:
      rows: of `schema`.
      positions: of the rows in the dataset, ascending, from 0. With these a part
        ends at a multiple of `rows_per_part`, whatever is missing before it: how
        often a run was interrupted changes no part.
    """
    size = self._rows_per_part
    if positions and self._positions and (
        positions[0] // size != self._positions[0] // size):
      self.flush()
    self._pending.append(pa.Table.from_arrays(rows.columns, schema=self._schema))
    self._positions += positions or []
    if sum(map(len, self._pending)) >= size or (
        positions and (positions[-1] + 1) % size == 0):
      self.flush()

  def flush(self) -> None:
    """Writes what has not been written.

    Raises:
      UserError: the disk is full or the directory cannot be written.
    """
    # How rows came together would show in the bytes.
    table = pa.concat_tables([self._schema.empty_table(), *self._pending]
                             ).combine_chunks()
    if not len(table):
      return
    buffer = pa.BufferOutputStream()
    # Ids and probabilities hardly repeat: dictionaries double time and size.
    pq.write_table(table, buffer, compression='zstd', use_dictionary=False)
    path = self._directory / f'part-{len(self._parts):05d}.parquet'
    files.write_atomically(path, buffer.getvalue())
    part = {'file': path.name, 'rows': len(table), 'sha256': files.sha256_of(path)}
    if self._positions:
      part['positions'] = _ranges(self._positions)
    parts = [*self._parts, part]
    self._write_index(parts)
    # Rows first: a Ctrl-C between these lines may not write any of them twice.
    self._pending, self._positions = [], []
    self._parts = parts

  def _write_index(self, parts: list[dict]) -> None:
    files.write_json(self._directory / 'index.json',
                     {'schema_version': SCHEMA_VERSION, 'parts': parts})


def _ranges(positions: Sequence[int]) -> list[list[int]]:
  """Returns ascending numbers as ranges [start, stop).

  >>> _ranges([0, 1, 2, 5, 7, 8])
  [[0, 3], [5, 6], [7, 9]]
  """
  found: list[list[int]] = []
  for position in positions:
    if found and found[-1][1] == position:
      found[-1][1] += 1
    else:
      found.append([position, position + 1])
  return found


def read_parts(directory: pathlib.Path,
               columns: list[str] | None = None) -> Iterator[pa.Table]:
  """Yields the listed parts, each checked against its SHA-256 and row count.

  Args:
    directory: the store.
    columns: the columns to read; all by default.

  Raises:
    UserError: the store is missing, of a newer version, or a part is missing,
      changed or lacks a column.
  """
  kept = None
  for part in listed_parts(directory):
    table = read_part(directory, part, columns)
    if 'classes' in table.column_names:
      size = table['classes'].type.list_size
      if size != (kept := kept or size):
        raise UserError(f'{directory / part["file"]} keeps {size} classes, the part '
                        f'before it {kept}: evaluate again')
    yield table


def listed_parts(directory: pathlib.Path) -> list[dict]:
  """Returns the entries of a store's index, whose files lie inside of it.

  Raises:
    UserError: the index is missing, damaged or of a newer version.
  """
  index = files.read_json(directory / 'index.json')
  if not isinstance(index, dict) or not isinstance(index.get('parts'), list):
    raise UserError(f'{directory / "index.json"} does not list parts: evaluate again')
  if index.get('schema_version') != SCHEMA_VERSION:
    raise UserError(f'{directory} has schema version {index.get("schema_version")}, '
                    f'this tfeval reads {SCHEMA_VERSION}: upgrade tfeval')
  parts = index['parts']
  names = [part.get('file') if isinstance(part, dict) else None for part in parts]
  if not all(isinstance(n, str) and _PART.fullmatch(n) for n in names) or (
      len(set(names)) != len(names)):
    raise UserError(f'{directory / "index.json"} is damaged: it lists {str(names)[:80]}'
                    ', expected different part-NNNNN.parquet: evaluate again')
  return parts


def read_part(directory: pathlib.Path, part: dict,
              columns: list[str] | None) -> pa.Table:
  """Returns a listed part, checked as `read_parts` does.

  Raises:
    UserError: it is missing, changed or lacks a column.
  """
  path = directory / part['file']
  try:
    if files.sha256_of(path) != part.get('sha256'):
      raise UserError(f'{path} was changed after it was written: evaluate again')
    # Not read_table, which imports pandas where that is installed.
    with pq.ParquetFile(path) as file:
      there = file.schema_arrow.names
      if missing := sorted({*(columns or ())} - {*there}):
        raise UserError(f'{path} lacks the columns {", ".join(missing)}, it has '
                        f'{", ".join(there)[:200]}: evaluate again')
      table = file.read(columns)
  except OSError as error:
    raise UserError(f'cannot read {path}: {error.strerror or error}') from error
  except pa.ArrowException as error:
    raise UserError(f'{path} is not a readable Parquet file: '
                    f'{errors.one_line(error)}') from error
  if len(table) != part.get('rows'):
    raise UserError(f'{path} has {len(table)} rows, the index says '
                    f'{part.get("rows")} rows: evaluate again')
  _check_columns(path, table)
  return table


def _check_columns(path: pathlib.Path, table: pa.Table) -> None:
  """Holds that columns are what `schema` says: a run may come from a stranger."""
  # Imported rows may keep fewer classes than those of our own models.
  kept = next((table[name].type.list_size for name in ('classes', 'log_probs')
               if name in table.column_names
               and pa.types.is_fixed_size_list(table[name].type)), STORED_CLASSES)
  wanted = schema(True, max(1, min(kept, labels_lib.NUM_CLASSES)))
  for name in set(table.column_names) & set(wanted.names):
    column, field = table[name], wanted.field(name)
    if column.type != field.type or (column.null_count and not field.nullable):
      raise UserError(f'{path}: column {name} is {column.type} with '
                      f'{column.null_count} nulls, expected {field.type}: '
                      'evaluate again')
    if name == 'id':
      try:
        column.validate(full=True)
      except pa.ArrowException as error:
        raise UserError(f'{path} has ids that are not UTF-8: evaluate again') from error
    if name in _LIMITS:
      _check_values(path, name, column)


def _check_values(path: pathlib.Path, name: str, column: pa.ChunkedArray) -> None:
  values = pc.list_flatten(column) if pa.types.is_nested(column.type) else column
  found = pc.min_max(values)
  low, high = found['min'].as_py(), found['max'].as_py()
  lowest, highest = _LIMITS[name]
  if low is not None and not lowest <= low <= high <= highest:
    raise UserError(f'{path}: column {name} has values from {low:g} to {high:g}, '
                    f'expected {lowest:g} to {highest:g}: evaluate again')
  # `min_max` passes it over.
  if pa.types.is_floating(values.type) and pc.any(pc.is_nan(values)).as_py():
    raise UserError(f'{path}: column {name} has NaN: evaluate again')
  if values is not column and values.null_count:
    raise UserError(f'{path}: column {name} has nulls inside of lists: evaluate again')


def matrix(column: pa.Array | pa.ChunkedArray) -> np.ndarray:
  """Returns a column of fixed-size lists as a matrix [rows, size]; null is NaN."""
  column = joined(column)
  size, there = column.type.list_size, len(column) - column.null_count
  # `flatten` leaves the lists out that are null.
  found = to_numpy(column.flatten()).reshape(there, size)
  if there == len(column):
    return found
  values = np.full((len(column), size), np.nan, np.float32)
  values[to_numpy(column.is_valid())] = found
  return values
