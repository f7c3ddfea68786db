"""What the images of a test set's folder are, as its authors publish it.

Without TensorFlow: `variant.py` makes datasets of it.
"""

import collections
import dataclasses
import os
import pathlib
import re
from collections.abc import Callable, Iterator

from tfeval.datasets import folder_content, variants
from tfeval.datasets.folder_content import FolderContent
from tfeval.datasets.folder_layout import Layout, read_layout
from tfeval.datasets.labels import class_sets, imagenet, resolution
from tfeval.datasets.labels.spaces import INDEX
from tfeval.datasets.options import DatasetConfig
from tfeval.datasets.variants import (
  CUE_CONFLICT,
  NUMBERS,
  OBJECTNET,
  WNIDS,
  Variant,
)
from tfeval.utils import budgets, errors, untrusted
from tfeval.utils.errors import MissingData, UserError

IMAGENET_C = 'imagenet_c'
ANNOTATIONS = 'val_annotations.txt'
# `airplane1-bear2.png`: shape and texture, with numbers behind.
CONFLICT = re.compile(r'([a-z]+)\d*-([a-z]+)\d*\.png')
_WNID = re.compile('n[0-9]{8}', re.IGNORECASE)
# Class folders of V2 are 0 to 999, or wnids.
_NUMBER_OR_WNID = re.compile(f'[0-9]{{1,3}}|{_WNID.pattern}', re.IGNORECASE)
# How far in class folders may lie.
_DEEPEST = 4
_SEVERITY = re.compile(r'\d+(\.\d+)?')


def read(variant: Variant, config: DatasetConfig) -> FolderContent:
  """Finds the images of a test set and their labels.

  Args:
    variant: which set.
    config: its `name` is `SET:DIR`, or `SET/CONFIG:DIR`.

  Raises:
    UserError: no folder was given, or it holds something else.
  """
  part = variants.config_of(config.name)
  if part is not None and part not in variant.configs:
    raise errors.unknown(f'configuration of {variant.name}', part, variant.configs)
  where = variants.directory_of(config.name)
  if where is None:
    raise MissingData(missing(variant))
  if os.path.isfile(os.path.expanduser(where)):
    raise UserError(
      f'{where} is a file: unpack it and give the folder, `dataset={variant.name}:DIR`'
    )
  if other := next((k for k in ('labels', 'split') if getattr(config, k)), None):
    raise UserError(f'`{other}` is not for {variant.name}: leave it out')
  inside = _inside(variant, where)
  reader = READERS[variant.layout]
  content = reader(variant, _in_folder(config, inside))
  return dataclasses.replace(content, notes=content.notes + _part(variant, content))


def missing(variant: Variant) -> str:
  """Returns how to get a set that is not there, in a line."""
  if variant.kind == variants.FACTORS:
    return f'{variant.name} has no images: see tfeval datasets {variant.name}'
  return (
    f'{variant.title} is not built by TFDS: get it from {variant.source} and give '
    f'`dataset={variant.comes_from}`, or a `sets_dir` with a folder {variant.name}'
  )


def corruptions(where: str) -> list[str]:
  """Returns the folders of corruptions and severities in a folder, in text order.

  `DIR/3`, `DIR/fog/3`, or with a group between as in the archives: `DIR/weather/fog/3`.
  A folder that holds classes is its only one.
  """
  found = sorted(_severities(os.path.expanduser(where), _DEEPEST))
  ends = collections.Counter(tuple(path.split(os.sep)[-2:]) for path in found)
  if twice := [path for path in found if ends[tuple(path.split(os.sep)[-2:])] > 1]:
    raise UserError(
      f'{where} holds {"/".join(twice[0].split(os.sep)[-2:])} in several places: '
      f'{errors.listed(twice)}: remove one, or give one'
    )
  return found or [where]


def _severities(folder: str, levels: int) -> Iterator[str]:
  """Yields folders that are called as severities, so many levels in at most.

  Their images are not looked at, nor those of class folders.
  """
  for name in _folders(folder):
    path = os.path.join(folder, name)
    if _SEVERITY.fullmatch(name):
      yield path
    elif levels > 1 and not _WNID.fullmatch(name):
      yield from _severities(path, levels - 1)


def _in_folder(config: DatasetConfig, folder: str) -> DatasetConfig:
  """Returns the config of a test set in another folder, which readers are given."""
  kind = config.name.partition(':')[0]
  return dataclasses.replace(config, name=f'{kind}:{folder}')


def _layout(config: DatasetConfig) -> Layout:
  kind, _, folder = config.name.partition(':')
  return read_layout(folder, kind)


