"""The prediction loop: every example once, through fixed-size padded batches."""

import dataclasses
import hashlib
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from tfeval import errors
from tfeval import labels as labels_lib
from tfeval.datasets.base import Dataset
from tfeval.engine import pipeline
from tfeval.engine import service as service_lib
from tfeval.engine import strategy as strategy_lib
from tfeval.errors import UserError
from tfeval.models.model import Model, wrong_outputs
from tfeval.preprocess.protocol import Protocol
from tfeval.settings import PROBABILITIES


@dataclasses.dataclass(frozen=True)
class Predictions:
  """What a model said of n examples.

  Attributes:
    positions: n positions in the dataset, from 0.
    ids: n ids.
    hashes: n SHA-256 digests of the encoded images.
    labels: int64 [n], -1 for none.
    real_labels: n lists of classes, or None without ReaL labels.
    scores: float32 [n, 1000], finite.
  """

  positions: list[int]
  ids: list[str]
  hashes: list[bytes]
  labels: np.ndarray
  real_labels: list[list[int]] | None
  scores: np.ndarray


def global_batch_size(wanted: int, strategy: tf.distribute.Strategy) -> int:
  """Returns the batch size, rounded up so that all replicas get the same."""
  replicas = strategy.num_replicas_in_sync
  return -(-wanted // replicas) * replicas


def predict(dataset: Dataset, protocol: Protocol, model: Model,
            strategy: tf.distribute.Strategy, batch_size: int,
            skip_errors: bool = False,
            shard: range | None = None,
            service: str | None = None) -> Iterator[Predictions]:
  """Yields predictions batch by batch, in the dataset's order.

  Args:
    dataset: examples.
    protocol: makes pixels of them.
    model: loaded under the strategy's scope.
    strategy: where it runs.
    batch_size: a multiple of the strategy's replicas.
    skip_errors: whether images that cannot be decoded are left out; their
      positions are then missing.
    shard: the positions to predict, from a multiple of the batch size; all by default.
    service: HOST:PORT of a tf.data service that decodes; this host by default.

  Raises:
    UserError: an image is broken, the model cannot take the images or does not
      return (batch, 1000) finite numbers of the stated kind; names the example.
  """
  forward = Forward(model, strategy, batch_size)
  shard = range(dataset.expected_count) if shard is None else shard
  if service is not None:
    # What is computed is put into order, and not the pixels: it is far smaller.
    yield from service_lib.in_order(
        ((start, _collect(dataset, batch, forward) if batch else None)
         for start, batch in service_lib.batches(service, dataset, protocol, batch_size,
                                                 skip_errors, shard)),
        shard[::batch_size])
    return
  done = shard.start
  batches = iter(pipeline.batches(dataset, protocol, batch_size, skip_errors, shard))
  if skip_errors:
    batches = pipeline.by_position(batches, batch_size)
  while True:
    try:
      batch = next(batches, None)
    except tf.errors.OpError as error:
      if skip_errors:
        raise pipeline.unreadable_after(dataset, done, error) from error
      raise pipeline.explain_failure(dataset, protocol, done, error) from error
    if batch is None:
      return
    predictions = _collect(dataset, batch, forward)
    done += len(predictions.ids)
    yield predictions


class Forward:
  """A model's forward pass on batches of one static shape."""

  def __init__(self, model: Model, strategy: tf.distribute.Strategy,
               batch_size: int):
    self.model = model
    self._strategy = strategy
    self._batch_size = batch_size

    self._step = tf.function(lambda pixels: strategy.run(model, (pixels,)),
                             autograph=False)

  def __call__(self, pixels: tf.Tensor) -> np.ndarray:
    """Returns float32 [n, 1000] for uint8 [n, size, size, 3], n <= batch_size."""
    n = pixels.shape[0]
    # One static shape for all batches: nothing is traced twice, and no replica
    # gets an empty batch, for which oneDNN returns wrong shapes.
    if n < self._batch_size:
      missing = tf.zeros([self._batch_size - n, *pixels.shape[1:]], pixels.dtype)
      pixels = tf.concat([pixels, missing], 0)
    try:
      outputs = self._step(strategy_lib.per_replica(self._strategy, pixels))
    except UserError:
      raise
    except tf.errors.ResourceExhaustedError as error:
      raise UserError(
          f'{self.model.name} does not fit into memory with batches of '
          f'{self._batch_size}: give a smaller --batch_size') from error
    except (ValueError, TypeError, tf.errors.OpError) as error:
      raise UserError(
          f'{self.model.name} cannot run on images of {tuple(pixels.shape)}: '
          f'{errors.one_line(error)}') from error
    local = [np.asarray(output) for output in
             self._strategy.experimental_local_results(outputs)]
    expected = (self._batch_size // len(local), labels_lib.NUM_CLASSES)
    for output in local:
      if output.shape != expected:
        raise wrong_outputs(self.model.name, output.shape)
    return np.concatenate(local)[:n]


def _collect(dataset: Dataset, batch, forward: Forward) -> Predictions:
  ids = [name.decode() for name in batch['id'].numpy()]
  scores = forward(batch['pixels'])
  check_scores(scores, ids, forward.model)
  if dataset.real_labels is not None:
    real = [list(dataset.real_labels[name]) for name in ids]
  elif dataset.has_real_labels:
    real = [np.flatnonzero(hot).tolist() for hot in batch['real_labels'].numpy()]
  else:
    real = None
  return Predictions(
      positions=batch['position'].numpy().tolist(), ids=ids,
      hashes=[hashlib.sha256(image).digest() for image in batch['image'].numpy()],
      labels=batch['label'].numpy(), real_labels=real, scores=scores)


def check_scores(scores: np.ndarray, ids: list[str], model: Model) -> None:
  """Holds that scores can be those of a classifier.

  Args:
    scores: float32 [n, 1000].
    ids: what names the n examples.
    model: whose scores they are.

  Raises:
    UserError: they are not finite, or not the probabilities they should be.
  """
  finite = np.isfinite(scores).all(axis=1)
  if not finite.all():
    raise UserError(f'{model.name} returns NaN or infinity for example '
                    f'{ids[int(np.argmin(finite))]}: check its weights and '
                    '--preprocess')
  if model.output == PROBABILITIES:
    # 1e-2 lets half-precision softmax pass and logits not.
    good = (scores.min(axis=1) >= 0) & (abs(scores.sum(axis=1) - 1) < 1e-2)
    if not good.all():
      worst = int(np.argmin(good))
      raise UserError(
          f'{model.name}: the outputs for example {ids[worst]} sum to '
          f'{scores[worst].sum():.4g} with minimum {scores[worst].min():.4g}, so they '
          'are not probabilities: give --output=logits')
  elif ((scores >= 0).all() and (abs(scores.sum(axis=1) - 1) < 1e-2).all()
        and scores.shape[1] > 1):
    raise UserError(f'{model.name}: the outputs are at least 0 and sum to 1, so they '
                    'are probabilities and no logits: give --output=probabilities')
