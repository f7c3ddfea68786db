"""Which columns of Parquet are the image, its path and its label; the small ones."""

import contextlib
import dataclasses
import pathlib
from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from tfeval.datasets.containers import locations
from tfeval.datasets.containers.stamps import Stamp
from tfeval.utils import arrow, budgets, errors, json_text, parquet
from tfeval.utils.errors import UserError, listed

_DAMAGED = (pa.ArrowException, KeyError, UnicodeDecodeError, OverflowError)
_METADATA = b'huggingface'
_IMAGES = ('image', 'img', 'jpg', 'png', 'pixel_values')
_ROWS_AT_ONCE = 4096
_LABELS = ('label', 'labels', 'cls')


@dataclasses.dataclass(frozen=True)
class Columns:
  """Names of columns, those in a struct with a dot: `image.bytes`.

  Attributes:
    image: of encoded images.
    path: of their paths, or None.
    label: of their labels, or None where nobody asks for these.
    classes: that numbers in it stand for, in order; None: nothing names them.
  """

  image: str
  path: str | None
  label: str | None
  classes: tuple[str, ...] | None = None


def find_columns(
  content: parquet.File, label: str | None, with_labels: bool
) -> Columns:
  """Finds the columns of a file.

  Args:
    content: what the file says of itself.
    label: the column of labels where that is known, else None.
    with_labels: whether labels are needed.

  Raises:
    UserError: a column is not there, or several could be it.
  """
  schema = content.schema
  if len(set(schema.names)) != len(schema.names):
    raise UserError(f'{content.path} has two columns of the same name: write it again')
  features = _features(content)
  image = _image(content, features)
  inside = schema.field(image).type
  path = None
  if pa.types.is_struct(inside):
    if inside.get_field_index('path') >= 0 and _is_text(inside.field('path').type):
      path = f'{image}.path'
    image = f'{image}.bytes'
  if not with_labels:
    return Columns(image, path, None)
  label = _label(content, features, label)
  return Columns(image, path, label, _classes(content, features.get(label)))


@contextlib.contextmanager
def told(path: pathlib.Path) -> Iterator[None]:
  """Where what damaged Parquet raises becomes one line."""
  try:
    yield
  except UserError:
    raise
  except (OSError, *_DAMAGED) as error:
    if isinstance(error, OSError) and error.strerror:
      raise UserError(f'cannot read {path}: {error.strerror}') from error
    # Arrow's own are such as well.
    raise UserError(
      f'{path} is not a readable Parquet file: {errors.one_line(error, 120)}: get it '
      'again'
    ) from error


def read_lists(location: locations.Location, name: str) -> list[list[int]]:
  """Reads a column of lists of whole numbers, of all rows; null is an empty one.

  Raises:
    UserError: a file is damaged, or has no such column.
  """
  found: list[list[int]] = []
  for path in location.files:
    with told(path), Stamp.of(path).opened() as file:
      content = parquet.File(path, file)
      kind = content.type_of(name) if name in content.schema.names else pa.null()
      if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)) or not (
        pa.types.is_integer(kind.value_type)
      ):
        raise UserError(
          f'{path} has no column {name} of lists of whole numbers: is it another set?'
        )
      found += [row or [] for row in read_column(content, file, name)]
  return found


def read_column(content: parquet.File, file: BinaryIO, name: str) -> list[Any]:
  """Returns a column of numbers or short texts, None for null.

  Args:
    content: what the file says of itself.
    file: it, opened.
    name: of the column.

  Raises:
    pa.ArrowException: it is damaged.
    UserError: its texts take too much.
  """
  at_once = content.check_streamed(name, _ROWS_AT_ONCE, False)
  found: list[Any] = []
  size = 0
  for group in range(len(content.rows)):
    for batch in content.stream(file, group, name, at_once):
      part = inside_of(batch.column(0), name)
      arrow.check_texts(content.path, part)
      size += part.nbytes
      if size > budgets.IDS:
        raise UserError(
          f'{content.path} has more than {budgets.IDS:,} bytes of {name}: split it'
        )
      found += part.to_pylist()
  return found


def inside_of(column: pa.Array, name: str) -> pa.Array:
  """Returns the values that a name with dots means of a column."""
  for one in name.split('.')[1:] if pa.types.is_struct(column.type) else ():
    # A struct that is null hides what is in it.
    column = pc.struct_field(column, one)
  return column


def _features(content: parquet.File) -> dict[str, Any]:
  """Returns what Hugging Face's metadata say of each column, {} without such."""
  text = (content.schema.metadata or {}).get(_METADATA)
  if text is None:
    return {}
  found: Any = json_text.loads(content.path, text)
  for key in ('info', 'features'):
    found = found.get(key) if isinstance(found, dict) else None
  return found if isinstance(found, dict) else {}


def _of_type(features: dict[str, Any], kind: str) -> list[str]:
  return [
    name
    for name, feature in features.items()
    if isinstance(feature, dict) and feature.get('_type') == kind
  ]


def _image(content: parquet.File, features: dict[str, Any]) -> str:
  schema = content.schema
  possible = [field.name for field in schema if _holds_bytes(field.type)]
  said = [name for name in _of_type(features, 'Image') if name in possible]
  return _chosen(content, 'image', said or possible, _IMAGES, 'encoded images as bytes')


def _label(content: parquet.File, features: dict[str, Any], asked: str | None) -> str:
  schema = content.schema
  possible = [
    field.name
    for field in schema
    if pa.types.is_integer(field.type) or _is_text(field.type)
  ]
  if asked is not None:
    if asked not in possible:
      raise UserError(
        f'{content.path} has no column of labels {asked!r}: those of numbers or texts '
        f'are {listed(possible)}'
      )
    return asked
  said = [name for name in _of_type(features, 'ClassLabel') if name in possible]
  named = [name for name in _LABELS if name in possible]
  return _chosen(content, 'label', said or named, _LABELS, 'a number or name each')


def _chosen(
  content: parquet.File, what: str, found: list[str], usual: tuple[str, ...], due: str
) -> str:
  """Returns the one column of several that is meant."""
  if len(found) > 1:
    found = [name for name in usual if name in found][:1] or found
  if len(found) == 1:
    return found[0]
  if found:
    advice = ': say which by :label=NAME behind the name' if what == 'label' else ''
    raise UserError(
      f'{content.path} has several columns of {what}s, {listed(found)}{advice}'
    )
  also = ', or another one said by :label=NAME behind the name' * (what == 'label')
  raise UserError(
    f'{content.path} has no {what} column: expected {due}{also}, seen '
    f'{listed((f"{f.name}: {f.type}" for f in content.schema), none="no columns")}'
  )


def _classes(content: parquet.File, feature: Any) -> tuple[str, ...] | None:
  names = feature.get('names') if isinstance(feature, dict) else None
  if names is None:
    return None
  if (
    not isinstance(names, list)
    or not all(isinstance(name, str) and name for name in names)
    or not 1 <= len(names) <= budgets.CLASSES
  ):
    raise UserError(
      f'{content.path}: its metadata name the classes {str(names)[:80]}, expected a '
      'list of names'
    )
  return tuple(names)


def _holds_bytes(kind: pa.DataType) -> bool:
  if pa.types.is_struct(kind):
    return kind.get_field_index('bytes') >= 0 and _is_bytes(kind.field('bytes').type)
  return _is_bytes(kind)


def _is_bytes(kind: pa.DataType) -> bool:
  return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _is_text(kind: pa.DataType) -> bool:
  return pa.types.is_string(kind) or pa.types.is_large_string(kind)
