"""TFDS datasets: prepared where needed, checked, and read undecoded."""

import os
import pathlib
import re

import tensorflow as tf
import tensorflow_datasets as tfds
from etils import epath

from tfeval.datasets import (
  base,
  splits,
  tfds_metadata,
  tfds_names,
  tfds_places,
  tfds_preparing,
  variants,
)
from tfeval.datasets.labels import class_sets, imagenet, resolution
from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.datasets.options import DatasetConfig
from tfeval.datasets.tfds_records import Records, SetsOfLabels
from tfeval.utils import budgets, errors, files
from tfeval.utils.errors import UserError, listed

MULTILABEL = 'multilabel'
# Both are hits (Shankar et al. 2020), and what is problematic does not count.
_MULTI_KEYS = 'correct_multi_labels', 'unclear_multi_labels'
_PROBLEMATIC = 'is_problematic'
_LABEL_KEYS = ('label', 'original_label', 'shape_label')
_REAL_KEY = 'real_label'


def open_tfds(config: DatasetConfig) -> base.ImageDataset:
  """Opens a TFDS dataset, preparing it when that is possible and needed.

  Args:
    config: its `name` is one of TFDS, `name/config:version` included; `split` any split
      or slice, such as `'validation[:10%]'`, None that of evaluation.

  Raises:
    UserError: the name, split or label space is not usable, or the data is not
      there; says where to get it and where to put it.
  """
  name, limit = config.name, config.limit
  _check_place('data_dir', config.data_dir)
  _check_place('manual_dir', config.manual_dir)
  builder = _builder(name, config.data_dir)
  # Before anything is downloaded for nothing.
  with tfds_metadata.told(name, builder.data_dir):
    image_key, label_key = _features(builder)
    space, indices = _classes(builder.name, builder.info.features[label_key])
  if not builder.is_prepared():
    if config.manual_dir is None:
      _check_places(builder, name)
    tfds_preparing.prepare(builder, config.manual_dir)
    # Another process may have prepared it, and then this builder knows no splits.
    builder = _builder(name, config.data_dir)
  known = builder.info.splits
  split = config.split
  if split is None:
    split = splits.of_evaluation(list(known))
  if split is None:
    raise UserError(
      f'{name} has the splits {listed(known)}: give one, such as '
      f'`split={next(iter(known), "test")}`'
    )
  with tfds_metadata.told(name, builder.data_dir):
    try:
      count = known[split].num_examples
    except (KeyError, ValueError) as error:
      raise errors.unknown(f'split of {name}', split, list(known)) from error
  if count < 1:  # A slice that ends before it starts has a negative count.
    raise UserError(f'split {split!r} of {name} holds no examples')
  if limit is not None and limit >= count:
    limit = None  # It is the whole.
  size = limit or count
  own_sets, variant = _own_sets(builder, config), variants.of_dataset(builder.name)
  with tfds_metadata.told(name, builder.data_dir):
    records = Records(
      builder,
      split,
      image_key,
      label_key,
      own_sets,
      len(space),
      None if indices == list(range(len(space))) else indices,
      '' if variant is None else variant.id_key,
    )
  validation = builder.name in tfds_names.FROM_TAR and split == 'validation'
  full = validation and count == imagenet.NUM_VALIDATION and limit is None
  label_sets = {}
  if own_sets is not None:
    label_sets[own_sets.name] = base.LabelSet('dataset')
  elif config.real_labels is not None:
    by_name = base.RealLabels(config.real_labels)
    label_sets[base.REAL] = base.LabelSet(by_name.digest, by_name)
  return base.ImageDataset(
    name=builder.name,
    config=getattr(builder.builder_config, 'name', None),
    version=str(builder.version),
    split=split,
    label_space=space,
    competing=sorted(indices) if len(indices) < len(space) else None,
    listed=resolution.listed(space, indices),
    rules=class_sets.partner_rules() if _is_validation(builder, split) else (),
    num_examples=size,
    expected_ids=[imagenet.validation_name(i + 1) for i in range(count)]
    if full
    else None,
    limit=limit,
    notes=base.partial_notes(count) if validation else (),
    label_sets=label_sets,
    size_digest=_size_digest(builder),
    examples=lambda start=0, stop=None: records.examples(
      start, size if stop is None else stop
    ),
  )


