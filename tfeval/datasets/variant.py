"""Test sets of the field as datasets: from folders, and what TFDS builds with rules."""

import dataclasses
import os
import pathlib

import tensorflow as tf

from tfeval.datasets import base, folder, variant_folders, variants
from tfeval.datasets.labels import class_sets
from tfeval.datasets.options import DatasetConfig
from tfeval.datasets.variants import Variant
from tfeval.metrics.competition import Rule
from tfeval.metrics.entry import RESTRICTED
from tfeval.utils.errors import MissingData

CATEGORIES = 'categories'
_BORDER = 2
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
  found = dataclasses.replace(found, name=f'{variant.name}:{path}', config=parts)
  if variant.layout == variants.OBJECTNET:
    found = _without_border(found)
  return with_rules(found, variant)


def with_rules(dataset: base.ImageDataset, variant: Variant) -> base.ImageDataset:
  """Returns a dataset with the class rules of a set, and what is to be known of it."""
  rules = rules_of(variant)
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


def _without_border(dataset: base.ImageDataset) -> base.ImageDataset:
  """Returns a dataset whose images have no red border, where they had one."""

  def examples(*args):
    return dataset.examples(*args).map(_cut, num_parallel_calls=tf.data.AUTOTUNE)

  def at(positions):
    return dataset.at(positions).map(_cut, num_parallel_calls=tf.data.AUTOTUNE)

  return dataclasses.replace(
    dataset, examples=examples, at=at, strided=None, encoded=False
  )


def _cut(example):
  is_png = tf.strings.substr(example['image'], 0, 4) == b'\x89PNG'
  image = tf.cond(is_png, lambda: _cut_png(example['image']), lambda: example['image'])
  return example | {'image': image}


def _cut_png(encoded):
  pixels = tf.io.decode_png(encoded, channels=3)
  edges = [pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]
  low, high = (tf.constant(one, tf.uint8) for one in _RED)
  values = tf.concat(edges, 0)
  border = tf.reduce_all((values >= low) & (values <= high))
  inner = pixels[_BORDER:-_BORDER, _BORDER:-_BORDER]
  # Without compression: the pixels are decoded again at once.
  return tf.cond(border, lambda: tf.io.encode_png(inner, 0), lambda: encoded)
