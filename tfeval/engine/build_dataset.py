"""The evaluator's images for loops of one's own: what `tfeval.build_dataset` is."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tfeval import datasets
from tfeval.datasets import variants
from tfeval.datasets.base import ImageDataset
from tfeval.datasets.options import FORMS
from tfeval.engine import for_keras, pipeline
from tfeval.engine.cluster import Cluster
from tfeval.preprocess.protocol import Protocol, requested_size, resolve
from tfeval.utils.arguments import of_kind, path_text, whole_number
from tfeval.utils.errors import UserError

# Of most applications, where the protocol names no size.
_SIZE = 224
_PROTOCOL = 'opencv'


def build_dataset(
  name: str = 'imagenet2012_real',
  *,
  protocol: str = _PROTOCOL,
  input_size: int | None = None,
  batch_size: int = 64,
  label_mode: str | None = None,
  num_classes: int | None = None,
  preprocess: str | Callable[[tf.Tensor], tf.Tensor] | None = None,
  strategy: tf.distribute.Strategy | None = None,
  input_context: tf.distribute.InputContext | None = None,
  split: str | None = None,
  data_dir: str | os.PathLike[str] | None = None,
  manual_dir: str | os.PathLike[str] | None = None,
  real_labels: str | os.PathLike[str] | None = None,
  class_folders: str = 'auto',
  limit: int | None = None,
) -> tf.data.Dataset | tf.distribute.DistributedDataset:
  """Returns the images and labels that `tfeval evaluate` reads, in the same order.

  Every batch has the same static shape. The last ones are padded, as the evaluator
  pads them, so that none is smaller and no replica gets an empty one; `mask` tells:

      id           string [batch]         '' in padding
      position     int64 [batch]          in the dataset, from 0; -1 in padding
      pixels       uint8 or float32 [batch, size, size, 3], RGB in [0, 255]; 0 in
                   padding. Of the protocol's dtype, before any `preprocess_input`
      label        int64 [batch]          class index; -1 for none and in padding
      real_labels  bool [batch, classes]  the set of ReaL labels; empty in padding.
                   Only of datasets that have them, or with `real_labels`
      mask         bool [batch]           False in padding

      for batch in tfeval.build_dataset('imagenet2012_real', data_dir=MY_TFDS_DIR):
        scores = model(preprocess_input(tf.cast(batch['pixels'], tf.float32)))
        top1.update_state(batch['label'], scores, sample_weight=batch['mask'])

  With `label_mode` elements are those that Keras' `fit` and `evaluate` take, as
  `validation_data` too:

      pixels         as above, or as `preprocess` makes them
      label          `'int'`: int64 [batch]; `'categorical'`: float32 [batch, classes],
                     one-hot; class 0 in padding and where there is none
      sample_weight  float32 [batch]: 1; 0 in padding and where there is no label

      model.fit(..., validation_data=tfeval.build_dataset(
        'folder:val', input_size=160, preprocess='tf', label_mode='int'))

  In `compile`, `weighted_metrics` do not count padding, those of Keras nor `TopK` and
  the others of `tfeval.keras`; `metrics`, which Keras gives no weights, count it as
  class 0. Keras divides a loss by all rows of a batch, so padding makes it smaller.
  There is no padding where `batch_size` divides the number of images.

  Args:
    name, split, data_dir, manual_dir, real_labels, class_folders, limit: see
      `tfeval.evaluate`.
    protocol: see `tfeval protocols`.
    input_size: side in pixels; by default the protocol's, else 224.
    batch_size: global: images in a step over all replicas of all hosts.
    label_mode: `'int'` for a sparse loss, `'categorical'` for one of one-hot labels; by
      default elements are dicts.
    num_classes: as many as the model has, where the dataset has some of a larger list,
      as folders called by wnids have of ImageNet's: how many it has itself, for labels
      from 0 on in their order, or how many the list has, for labels as of dicts.
    preprocess: a name, see `tfeval.load_model`, or a function of images, float32
      [batch, size, size, 3] in [0, 255], that a graph can hold; by default pixels stay
      as they are.
    strategy: returns what its `distribute_datasets_from_function` makes, to be given
      to `strategy.run`: of several hosts each reads its share, all for as many steps.
    input_context: what such a function is given; returns this host's share in batches
      of one replica.

  Returns:
    A deterministic dataset of known cardinality. Its options turn autosharding off:
    `experimental_distribute_dataset` splits its batches over the replicas of one host,
    and several hosts need `strategy` or `input_context`.

  Raises:
    UserError: something that the user can fix. An image that cannot be decoded is an
      error of TensorFlow when it is read.
  """
  context = 'what `distribute_datasets_from_function` gives'
  for key, value, kind, expected in (
    ('name', name, str, 'a TFDS name or folder:DIR'),
    ('protocol', protocol, str, 'what `tfeval protocols` lists'),
    ('split', split, str | None, 'a TFDS split'),
    ('class_folders', class_folders, str, ' or '.join(FORMS)),
    ('strategy', strategy, tf.distribute.Strategy | None, 'a tf.distribute.Strategy'),
    ('input_context', input_context, tf.distribute.InputContext | None, context),
  ):
    of_kind(key, value, kind, expected)
  replicas = 1 if strategy is None else strategy.num_replicas_in_sync
  if input_context is not None:
    if strategy is not None:
      raise UserError('strategy and input_context were both given: leave one out')
    replicas = input_context.num_replicas_in_sync
  fed = for_keras.feeding(label_mode, preprocess)
  if num_classes is not None:
    num_classes = whole_number('num_classes', num_classes)
  batch_size = whole_number('batch_size', batch_size)
  limit = limit if limit is None else whole_number('limit', limit)
  if batch_size % replicas:
    raise UserError(
      f'batch_size is {batch_size}, expected a multiple of {replicas} replicas'
    )
  protocol = variants.protocol_of(name, protocol, _PROTOCOL)
  size = (
    requested_size(protocol) or _SIZE
    if input_size is None
    else whole_number('input_size', input_size)
  )
  resolved = resolve(protocol, size)
  if resolved.is_encoded:
    raise UserError('protocol=encoded makes no pixels: give another one')
  if resolved.views > 1:
    raise UserError(
      f'protocol={protocol}: tta={resolved.tta} is of evaluations, which average '
      'answers: leave it out'
    )
  where = {'data_dir': data_dir, 'manual_dir': manual_dir, 'real_labels': real_labels}
  dataset = datasets.open_dataset(
    name,
    split=split,
    class_folders=class_folders,
    limit=limit,
    **{key: path_text(key, value) for key, value in where.items()},
  )

  outputs = for_keras.Outputs.of(dataset, label_mode, num_classes)

  def build(context: tf.distribute.InputContext) -> tf.data.Dataset:
    share = _share(dataset, resolved, batch_size // replicas, context)
    return share if fed is None else share.map(fed(outputs))

  if strategy is not None:
    return strategy.distribute_datasets_from_function(build)
  return build(tf.distribute.InputContext() if input_context is None else input_context)


def _share(
  dataset: ImageDataset,
  protocol: Protocol,
  batch_size: int,
  context: tf.distribute.InputContext,
) -> tf.data.Dataset:
  """Returns the batches of one input pipeline.

  Args:
    dataset, protocol: as `pipeline.make_pipeline`.
    batch_size: of one replica.
    context: says which share.
  """
  hosts = context.num_input_pipelines
  # Each step takes a batch for every replica of the host, and a host without one would
  # leave the others waiting in the next collective.
  at_once = max(1, context.num_replicas_in_sync // hosts)
  positions = Cluster(hosts, context.input_pipeline_id).shard(
    dataset.num_examples, batch_size * at_once
  )
  steps = -(-dataset.num_examples // (batch_size * at_once * hosts))
  examples = pipeline.decoded(
    dataset,
    protocol,
    positions.start,
    positions.stop,
    skip_errors=False,
    num_parallel_calls=pipeline.cores(),
  )
  examples = examples.map(_element(dataset)).apply(
    tf.data.experimental.assert_cardinality(len(positions))
  )
  padding = tf.nest.map_structure(
    lambda spec: tf.zeros(spec.shape, spec.dtype), examples.element_spec
  )
  padding |= {key: tf.constant(-1, tf.int64) for key in ('label', 'position')}
  missing = steps * at_once * batch_size - len(positions)
  padded = examples.concatenate(tf.data.Dataset.from_tensors(padding).repeat(missing))
  options = pipeline.options()
  options.experimental_distribute.auto_shard_policy = (
    tf.data.experimental.AutoShardPolicy.OFF
  )
  return padded.batch(batch_size, drop_remainder=True).prefetch(2).with_options(options)


def _element(dataset: ImageDataset) -> Callable[[dict[str, tf.Tensor]], dict[str, Any]]:
  """Returns what makes an element of an example of the pipeline."""
  look_up = (
    None
    if dataset.real_labels is None
    else _lookup(dataset.real_labels, len(dataset.label_space))
  )

  def element(example):
    found = {key: example[key] for key in ('id', 'position', 'pixels', 'label')}
    if look_up is not None:
      found['real_labels'] = look_up(example['id'])
    elif dataset.has_real_labels:
      found['real_labels'] = example['real_labels']
    return found | {'mask': tf.constant(True)}

  return element


def _lookup(real_labels: Any, classes: int) -> Callable[[tf.Tensor], tf.Tensor]:
  """Returns a function from an id to its set of labels, bool [classes]."""
  names = list(real_labels)
  sets = [real_labels[name] for name in names]
  labels = tf.constant(np.concatenate([np.zeros(0, np.int64), *sets]), tf.int64)
  ends = np.cumsum([0, *map(len, sets)])
  starts, stops = tf.constant(ends[:-1]), tf.constant(ends[1:])
  rows = tf.lookup.StaticHashTable(
    tf.lookup.KeyValueTensorInitializer(
      tf.constant(names), tf.range(len(names), dtype=tf.int64)
    ),
    -1,
  )

  def look_up(name):
    row = rows.lookup(name)
    with tf.control_dependencies(
      [tf.debugging.assert_non_negative(row, 'an image has no entry in real_labels')]
    ):
      found = labels[starts[row] : stops[row]]
    hot = tf.one_hot(found, classes, True, False, dtype=tf.bool)
    return tf.reduce_any(hot, axis=0)

  return look_up
