"""A runtime and models without files: the pixels of image i are i, and so is its label.

No image is decoded and no Keras model is built: what is tested is who does what when.
"""

import hashlib

import numpy as np
import tensorflow as tf

from tfeval.datasets.base import ImageDataset
from tfeval.datasets.labels import imagenet
from tfeval.engine.batches import Batch
from tfeval.engine.cluster import Cluster
from tfeval.evaluation.config import EvaluationConfig
from tfeval.evaluation.plans import ModelRequest
from tfeval.evaluation.runtime import Runtime
from tfeval.models.keras.backend import FunctionBackend
from tfeval.models.model import Model
from tfeval.utils import progress, spec

IMAGES, SIZE = 10, 4
_ALONE = Cluster()


def content(position: int) -> bytes:
  return b'image %d' % position


def examples(start: int, stop: int):
  for position in range(start, stop):
    yield {
      'id': tf.constant(f'{position}.JPEG'),
      'image': tf.constant(content(position)),
      'label': tf.constant(position, tf.int64),
    }


class FakeRuntime(Runtime):
  """Reads batches of the images.

  Attributes:
    reads: the positions that were asked for, one entry for each reading.
    broken: positions of images that cannot be decoded.
  """

  def __init__(self, hosts: Cluster = _ALONE, broken: frozenset[int] = frozenset()):
    dataset = ImageDataset(
      'fake', None, None, '', imagenet.label_space(), IMAGES, examples
    )
    super().__init__(
      dataset, tf.distribute.get_strategy(), 'default', hosts, progress.hidden
    )
    self.reads, self.broken = [], broken

  def read(self, protocol, batch_size, skip_errors, positions):
    self.reads.append(positions)
    for first in range(positions.start, positions.stop, batch_size):
      stop = min(first + batch_size, positions.stop)
      yield make_batch([i for i in range(first, stop) if i not in self.broken])


def make_batch(positions: list[int]) -> Batch:
  pixels = np.ones((len(positions), SIZE, SIZE, 3), np.uint8)
  return Batch(
    positions=positions,
    ids=[f'{i}.JPEG' for i in positions],
    image_sha256=[hashlib.sha256(content(i)).digest() for i in positions],
    labels=np.array(positions),
    real_labels=None,
    pixels=tf.constant(pixels * np.array(positions, np.uint8)[:, None, None, None]),
  )


def make_model(name: str = 'right', shift: int = 0, **more) -> Model:
  """Returns a model that predicts the label plus a shift."""

  def function(images):
    return 5 * tf.one_hot(tf.cast(images[:, 0, 0, 0], tf.int32) + shift, 1000)

  facts = {'weights_sha256': name.ljust(64, '0'), 'parameters': 0, **more}
  return Model(
    name,
    function,
    lambda x: x,
    'identity',
    SIZE,
    'logits',
    'none',
    backend=FunctionBackend(function),
    label_space=imagenet.label_space(),
    outputs=1000,
    **facts,
  )


def make_request(name: str = 'right') -> ModelRequest:
  return ModelRequest(spec.Spec(name, name), 'none', name, label=name)


def make_settings(output_dir, **more) -> EvaluationConfig:
  fixed = {'dataset': 'fake', 'protocol': 'squash', 'preflight': 'off'}
  small = {'batch_size': 2, 'rows_per_part': 4}
  return EvaluationConfig.of(**fixed | small | more, output_dir=str(output_dir))
