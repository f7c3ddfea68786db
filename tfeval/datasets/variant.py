"""Test sets of the field as datasets: from folders, and what TFDS builds with rules."""

import dataclasses
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from tfeval.datasets import base, folder, variant_folders, variants
from tfeval.datasets.labels import class_sets
from tfeval.datasets.options import DatasetConfig
from tfeval.datasets.variant_folders import CONFLICT
from tfeval.datasets.variants import Variant
from tfeval.metrics.competition import Rule
from tfeval.metrics.entry import RESTRICTED
from tfeval.utils.errors import MissingData, UserError

CATEGORIES = 'categories'
_BORDER = 2
# Images whose borders are looked at beforehand.
_LOOKED_AT = 20
# Least and most of red, green and blue in it.
_RED = (250, 0, 0), (255, 5, 5)


def open_variant(config: DatasetConfig) -> base.ImageDataset:
  """Opens a test set that lies in a folder, as its authors publish it.

  Args:
    config: its `name` is `SET:DIR`, or `SET/CONFIG:DIR`, of a set of `variants.toml`.

  Raises:
    UserError: no folder was given, or it holds something else.
  """
  variant = variants.of_dataset(config.name)
  assert variant is not None  # It is opened by its name.
  if variant.layout not in variant_folders.READERS:
    raise MissingData(variant_folders.missing(variant))
  content = variant_folders.read(variant, config)
  found = folder.of_content(content, config)
  path = pathlib.Path(os.path.realpath(content.root))
  parts = variants.config_of(config.name)
  if variant.layout == variants.CORRUPTIONS:
    parts = '_'.join(path.parts[-2:])
    _check_side(content.paths[0], variant)
  found = dataclasses.replace(found, name=f'{variant.name}:{path}', config=parts)
  if variant.layout == variants.OBJECTNET:
    found = _without_border(found, content.paths)
  return with_rules(found, variant)


def _check_side(path: str, variant: Variant) -> None:
  """Checks the size of an image of a set whose images are cropped already.

  Raises:
    UserError: it is another one.
  """
  encoded = tf.io.read_file(path)
  try:
    shape = tf.io.decode_image(encoded, channels=3, expand_animations=False).shape
  except tf.errors.OpError:
    return  # What reads it tells.
  if tuple(shape[:2]) != (variant.ready, variant.ready):
    raise UserError(
      f'{path} has {shape[1]} x {shape[0]} pixels, images of {variant.title} have '
      f'{variant.ready} x {variant.ready}: is it another set?'
    )


def with_rules(dataset: base.ImageDataset, variant: Variant) -> base.ImageDataset:
  """Returns a dataset with the class rules of a set, and what is to be known of it."""
  rules = rules_of(variant)
  if variant.layout == variants.CUE_CONFLICT:
    dataset = _without_same_cues(dataset)
  if variant.class_set and not rules:
    known = [group[0] for group in class_sets.read(variant.class_set).groups]
    dataset = dataclasses.replace(dataset, competing=sorted(known))
  if not rules:
    return dataset
  return dataclasses.replace(dataset, rules=rules, competing=None, listed=None)


def rules_of(variant: Variant) -> tuple[Rule, ...]:
  """Returns the class rules of a set whose classes mean several of the 1000 each."""
  if not variant.class_set:
    return ()
  known = class_sets.read(variant.class_set)
  if all(len(group) == 1 for group in known.groups):
    return ()
  name = CATEGORIES if variant.rule == CATEGORIES else RESTRICTED
  return (known.rule_of_all(), known.rule(name))


def _mapped(
  dataset: base.ImageDataset, function: Callable[[dict], dict], *notes: str
) -> base.ImageDataset:
  """Returns a dataset with other examples, of which notes tell."""

  def mapped(make):
    return make and (
      lambda *args, **which: make(*args, **which).map(
        function, num_parallel_calls=tf.data.AUTOTUNE
      )
    )

  return dataclasses.replace(
    dataset,
    examples=mapped(dataset.examples),
    at=mapped(dataset.at),
    strided=mapped(dataset.strided),
    notes=(*dataset.notes, *notes),
  )


def _without_same_cues(dataset: base.ImageDataset) -> base.ImageDataset:
  """Returns a dataset in which images without a conflict have no label."""
  return _mapped(
    dataset,
    _only_conflicts,
    'images whose shape and texture are of one category have no label: their authors '
    'leave them out',
  )


def _only_conflicts(example):
  # As `variant_folders.CONFLICT`, of which TensorFlow does not return the groups.
  shape, texture = (
    tf.strings.regex_replace(example['id'], rf'.*?{CONFLICT.pattern}$', group)
    for group in (r'\1', r'\2')
  )
  label = tf.where(shape == texture, np.int64(-1), example['label'])
  return example | {'label': label}


def _without_border(
  dataset: base.ImageDataset, paths: Sequence[str]
) -> base.ImageDataset:
  """Returns a dataset whose PNG images have no red border, where they had one."""
  found = _mapped(dataset, _cut, *_border_notes(paths))
  return dataclasses.replace(found, encoded=False)


def _border_notes(paths: Sequence[str]) -> Iterator[str]:
  """Says where images have no border, or one that stays.

  Of some alone: to look at all takes as long as to decode them.
  """
  found = [path for path in paths if path.lower().endswith('.png')]
  if others := len(paths) - len(found):
    yield f'{others:,} images are no PNG: a red border in them is not cut'
  looked_at = found[:: max(1, -(-len(found) // _LOOKED_AT))]
  if without := sum(not _is_bordered(path) for path in looked_at):
    yield (
      f'{without} of {len(looked_at)} images that were looked at have no red border: '
      'nothing is cut of these'
    )


def _is_bordered(path: str) -> bool:
  try:
    return bool(_has_border(tf.io.decode_png(tf.io.read_file(path), channels=3)))
  except tf.errors.OpError:
    return True  # What is wrong with it is told where it is evaluated.


def _cut(example):
  encoded = example['image']
  # What is cut off at its end is decoded where damaged images are told by name.
  end = tf.strings.substr(encoded, tf.maximum(tf.strings.length(encoded) - 8, 0), 4)
  is_whole = (tf.strings.substr(encoded, 0, 4) == b'\x89PNG') & (end == b'IEND')
  image = tf.cond(is_whole, lambda: _cut_png(encoded), lambda: encoded)
  return example | {'image': image}


def _cut_png(encoded):
  pixels = tf.io.decode_png(encoded, channels=3)
  inner = pixels[_BORDER:-_BORDER, _BORDER:-_BORDER]
  # Without compression: the pixels are decoded again at once.
  return tf.cond(
    _has_border(pixels), lambda: tf.io.encode_png(inner, 0), lambda: encoded
  )


def _has_border(pixels):
  edges = [pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]
  low, high = (tf.constant(one, tf.uint8) for one in _RED)
  values = tf.concat(edges, 0)
  return tf.reduce_all((values >= low) & (values <= high))