def _own_sets(builder, config: DatasetConfig) -> SetsOfLabels | None:
  """Returns what sets of labels the examples have, None where they have none."""
  features = builder.info.features
  if config.real_labels is not None:
    return None
  if _REAL_KEY in features:
    return SetsOfLabels(base.REAL, (_REAL_KEY,))
  if _MULTI_KEYS[0] in features:
    return SetsOfLabels(MULTILABEL, _MULTI_KEYS, _PROBLEMATIC)
  return None


def _is_validation(builder, split: str) -> bool:
  """Whether examples are validation images of ImageNet as they are."""
  names = re.findall(r'[a-z]+(?=\[|\+|$)', split)
  return builder.name in tfds_names.FROM_TAR and set(names) == {'validation'}


def _check_places(builder, name: str) -> None:
  """Checks that what is not prepared is not prepared elsewhere."""
  if '://' in os.fspath(builder.data_dir):
    return
  version, where = str(builder.version), pathlib.Path(builder.data_dir)
  config = getattr(builder.builder_config, 'name', None)
  tfds_places.check(
    builder.name,
    config,
    version,
    where.parents[2 if config else 1],
    version if ':' in name else None,
  )


def _check_place(flag: str, directory: str | None) -> None:
  try:
    epath.Path(directory or '')
  except KeyError as error:
    raise UserError(
      f'`{flag}={directory}`: TFDS reads gs://, s3://, az:// and local directories'
    ) from error
  scheme, separator, _ = (directory or '').partition('://')
  # Records are read by TensorFlow, whatever reads what describes them.
  if separator and scheme not in tf.io.gfile.get_registered_schemes():
    raise UserError(
      f'`{flag}={directory}`: TensorFlow, which reads the images, has no file system '
      f'for {scheme}://: copy them to a disk or to gs://'
    )


def _builder(name: str, data_dir: str | None):
  try:
    with tfds_metadata.only_known_features():
      return tfds.builder(name, data_dir=data_dir)
  except tfds.core.registered.DatasetNotFoundError as error:
    known = tfds.list_builders(with_community_datasets=False)
    raise tfds_names.unknown(name, known) from error
  except UserError as error:
    raise UserError(f'dataset {name}: {error}') from error
  except Exception as error:  # TFDS and what it imports raise many types.
    raise UserError(f'dataset {name}: {errors.one_line(error)}') from error


def _features(builder) -> tuple[str, str]:
  """Returns the keys of the image and of the label."""
  features = builder.info.features
  images = [k for k, f in features.items() if isinstance(f, tfds.features.Image)]
  if len(images) != 1:
    raise UserError(
      f'{builder.name} has {len(images)} images in an example, '
      f'expected one: features {listed(features)}'
    )
  for key, shape, kind in (
    (_REAL_KEY, (None,), tf.int64),
    ('file_name', (), tf.string),
  ):
    if key in features:
      tfds_metadata.check_tensor(builder.name, key, features[key], shape, kind)
  for key in _LABEL_KEYS:
    if key in features and isinstance(features[key], tfds.features.ClassLabel):
      return images[0], key
  raise UserError(
    f'{builder.name} has no single class label: features {listed(features)}'
  )


def _classes(name: str, feature) -> tuple[LabelSpace, list[int]]:
  """Returns the classes, and which of them each label of a feature is."""
  # A file of names may be shorter or longer than what is declared.
  if len(feature.names) != feature.num_classes:
    raise UserError(
      f'{name} declares {feature.num_classes} classes and names {len(feature.names)}: '
      'prepare it again'
    )
  if not 1 <= len(feature.names) <= budgets.CLASSES:
    raise UserError(
      f'{name} has {len(feature.names):,} classes, expected 1 to {budgets.CLASSES:,}'
    )
  variant = variants.of_dataset(name)
  known = class_sets.read(variant.class_set) if variant and variant.class_set else None
  if known is not None and set(feature.names) == set(known.names):
    group_of = dict(zip(known.names, known.groups, strict=True))
    return imagenet.label_space(), [group_of[one][0] for one in feature.names]
  # Of a set of ImageNet's thousand classes, numbers are these in order.
  if variant is not None and list(feature.names) == [str(i) for i in range(1000)]:
    return imagenet.label_space(), list(range(1000))
  return resolution.resolve(name, list(feature.names))


def _size_digest(builder) -> str:
  return files.digest_of_pairs(
    (path.name, path.stat().length)
    for path in builder.data_path.iterdir()
    if path.is_file()
  )