def _inside(variant: Variant, where: str) -> str:
  """Returns the folder of the class folders, which may be further in than one given.

  Archives have a folder around them, such as `imagenet-a` or `objectnet-1.0/images`.

  Raises:
    UserError: several of them have class folders.
  """
  named: Callable[[str], object] = _WNID.match
  if variant.layout in (OBJECTNET, CUE_CONFLICT):
    named = set(class_sets.read(variant.class_set).names).__contains__
  elif variant.layout == NUMBERS:
    named = _NUMBER_OR_WNID.fullmatch
  elif variant.layout != WNIDS:
    return where
  level = [os.path.expanduser(where)]
  for _ in range(_DEEPEST):
    found = [one for one in level if any(named(name) for name in _folders(one))]
    if len(found) > 1:
      raise UserError(
        f'{where} holds class folders in {len(found)} places: give one, such as '
        f'`dataset={variant.name}:{found[0]}`'
      )
    if found:
      return found[0]
    level = [os.path.join(one, name) for one in level for name in _folders(one)]
  return where


def _folders(path: str) -> list[str]:
  try:
    return sorted(entry.name for entry in os.scandir(path) if entry.is_dir())
  except OSError:
    return []  # What reads it tells.


def _part(variant: Variant, content: FolderContent) -> tuple[str, ...]:
  """Says where images of a set are missing."""
  count = len(content.ids)
  notes: tuple[str, ...] = ()
  if content.limit is None and variant.images and count != variant.images:
    notes += (f'{count:,} images, {variant.title} has {variant.images:,}',)
  if variant.class_set and content.limit is None:
    known = class_sets.read(variant.class_set).groups
    there = set(content.labels)
    lacking = sum(1 for group in known if group[0] not in there)
    if lacking and not variant.unlabelled:
      notes += (f'no image of {lacking:,} of its {len(known):,} classes',)
  return notes


def _of_wnids(variant: Variant, config: DatasetConfig) -> FolderContent:
  """Reads folders that are called by wnids."""
  content = folder_content.read_folder(config)
  if content.space is not imagenet.label_space():
    raise UserError(
      f'{content.root}: expected folders called by the wnids of {variant.title}, such '
      f'as n01440764, found {errors.listed(content.space.class_ids, 3)}'
    )
  if not variant.class_set:
    # All classes compete, whichever have an image here.
    return dataclasses.replace(content, competing=None, listed=None)
  known = [group[0] for group in class_sets.read(variant.class_set).groups]
  others = sorted(set(content.labels) - set(known))
  if others:
    ids = [content.space.class_ids[i] for i in others]
    raise UserError(
      f'{content.root} holds {len(ids)} classes that are none of {variant.title} '
      f'({errors.listed(ids)}): is it another set?'
    )
  labels = [-1] * len(content.labels) if variant.unlabelled else content.labels
  listed = resolution.listed(content.space, known)
  return dataclasses.replace(
    content, competing=sorted(known), listed=listed, labels=labels
  )


def _of_numbers(variant: Variant, config: DatasetConfig) -> FolderContent:
  """Reads folders that are called 0 to 999, by their numbers."""
  names = _layout(config).class_folders
  if not all(name.isdecimal() for name in names):
    return _of_wnids(variant, config)
  return folder_content.read_folder(dataclasses.replace(config, class_folders=INDEX))


def _of_corruption(variant: Variant, config: DatasetConfig) -> FolderContent:
  where = config.name.partition(':')[2]
  if (those := corruptions(where)) != [where]:
    raise UserError(
      f'{where} holds {len(those)} folders of corruptions and severities: give one, '
      f'such as `dataset={variant.name}:{those[0]}`'
    )
  name, severity = pathlib.Path(os.path.realpath(where)).parts[-2:]
  if name not in variant.corruptions or (
    variant.name == IMAGENET_C and severity not in '12345'
  ):
    raise UserError(
      f'{where}: expected a folder of {variant.title}, as fog/3 or sparkles/1, and '
      f'{name}/{severity} is none: see tfeval datasets {variant.name}'
    )
  return _of_wnids(variant, config)


def _of_objectnet(variant: Variant, config: DatasetConfig) -> FolderContent:
  """Reads the folders of classes that ImageNet has; leaves the others out."""
  known = class_sets.read(variant.class_set)
  label_of = {
    name: group[0] for name, group in zip(known.names, known.groups, strict=True)
  }
  layout = _layout(config)
  inside = [path for path in layout.images if path.partition('/')[0] in label_of]
  if not inside:
    raise UserError(
      f'{layout.root} holds none of the class folders of {variant.title}, such as '
      f'{known.names[0]}: found '
      + errors.listed(layout.class_folders, none='no folders')
    )
  labels = [label_of[path.partition('/')[0]] for path in inside]
  others = len(layout.images) - len(inside)
  folders = len(set(layout.class_folders) - label_of.keys())
  note = f'left out: {others:,} images of {folders:,} classes that ImageNet lacks'
  return _content(layout, inside, labels, config.limit, (note,) if others else ())


