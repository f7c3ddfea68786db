"""Writes rows in parts, and a list of these that holds at every moment."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tfeval.runs.predictions import reader
from tfeval.runs.predictions.rows import OUTPUTS, SCHEMA_VERSION, STORED_CLASSES, schema
from tfeval.utils import files
from tfeval.utils.paths import Path


class Writer:
  """Writes parts of a number of rows or a batch more; lists each once it is whole."""

  def __init__(
    self,
    directory: Path,
    store_logits: bool,
    rows_per_part: int = 2000,
    classes: int = STORED_CLASSES,
    keep: Sequence[dict] = (),
    space: int = OUTPUTS,
    outputs: int | None = None,
    rules: Mapping[str, int] | None = None,
    features: int = 0,
  ):
    """Starts a store, discarding what is not kept of an unfinished run.

    Args:
      directory: of the parts.
      store_logits: whether rows have all outputs.
      rows_per_part: how many rows make a part; of rows with positions, how many
        positions.
      classes: how many ranked classes rows have.
      keep: what `resume.whole_parts` found.
      space: how many classes there are.
      outputs: how many of them a model has outputs for; None: all.
      rules: how many ranked classes rows have under rules other than `all`, by name.
      features: how many features rows have.

    Raises:
      UserError: the directory cannot be written.
    """
    self._directory = directory
    outputs = space if outputs is None else outputs
    self._schema = schema(store_logits, classes, outputs, rules, features)
    self._sizes = {} if space == OUTPUTS else {'classes': space}
    if outputs != space:
      self._sizes['outputs'] = outputs
    self._rows_per_part = rows_per_part
    self._parts = list(keep)
    self._pending: list[pa.Table] = []
    self._positions: list[int] = []
    self._on_host: list[int] = []
    self._step_sizes: set[int] = set()
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
    self._pending = [reader.read_part(self._directory, part, self._schema.names)]
    self._positions = [
      position for start, stop in part['positions'] for position in range(start, stop)
    ]
    self._on_host = list(part.get('resized_on_host', []))
    self._step_sizes = set(part.get('step_sizes', []))

  @property
  def rows(self) -> int:
    """How many rows the listed parts have."""
    return sum(part['rows'] for part in self._parts)

  def write(
    self,
    rows: pa.RecordBatch | pa.Table,
    positions: Sequence[int] | None = None,
    resized_on_host: Sequence[int] = (),
    step_sizes: Iterable[int] = (),
  ) -> None:
    """Takes rows; writes a part when enough have come together.

    Args:
      rows: of `schema`.
      positions: of the rows in the dataset, ascending, from 0. With these a part
        ends at a multiple of `rows_per_part`, whatever is missing before it: how
        often a run was interrupted changes no part.
      resized_on_host: those of the positions whose images did not fit the canvas of a
        device.
      step_sizes: how many images were computed with at once, where not a whole batch.
    """
    size = self._rows_per_part
    if (
      positions
      and self._positions
      and (positions[0] // size != self._positions[0] // size)
    ):
      self.flush()
    self._pending.append(pa.Table.from_arrays(rows.columns, schema=self._schema))
    self._positions += positions or []
    self._on_host += resized_on_host
    self._step_sizes.update(step_sizes)
    if sum(map(len, self._pending)) >= size or (
      positions and (positions[-1] + 1) % size == 0
    ):
      self.flush()

  def flush(self) -> None:
    """Writes what has not been written.

    Raises:
      UserError: the disk is full or the directory cannot be written.
    """
    # How rows came together would show in the bytes.
    # Not empty_table, which imports pandas where that is installed.
    empty = pa.Table.from_batches([], self._schema)
    table = pa.concat_tables([empty, *self._pending]).combine_chunks()
    if not len(table):
      return
    buffer = pa.BufferOutputStream()
    # Ids and probabilities hardly repeat: dictionaries double time and size.
    pq.write_table(table, buffer, compression='zstd', use_dictionary=False)
    content = buffer.getvalue().to_pybytes()
    path = self._directory / f'part-{len(self._parts):05d}.parquet'
    files.write_atomically(path, content)
    part: dict[str, Any] = {
      'file': path.name,
      'rows': len(table),
      'sha256': hashlib.sha256(content).hexdigest(),
      **self._sizes,
    }
    if self._positions:
      part['positions'] = _ranges(self._positions)
    if self._on_host:
      part['resized_on_host'] = self._on_host
    if self._step_sizes:
      part['step_sizes'] = sorted(self._step_sizes)
    parts = [*self._parts, part]
    self._write_index(parts)
    # Rows first: a Ctrl-C between these lines may not write any of them twice.
    self._pending, self._positions, self._on_host = [], [], []
    self._step_sizes = set()
    self._parts = parts

  def _write_index(self, parts: list[dict]) -> None:
    files.write_json(
      self._directory / 'index.json',
      {'schema_version': SCHEMA_VERSION, 'parts': parts},
    )


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
