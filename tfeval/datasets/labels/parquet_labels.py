"""Labels in Parquet."""

import contextlib
import json
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfeval.datasets.labels import columns
from tfeval.datasets.labels.entries import LabelEntries
from tfeval.utils import arrow, errors, parquet
from tfeval.utils.arrow import to_numpy
from tfeval.utils.errors import UserError

_HUGGING_FACE = b'huggingface'
_VALUES = (
  *(pa.types.is_integer, pa.types.is_floating, pa.types.is_string),
  pa.types.is_large_string,
)


def read_parquet(path: pathlib.Path) -> LabelEntries:
  """Reads a column of images and one of their labels, or of lists of these.

  Args:
    path: of the file. Its metadata may name the classes, as those of Hugging Face's
      `datasets` do.

  Raises:
    UserError: it cannot be read, its columns cannot be told, or it takes too much
      memory.
  """
  with _readable(path), parquet.content(path) as content:
    file = parquet.File(path, content)
    names = file.schema.names
    found = columns.by_header(path, names)
    if found is None:
      raise columns.unknown_columns(path, names)
    chosen = [names[i] for i in (found.id, found.label) if i is not None]
    kinds = [file.schema.field(name).type for name in chosen]
    for name, kind in zip(chosen, kinds, strict=True):
      _check_type(path, name, kind, lists=name == chosen[-1])
    file.check(chosen, whole=True)
    table = file.read(chosen)
    for name in chosen:
      arrow.check_texts(path, table[name])
    label = arrow.joined(table[chosen[-1]])
    sizes = np.ones(len(label), np.int64)
    if _is_list(label.type):
      sizes = to_numpy(pc.list_value_length(label), null=0).astype(np.int64)
      label = label.flatten()
    texts = _as_texts(label)
    ids = _as_texts(arrow.joined(table[chosen[0]])) if len(chosen) > 1 else None
    class_names = _class_names(file.schema, chosen[-1])
  return LabelEntries(ids, texts, sizes, class_names=class_names)


@contextlib.contextmanager
def _readable(path: pathlib.Path) -> Iterator[None]:
  try:
    yield
  except (pa.ArrowException, OSError) as error:
    raise UserError(
      f'cannot read labels {path}: {errors.one_line(error, 160)}'
    ) from error


def _is_list(kind: pa.DataType) -> bool:
  return pa.types.is_list(kind) or pa.types.is_large_list(kind)


def _check_type(path: pathlib.Path, name: str, kind: pa.DataType, lists: bool) -> None:
  value = kind.value_type if lists and _is_list(kind) else kind
  if pa.types.is_dictionary(value):
    value = value.value_type
  if not any(is_kind(value) for is_kind in _VALUES):
    raise UserError(
      f'{path}: column {name} is {str(kind)[:80]}, expected texts or numbers'
    )


def _as_texts(column: pa.Array) -> pa.Array:
  """Returns strings, `''` for null."""
  found = column.cast(pa.string())
  found.validate(full=True)  # Nothing else looks whether they are UTF-8.
  return pc.coalesce(found, arrow.strings([''])[0]) if found.null_count else found


def _class_names(schema: pa.Schema, label: str) -> tuple[str, ...] | None:
  """Returns what Hugging Face's metadata call the classes, None where it is silent."""
  try:
    described: Any = json.loads((schema.metadata or {})[_HUGGING_FACE])
    feature = described['info']['features'][label]
    names = feature.get('feature', feature)['names']
  except (KeyError, TypeError, AttributeError, ValueError, RecursionError):
    return None
  right = isinstance(names, list) and all(isinstance(name, str) for name in names)
  return tuple(names) if right and names else None
