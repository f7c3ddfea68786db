"""Reads listed parts, and believes nothing that they say of themselves."""

import hashlib
import math
import re
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfeval.runs.predictions import rows
from tfeval.utils import arrow, budgets, errors, files, parquet
from tfeval.utils.errors import UserError, listed
from tfeval.utils.paths import Path

# The softmax of a model may come out at 1 + 2**-23.
_LOG_PROBS = -math.inf, 1e-6
# A column of a rule, its kind and the rule's name.
_OF_RULE = re.compile(r'(classes|log_probs|label_log_prob)@([a-z][a-z0-9_]{0,63})')
# Anything else could lead out of the directory.
_PART = re.compile(r'part-\d{5,}\.parquet')


def read_parts(directory: Path, columns: list[str] | None = None) -> Iterator[pa.Table]:
  """Yields the listed parts, each checked against its SHA-256 and row count.

  Args:
    directory: the store.
    columns: the columns to read; all by default.

  Raises:
    UserError: the store is missing, of a newer version, or a part is missing,
      changed or lacks a column.
  """
  kept, ids = {'classes': 0, rows.FEATURES: 0}, 0
  for part in listed_parts(directory):
    table = read_part(directory, part, columns)
    if 'id' in table.column_names:
      ids += table['id'].nbytes
      if ids > budgets.IDS:
        raise UserError(
          f'{directory} has ids of more than {budgets.IDS:,} bytes: evaluate again'
        )
    for name, before in kept.items():
      if name in table.column_names:
        size = table[name].type.list_size
        kept[name] = before or size
        if size != kept[name]:
          raise UserError(
            f'{directory / part["file"]} keeps {size} {name}, the part before it '
            f'{before}: evaluate again'
          )
    yield table


def listed_parts(directory: Path) -> list[dict]:
  """Returns the entries of a store's index, whose files lie inside of it.

  Raises:
    UserError: the index is missing, damaged or of a newer version.
  """
  index = files.read_json(directory / 'index.json', directory.parent)
  if not isinstance(index, dict) or not isinstance(index.get('parts'), list):
    raise UserError(f'{directory / "index.json"} does not list parts: evaluate again')
  if index.get('schema_version') != rows.SCHEMA_VERSION:
    raise UserError(
      f'{directory} has schema version {index.get("schema_version")}, '
      f'this tfeval reads {rows.SCHEMA_VERSION}: upgrade tfeval'
    )
  parts = index['parts']
  names = [part.get('file') if isinstance(part, dict) else None for part in parts]
  if not all(isinstance(n, str) and _PART.fullmatch(n) for n in names) or (
    len(set(names)) != len(names)
  ):
    raise UserError(
      f'{directory / "index.json"} is damaged: it lists {str(names)[:80]}'
      ', expected different part-NNNNN.parquet: evaluate again'
    )
  if not all(map(has_sizes, parts)):
    raise UserError(
      f'{directory / "index.json"} is damaged: a part has another number of classes or '
      f'outputs than 1 to {budgets.CLASSES:,}: evaluate again'
    )
  rows_listed = sum(part['rows'] for part in parts if isinstance(part.get('rows'), int))
  if rows_listed > budgets.ROWS:
    raise UserError(
      f'{directory / "index.json"} lists {rows_listed:,} rows, expected at most '
      f'{budgets.ROWS:,}: evaluate again'
    )
  return parts


def has_sizes(part: dict) -> bool:
  """Returns whether rows of a part can have as many classes and outputs as it says."""
  return all(type(n) is int and 1 <= n <= budgets.CLASSES for n in _sizes(part))


def _sizes(part: dict) -> tuple[int, int]:
  """Returns how many classes rows are of, and how many outputs a model has."""
  classes = part.get('classes', rows.OUTPUTS)
  return classes, part.get('outputs', classes)


def read_part(directory: Path, part: dict, columns: list[str] | None) -> pa.Table:
  """Returns a listed part, checked as `read_parts` does.

  Raises:
    UserError: it is missing, changed or lacks a column.
  """
  path = directory / part['file']
  try:
    with parquet.content(path, directory.parent) as content:
      if hashlib.file_digest(content, 'sha256').hexdigest() != part.get('sha256'):
        raise UserError(f'{path} was changed after it was written: evaluate again')
      table = _read_columns(parquet.File(path, content), part, columns)
  except OSError as error:
    raise UserError(f'cannot read {path}: {error.strerror or error}') from error
  except pa.ArrowException as error:
    raise UserError(
      f'{path} is not a readable Parquet file: {errors.one_line(error)}'
    ) from error
  _check_columns(path, table, _sizes(part)[0])
  return table


