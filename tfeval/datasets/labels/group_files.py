"""Files that say to which groups images belong: a column of ids, others of attributes.

ImageNet-X (Idrissi et al., arXiv:2211.01866) is read from the user's own copy: the
annotations are licensed CC BY-NC 4.0 and are not part of this package.
"""

import dataclasses
import json
import pathlib
from collections.abc import Callable, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from tfeval.datasets.labels import columns, tables
from tfeval.datasets.labels.listing import check_rows, to_ids
from tfeval.utils import arrow, budgets, errors, json_text, parquet, untrusted
from tfeval.utils.arrow import to_numpy
from tfeval.utils.errors import UserError, listed

# Of ImageNet-X, in the order of its table of error ratios.
IMAGENET_X = (
  *('pose', 'background', 'pattern', 'color', 'smaller', 'shape', 'partial_view'),
  *('subcategory', 'texture', 'larger', 'darker', 'object_blocking'),
  *('person_blocking', 'style', 'brighter', 'multiple_objects'),
)
# Images from which its annotators learnt what is typical of a class.
_PROTOTYPES = 'prototypical_paths.csv'
_MOST_COLUMNS = 256
_NUMBERS_AND_TEXTS = (
  *(pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean),
  *(pa.types.is_string, pa.types.is_large_string),
)


@dataclasses.dataclass(frozen=True)
class GroupTable:
  """Attributes of m images.

  Attributes:
    ids: string [m], different ids.
    columns: string [m] by the attribute's name; `''` where it is not known.
    notes: what a reader must know of them.
  """

  ids: pa.Array
  columns: Mapping[str, pa.Array]
  notes: tuple[str, ...] = ()


def read_groups(path: pathlib.Path) -> GroupTable:
  """Reads a file of groups.

  Args:
    path: one of
      `.csv`, `.tsv`, `.txt`: columns with a header, separated by commas, semicolons or
        tabs;
      `.jsonl`: an object on each line, whose values are texts, numbers or null;
      `.parquet`: columns of texts, numbers or booleans; others are left out.
    One is called as columns of images are (`file_name`, `image_id`, `id`, ...); all
    others are attributes. Of ImageNet-X's annotations these are its 16 factors, and
    prototypes are left out where `prototypical_paths.csv` lies beside.

  Raises:
    UserError: the file is missing, of another kind or not as above, or names an image
      twice.
  """
  kind = path.suffix.lower()
  if kind not in _READERS:
    raise UserError(f'`by={path}`: expected a {", ".join(_READERS)} file of groups')
  try:
    found = _READERS[kind](path)
  except (OSError, pa.ArrowException) as error:
    raise UserError(f'cannot read {path}: {errors.one_line(error, 120)}') from error
  ids = found.pop(_id_column(path, list(found)))
  if not found or not len(ids):
    raise UserError(f'{path} has no groups: expected ids and columns beside them')
  counts = pc.value_counts(ids)
  twice = counts.field('values').filter(pc.greater(counts.field('counts'), 1))
  if len(twice):
    raise UserError(
      f'{path} names {len(twice):,} images more than once: '
      f'{listed(twice[:10].to_pylist(), count=len(twice))}: leave a line of each'
    )
  table = GroupTable(ids, found)
  return _imagenet_x(path, table) if set(IMAGENET_X) <= set(found) else table


def _id_column(path: pathlib.Path, names: list[str]) -> str:
  """Returns which column is that of images.

  Raises:
    UserError: none is.
  """
  at = columns.id_column(names)
  if at is None:
    raise UserError(
      f'{path} has the columns {listed(names)}: expected one of images, called '
      'file_name, image_id or id'
    )
  return names[at]


def _imagenet_x(path: pathlib.Path, table: GroupTable) -> GroupTable:
  """Returns the factors alone, without prototypes where these are known."""
  chosen = {name: table.columns[name] for name in IMAGENET_X}
  beside = path.with_name(_PROTOTYPES)
  if not beside.is_file():
    note = f'ImageNet-X: {beside} is missing, prototypes count as all others'
    return GroupTable(table.ids, chosen, (note,))
  prototypes = _read_text(beside)
  names = prototypes[_id_column(beside, list(prototypes))]
  kept = pc.invert(pc.is_in(table.ids, names))
  left_out = len(kept) - int(to_numpy(kept).sum())
  note = f'ImageNet-X: {left_out:,} prototypes of {_PROTOTYPES} are left out'
  rest = {name: column.filter(kept) for name, column in chosen.items()}
  return GroupTable(table.ids.filter(kept), rest, (note,))


def _read_text(path: pathlib.Path) -> dict[str, pa.Array]:
  line, skip = tables.first_line(path)
  delimiter = tables.delimiter_of(path, line)
  names = tables.read_csv_header(path, delimiter, skip)
  _check_names(path, names)
  found = tables.read_columns(path, delimiter, len(names), range(len(names)), skip + 1)
  return dict(zip(names, found, strict=True))


def _check_names(path: pathlib.Path, names: list[str]) -> None:
  if len(names) > _MOST_COLUMNS:
    raise UserError(f'{path} has {len(names):,} columns, expected {_MOST_COLUMNS}')
  if len(set(names)) < len(names):
    raise UserError(f'{path} has two columns of one name: {listed(names)}')


def _read_lines(path: pathlib.Path) -> dict[str, pa.Array]:
  """Reads objects of JSON, a line each; lists and objects inside are left out."""
  content = untrusted.read_bytes(path, budgets.JSON_FILE)
  lines = [line for line in content.split(b'\n') if line.strip()]
  check_rows(path, len(lines))
  # At once: each look at what is to be read takes longer than the reading of a line.
  rows = json_text.loads(path, b'[' + b','.join(lines) + b']')
  if len(rows) != len(lines) or {type(row) for row in rows} - {dict}:
    raise UserError(f'{path}: expected an object of JSON on each line')
  names = list(dict.fromkeys(name for row in rows for name in row))
  _check_names(path, names)
  found = {}
  for name in names:
    values = [row.get(name) for row in rows]
    if not any(isinstance(value, dict | list) for value in values):
      found[name] = to_ids(path, [_text(value) for value in values])
  return found


def _text(value: str | float | bool | None) -> str:
  if value is None:
    return ''
  return value.strip() if isinstance(value, str) else json.dumps(value)


def _read_parquet(path: pathlib.Path) -> dict[str, pa.Array]:
  with parquet.content(path) as content:
    file = parquet.File(path, content)
    chosen = [
      field.name
      for field in file.schema
      if any(is_kind(field.type) for is_kind in _NUMBERS_AND_TEXTS)
    ]
    _check_names(path, chosen)
    file.check(chosen, whole=True)
    table = file.read(chosen)
    for name in chosen:
      arrow.check_texts(path, table[name])
  found = {}
  for name in chosen:
    texts = arrow.joined(table[name]).cast(pa.string())
    texts.validate(full=True)  # Nothing else looks whether they are UTF-8.
    found[name] = pc.coalesce(texts, arrow.strings([''])[0])
  return found


_READERS: Mapping[str, Callable[[pathlib.Path], dict[str, pa.Array]]] = {
  '.csv': _read_text,
  '.tsv': _read_text,
  '.txt': _read_text,
  '.jsonl': _read_lines,
  '.parquet': _read_parquet,
}
