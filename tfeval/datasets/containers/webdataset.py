"""Tar shards of WebDataset: members with the same key are an example.

The key is what stands before the first dot of a member's name, folders included:
`train/0001.jpg` and `train/0001.cls` are the example `train/0001`.
"""

import collections
import dataclasses
import os
import pathlib
import posixpath
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tfeval.datasets.containers import (
  classes,
  dataset,
  locations,
  proofs,
  stamps,
  tar,
)
from tfeval.datasets.containers.stamps import Stamp
from tfeval.datasets.image_files import SUFFIXES
from tfeval.datasets.options import DatasetConfig
from tfeval.utils import budgets, json_text
from tfeval.utils.errors import UserError, listed

if TYPE_CHECKING:
  from tfeval.datasets.base import ImageDataset

_LABELS = ('.cls', '.json')
# Where JSON has the label; the first that is there is it.
_KEYS = ('label', 'cls', 'class', 'class_id', 'target', 'synset', 'wnid', 'class_name')
_MOST_LABEL = 64 << 10
_ARCHIVES = ('.tar', '.tgz', '.zip', '.gz', '.bz2', '.xz')


@dataclasses.dataclass
class _Example:
  """What shards hold under one key; a label is a text, None where there is none."""

  image: tar.Member | None = None
  shard: int = -1
  label: str | None = None


def open_webdataset(config: DatasetConfig) -> 'ImageDataset':
  """Opens tar shards.

  Args:
    config: its `name` is `webdataset:SHARDS`, see `locations.find`.

  Returns:
    The dataset, in the order of the shards and of the images in them. Ids are the
    names of the images.

  Raises:
    UserError: a shard is cut off, packed or no tar; a key occurs twice; an image is
      without label or a label without image; labels are outside of the classes.
  """
  location = locations.find(config)
  shards, examples, others = _read(location.files, location.labels is None)
  where = location.name
  alone = [key for key, example in examples.items() if example.image is None]
  if alone:
    beside = f' (beside {next(iter(others))[:200]})' if others else ''
    raise UserError(
      f'{where} has {len(alone)} labels without image: {listed(alone)}{beside}: pack '
      'them with .jpg, .jpeg or .png'
    )
  if not examples:
    raise UserError(f'{where} holds no images: expected .jpg, .jpeg or .png in it')
  images = [e.image for e in examples.values() if e.image is not None]
  names = [image.name for image in images]
  which = np.array([e.shard for e in examples.values()], np.int64)
  offsets = np.array([image.offset for image in images], np.int64)
  sizes = np.array([image.size for image in images], np.int64)

  def read(start: Any, stop: Any, step: int) -> Any:
    from tfeval.datasets.containers import reading

    return reading.pieces(shards, which, offsets, sizes, start, stop, step)

  ids = proofs.ids(names, where)
  if location.labels is not None:
    labelled = classes.of_file(location, ids)
  else:
    labels = [e.label or '' for e in examples.values()]
    labelled = classes.of_texts(location, names, labels)
  notes = (
    (
      f'left out as no images: {sum(others.values())} entries, such as '
      f'{next(iter(others))}',
    )
    if others
    else ()
  )
  return dataset.make(
    config, dataset.Found(location, ids, labelled, sizes.tolist(), read, notes)
  )


def _read(
  shards: Sequence[pathlib.Path], with_labels: bool
) -> tuple[list[Stamp], dict[str, _Example], collections.Counter]:
  """Returns the shards, what they hold by key, and what else lies there."""
  found: list[Stamp] = []
  examples: dict[str, _Example] = {}
  others: collections.Counter = collections.Counter()
  again: list[str] = []
  for number, path in enumerate(shards):
    with stamps.opened(path) as (shard, file):
      found.append(shard)
      for member in tar.members(path, file):
        base = posixpath.basename(member.name)
        stem, _, extension = base.partition('.')
        suffix = '.' + extension.rpartition('.')[2].lower()
        if suffix in _ARCHIVES:
          raise UserError(
            f'{path} holds another archive, {member.name[:200]!r}: unpack it, '
            'and give the shards that were in it'
          )
        is_image = suffix in SUFFIXES
        is_label = suffix in _LABELS and with_labels
        if not stem or not (is_image or is_label):
          others[member.name] += 1
          continue
        key = posixpath.join(posixpath.dirname(member.name), stem)
        if len(examples) > budgets.ROWS:
          raise UserError(f'{path} and those before hold too many images')
        example = examples.setdefault(key, _Example())
        if is_image and example.image is not None:
          again.append(key)
        elif is_image:
          example.image, example.shard = member, number
        elif label := _label(path, file, member, suffix):
          if example.label not in (None, label):
            raise UserError(
              f'{path}: {key} has two labels, {example.label[:40]} and '
              f'{label[:40]}: pack it with one'
            )
          example.label = label
  if again:
    raise UserError(
      f'{len(again)} keys have two images, in one shard or in two: {listed(again)}: '
      'name each shard once, and give each image its own key'
    )
  return found, examples, others


def _label(path: pathlib.Path, file: Any, member: tar.Member, suffix: str) -> str:
  """Returns the label in a member, '' where JSON has none."""
  where = f'{path}: {member.name[:200]}'
  if member.size > _MOST_LABEL:
    raise UserError(
      f'{where} has {member.size:,} bytes, expected at most {_MOST_LABEL:,}'
    )
  content = os.pread(file.fileno(), member.size, member.offset)
  found: Any = None
  if suffix == '.json':
    found = json_text.loads(where, content)
    if isinstance(found, dict):
      found = next((found[key] for key in _KEYS if found.get(key) is not None), '')
    if isinstance(found, bool) or not isinstance(found, (int, str)):
      raise UserError(
        f'{where} has the label {str(found)[:40]}, expected one number or name'
      )
    return str(found).strip()
  try:
    text = content.decode().strip()
  except UnicodeDecodeError as error:
    raise UserError(f'{where} is not UTF-8, expected a number or a name') from error
  if not text or '\n' in text:
    raise UserError(f'{where} holds {text[:40]!r}, expected one number or name')
  return text