def _of_tiny(variant: Variant, config: DatasetConfig) -> FolderContent:
  """Reads val/images by val_annotations.txt, or class folders in val."""
  given = pathlib.Path(config.name.partition(':')[2]).expanduser()
  inside = given / 'val' if (given / 'val').is_dir() else given
  annotations = inside / ANNOTATIONS
  if not annotations.is_file():
    return _of_wnids(variant, _in_folder(config, str(inside)))
  images = inside / 'images'
  layout = _layout(_in_folder(config, str(images if images.is_dir() else inside)))
  by_name = _annotated(annotations, variant)
  lacking = [path for path in layout.images if os.path.basename(path) not in by_name]
  if lacking:
    raise UserError(
      f'{annotations} has no label for {len(lacking)} images: {errors.listed(lacking)}'
    )
  labels = [by_name[os.path.basename(path)] for path in layout.images]
  content = _content(layout, layout.images, labels, config.limit, ())
  known = [group[0] for group in class_sets.read(variant.class_set).groups]
  return dataclasses.replace(content, competing=sorted(known))


def _annotated(path: pathlib.Path, variant: Variant) -> dict[str, int]:
  """Reads lines of a file name and a wnid, with tabs between them."""
  index = imagenet.label_space().index_of_id
  known = {group[0] for group in class_sets.read(variant.class_set).groups}
  found = {}
  try:
    lines = untrusted.read_bytes(path, budgets.TEXT_FILE).decode().splitlines()
  except UnicodeDecodeError as error:
    raise UserError(f'{path} is not text') from error
  for number, line in enumerate(lines, 1):
    name, _, rest = line.partition('\t')
    wnid = rest.partition('\t')[0]
    if index.get(wnid) not in known:
      raise UserError(
        f'{path}, line {number}: {wnid[:20]!r} is no class of {variant.title}'
      )
    found[name] = index[wnid]
  return found


def _of_cue_conflict(variant: Variant, config: DatasetConfig) -> FolderContent:
  """Reads images that are called by shape and texture."""
  known = class_sets.read(variant.class_set)
  label_of = {
    name: group[0] for name, group in zip(known.names, known.groups, strict=True)
  }
  layout = _layout(config)
  labels = []
  for path in layout.images:
    shape, texture = conflict_of(path) or ('', '')
    if shape not in label_of or texture not in label_of:
      raise UserError(
        f'{os.path.join(layout.root, path)}: expected a name such as '
        'airplane1-bear2.png, of shape and texture'
      )
    labels.append(label_of[shape])
  return _content(layout, layout.images, labels, config.limit, ())


def conflict_of(name: str) -> tuple[str, str] | None:
  """Returns the categories of shape and texture in a file name, or None.

  >>> conflict_of('airplane/airplane1-bear2.png')
  ('airplane', 'bear')
  """
  found = CONFLICT.fullmatch(os.path.basename(name))
  return None if found is None else (found[1], found[2])


def _content(
  layout: Layout,
  images: list[str],
  labels: list[int],
  limit: int | None,
  notes: tuple[str, ...],
) -> FolderContent:
  """Puts together what was read, in the order of the ids."""
  counts = collections.Counter(map(os.path.basename, images))
  twice = max(counts.values()) > 1
  ids = [path if twice else os.path.basename(path) for path in images]
  if limit is not None and limit >= len(ids):
    limit = None
  order = sorted(range(len(ids)), key=ids.__getitem__)[:limit]
  return FolderContent(
    root=layout.root,
    space=imagenet.label_space(),
    competing=None,
    listed=None,
    ids=[ids[i] for i in order],
    paths=[os.path.join(layout.root, images[i]) for i in order],
    labels=[labels[i] for i in order],
    limit=limit,
    notes=notes,
  )


READERS: dict[str, Callable[[Variant, DatasetConfig], FolderContent]] = {
  variants.WNIDS: _of_wnids,
  variants.NUMBERS: _of_numbers,
  variants.CORRUPTIONS: _of_corruption,
  variants.OBJECTNET: _of_objectnet,
  variants.TINY: _of_tiny,
  variants.CUE_CONFLICT: _of_cue_conflict,
}