def _read_columns(
  file: parquet.File, part: dict, columns: list[str] | None
) -> pa.Table:
  """Reads columns of which nothing is unexpected by what the file declares."""
  path, there, count = file.path, file.schema.names, sum(file.rows)
  if missing := sorted({*(columns or ())} - {*there}):
    raise UserError(
      f'{path} lacks the columns {listed(missing)}, it has '
      f'{listed(there)}: evaluate again'
    )
  if count != part.get('rows'):
    raise UserError(
      f'{path} has {count} rows, the index says {part.get("rows")} rows: evaluate again'
    )
  if columns is None:
    columns = there
  of_schema = _expected(file.schema, _sizes(part)[1])
  for field in map(file.schema.field, columns):
    expected = of_schema.get(field.name, field.type)
    if field.type != expected:
      raise UserError(
        f'{path}: column {field.name} is {str(field.type)[:80]}, expected {expected}: '
        'evaluate again'
      )
  if any(one.rows_at_once < count for one in file.check(columns, whole=True).values()):
    raise UserError(f'{path} is not encoded as tfeval does it: evaluate again')
  table = file.read(columns)
  if 'id' not in columns:
    return table
  arrow.check_texts(path, table['id'])
  at = table.column_names.index('id')
  field = table.field('id').with_type(pa.string())
  return table.set_column(at, field, table['id'].cast(pa.string()))


def _expected(there: pa.Schema, outputs: int) -> dict[str, pa.DataType]:
  """Returns the types that `schema` says, by the names of the columns."""
  # Imported rows may keep fewer classes than those of our own models.
  kept = _kept(there, '') or rows.STORED_CLASSES
  rules = {rule: min(_kept(there, f'@{rule}'), outputs) for rule in _rules(there.names)}
  expected = rows.schema(
    True,
    max(1, min(kept, outputs)),
    outputs,
    rules,
    min(_size(there, rows.FEATURES), budgets.CLASSES),
  )
  return {field.name: field.type for field in expected}


def _rules(names: list[str]) -> list[str]:
  """Returns the names of the rules that columns are of, `all` aside."""
  found = filter(None, map(_OF_RULE.fullmatch, names))
  return list(dict.fromkeys(one[2] for one in found))


def _kept(there: pa.Schema, rule: str) -> int:
  """Returns how many classes are ranked in columns of a rule, 0 if there are none."""
  sizes = (_size(there, f'{name}{rule}') for name in ('classes', 'log_probs'))
  return next(filter(None, sizes), 0)


def _size(there: pa.Schema, name: str) -> int:
  """Returns how long the lists of a column are, 0 where there are none."""
  if name in there.names and pa.types.is_fixed_size_list(there.field(name).type):
    return there.field(name).type.list_size
  return 0


def _check_columns(path: Path, table: pa.Table, classes: int) -> None:
  """Checks that columns are what `schema` says: a run may come from a stranger."""
  rules = _rules(table.column_names)
  schema = rows.schema(True, rules=dict.fromkeys(rules, 1), features=1)
  for name in set(table.column_names) & set(schema.names):
    column, field = table[name], schema.field(name)
    if column.null_count and not field.nullable:
      raise UserError(
        f'{path}: column {name} is {column.type} with {column.null_count} nulls, '
        f'expected {field.type}: evaluate again'
      )
    if name == 'id':
      try:
        column.validate(full=True)
      except pa.ArrowException as error:
        raise UserError(f'{path} has ids that are not UTF-8: evaluate again') from error
    kind = name.partition('@')[0]
    if kind in ('label', 'real_labels', 'classes'):
      _check_values(path, name, column, (0, classes - 1))
    elif kind in ('log_probs', 'label_log_prob'):
      _check_values(path, name, column, _LOG_PROBS)
    elif name == rows.FEATURES:
      _check_features(path, column)


def _check_features(path: Path, column: pa.ChunkedArray) -> None:
  # Of float16 Arrow computes nothing.
  for chunk in column.chunks:
    values = chunk.flatten()
    if values.null_count or not np.isfinite(arrow.to_numpy(values)).all():
      raise UserError(
        f'{path}: column {rows.FEATURES} has values that are no finite numbers: '
        'evaluate again'
      )


def _check_values(
  path: Path, name: str, column: pa.ChunkedArray, limits: tuple[float, float]
) -> None:
  values = pc.list_flatten(column) if pa.types.is_nested(column.type) else column
  found = pc.min_max(values)
  low, high = found['min'].as_py(), found['max'].as_py()
  lowest, highest = limits
  if low is not None and not lowest <= low <= high <= highest:
    raise UserError(
      f'{path}: column {name} has values from {low:g} to {high:g}, '
      f'expected {lowest:g} to {highest:g}: evaluate again'
    )
  # `min_max` passes it over.
  if pa.types.is_floating(values.type) and pc.any(pc.is_nan(values)).as_py():
    raise UserError(f'{path}: column {name} has NaN: evaluate again')
  if values is not column and values.null_count:
    raise UserError(f'{path}: column {name} has nulls inside of lists: evaluate again')
