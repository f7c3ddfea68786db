"""The dataset `flags`: plain images, red, green and blue in turn, labelled 0, 1, 2."""

import tensorflow as tf

from tfeval.datasets.base import ImageDataset
from tfeval.datasets.labels import imagenet
from tfeval.utils import files

COUNT = 12


def open_flags(config):
  """Returns the dataset, of which `config.limit` may ask for the first so many.

  Args:
    config: the `DatasetConfig` of what was asked for; a plug-in uses what it needs.

  Labels are indices of the label space, which has to be that of the models. Examples
  have to come in the same order every time, and from any position on.
  """
  count = min(config.limit or COUNT, COUNT)
  ids = [f'flag-{number:02d}.png' for number in range(count)]
  labels = [number % 3 for number in range(count)]

  def image(number):
    color = 255 * tf.one_hot(number % 3, 3, dtype=tf.uint8)
    return tf.io.encode_png(tf.broadcast_to(color, [48, 64, 3]))

  def examples(start=0, stop=None):
    numbers = tf.range(count, dtype=tf.int64)[start:stop]
    return tf.data.Dataset.from_tensor_slices(numbers).map(
      lambda number: {
        'id': tf.constant(ids)[number],
        'image': image(number),
        'label': number % 3,
      }
    )

  return ImageDataset(
    name=config.name,
    config=None,
    version='1.0',
    split=config.split or 'validation',
    label_space=imagenet.label_space(),
    num_examples=count,
    expected_ids=ids,
    has_ids_in_order=True,
    limit=None if count == COUNT else count,
    size_digest=files.digest_of_pairs(zip(ids, labels, strict=True)),
    examples=examples,
  )
