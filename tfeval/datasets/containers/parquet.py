"""Parquet as Hugging Face's `datasets` writes it: images as bytes in a column.

An image is `bytes`, or a struct `{bytes, path}`; the names of the classes stand in the
schema's metadata under `huggingface`. Of a row group no more than a few rows are in
memory at once.
"""

import dataclasses
import pathlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tfeval.datasets.containers import classes, dataset, locations, proofs
from tfeval.datasets.containers.parquet_columns import (
  Columns,
  find_columns,
  inside_of,
  read_column,
  told,
)
from tfeval.datasets.containers.stamps import Stamp
from tfeval.datasets.labels import imagenet
from tfeval.datasets.options import DatasetConfig
from tfeval.utils import budgets, parquet
from tfeval.utils.errors import UserError

if TYPE_CHECKING:
  from tfeval.datasets.base import ImageDataset

_IMAGES_AT_ONCE = 16


@dataclasses.dataclass(frozen=True)
class _File:
  """A file, and what its small columns hold.

  Attributes:
    stamp: of the file.
    content: what it says of itself.
    columns: which of its columns are what.
    at_once: how many images may be decoded at once.
    labels: int64 [rows], or texts [rows]; -1 or '' for none.
    paths: texts [rows], '' for none.
  """

  stamp: Stamp
  content: parquet.File
  columns: Columns
  at_once: int
  labels: np.ndarray | list[str]
  paths: list[str]


def open_parquet(config: DatasetConfig) -> 'ImageDataset':
  """Opens files of Parquet.

  Args:
    config: its `name` is `parquet:FILES`, see `locations.find`.

  Returns:
    The dataset, in the order of the files and of the rows in them. Ids are the file
    names of `path`; where there are none, or some occur twice, the name of the file
    and the row.

  Raises:
    UserError: a file is damaged or has no column of images or labels, files differ in
      these, or labels are missing or outside of the classes.
  """
  location = locations.find(config)
  files = [_opened(path, location) for path in location.files]
  return dataset.make(config, _found(location, files))


def open_images(location: locations.Location) -> dataset.Found:
  """Opens the images of files of Parquet without their labels, -1 each.

  Raises:
    UserError: as `open_parquet`.
  """
  files = [_opened(path, location, with_labels=False) for path in location.files]
  return _found(location, files, with_labels=False)


def _found(
  location: locations.Location, files: list[_File], with_labels: bool = True
) -> dataset.Found:
  """Returns the images of files in order, with their labels or without."""
  _check_alike(location, files)
  rows = [len(file.paths) for file in files]
  if not sum(rows):
    raise UserError(f'{location.name} holds no rows: get the files again')
  if sum(rows) > budgets.ROWS:
    raise UserError(
      f'{location.name} holds {sum(rows):,} rows, expected at most {budgets.ROWS:,}'
    )
  names = [path for file in files for path in file.paths]
  ids, notes = _ids(location, names, rows)
  groups = [
    (number, group, count)
    for number, file in enumerate(files)
    for group, count in enumerate(file.content.rows)
    if count
  ]
  places = [np.array(column, np.int64) for column in zip(*groups, strict=True)]

  def rows_of(file: Any, *group_and_rows: Any) -> Iterator[list[bytes]]:
    return _images(files[int(file)], *map(int, group_and_rows))

  def read(start: Any, stop: Any, step: int) -> Any:
    from tfeval.datasets.containers import reading

    return reading.in_chunks(rows_of, places[:2], places[2], start, stop, step)

  sizes = [file.stamp.size for file in files for _ in file.paths]
  labelled = classes.Labelled(imagenet.label_space(), np.full(len(ids), -1, np.int64))
  if with_labels:
    labelled = _labelled(location, names, ids, files)
  return dataset.Found(location, ids, labelled, sizes, read, notes)


def _opened(
  path: pathlib.Path, location: locations.Location, with_labels: bool = True
) -> _File:
  """Reads what a file says of itself, and its columns but for the images."""
  with told(path):
    stamp = Stamp.of(path)
  with told(path), stamp.opened() as file:
    content = parquet.File(path, file)
    columns = find_columns(
      content, location.label, with_labels and location.labels is None
    )
    at_once = content.check_streamed(columns.image, _IMAGES_AT_ONCE, True)
    rows = sum(content.rows)
    labels: Any = [''] * rows
    if columns.label is not None:
      labels = read_column(content, file, columns.label)
      if pa.types.is_integer(content.type_of(columns.label)):
        labels = np.array([-1 if n is None else n for n in labels], np.int64)
      else:
        labels = [text or '' for text in labels]
    paths = [''] * rows
    if columns.path is not None:
      paths = [text or '' for text in read_column(content, file, columns.path)]
    if len(paths) != rows or len(labels) != rows:
      raise UserError(f'{path} has columns of different lengths: get it again')
  return _File(stamp, content, columns, at_once, labels, paths)


def _check_alike(location: locations.Location, files: Sequence[_File]) -> None:
  for file in files[1:]:
    if file.columns != files[0].columns:
      raise UserError(
        f'{file.stamp.path} has other columns or classes than {files[0].stamp.path}: '
        f'name files of one dataset in {location.kind}:'
      )


def _ids(
  location: locations.Location, names: list[str], rows: list[int]
) -> tuple[list[str], tuple[str, ...]]:
  """Returns ids, and a note where they are no names of images."""
  if all(names):
    numbers = [proofs.validation_number(name) for name in names]
    # Of images in class folders only the last part of the path is kept, which may be
    # the same in several.
    if len(set(names)) == len(names) or any(numbers):
      return proofs.ids(names, location.name), ()
  found = proofs.numbered(location.files, rows)
  proofs.check_ids(found, location.name)
  if not any(names):
    return found, ()
  missing = names.count('')
  why = (
    f'{missing} images have no path'
    if missing
    else f'{len(names) - len(set(names))} paths occur more than once'
  )
  return found, (f'{why}: ids are files and rows',)


def _labelled(
  location: locations.Location,
  names: list[str],
  ids: list[str],
  files: Sequence[_File],
) -> classes.Labelled:
  if location.labels is not None:
    return classes.of_file(location, ids)
  images = [name or one for name, one in zip(names, ids, strict=True)]
  if isinstance(files[0].labels, list):
    texts = [text for file in files for text in file.labels]
    return classes.of_texts(location, images, texts)
  numbers = np.concatenate([file.labels for file in files])
  return classes.of_numbers(location, images, numbers, files[0].columns.classes)


def _images(
  file: _File, group: int, skip: int, take: int, step: int
) -> Iterator[list[bytes]]:
  """Yields images of a row group.

  Args:
    file: the file.
    group: the row group.
    skip, take: how many rows are before the first, and how many there are from it on.
    step: every how manieth of these is read.

  Raises:
    OSError: the file has changed, is damaged, or has a row without bytes.
  """
  before, stop = 0, skip + take
  with file.stamp.opened() as opened:
    for batch in file.content.stream(opened, group, file.columns.image, file.at_once):
      inside = range(before, min(before + len(batch), stop))
      first = skip if before <= skip else before + (skip - before) % step
      if first in inside:
        column = inside_of(batch.column(0), file.columns.image)
        column = column[first - before : inside.stop - before : step]
        if column.null_count:
          raise OSError(
            f'{file.stamp.path} has an image without bytes in row group {group}, its '
            'path alone: write it with embedded images'
          )
        yield column.to_pylist()
      before += len(batch)
      if before >= stop:
        return
