"""Forward passes through padded batches of one size, and whether they can be right."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tfeval.engine import strategies
from tfeval.engine.batches import Batch
from tfeval.models.model import Model, wrong_outputs
from tfeval.models.options import PROBABILITIES
from tfeval.preprocess import device_resize
from tfeval.utils import errors
from tfeval.utils.errors import UserError

Pixels = tf.Tensor | dict[str, tf.Tensor]
# Of a step in flight: how many images it is of, and the outputs of each replica.
Handle = tuple[int, Any]


def global_batch_size(requested: int, strategy: tf.distribute.Strategy) -> int:
  """Returns the batch size of a host, rounded up so that its replicas get the same."""
  replicas = strategies.local_replicas(strategy)
  return -(-requested // replicas) * replicas


class ForwardPass:
  """A model's forward pass on batches of one static shape."""

  def __init__(
    self,
    model: Model,
    strategy: tf.distribute.Strategy,
    batch_size: int,
    jit: bool = False,
    resizes: bool = False,
  ):
    """Prepares it.

    Args:
      model: loaded under the strategy's scope.
      strategy: where it runs.
      batch_size: over all replicas.
      jit: whether XLA compiles it.
      resizes: whether images come as `device_resize.resize` takes them.
    """
    self.model = model
    self._resize = device_resize.compiled() if resizes else None
    self._strategy = strategy
    self._batch_size = batch_size
    self._jit = jit
    self._step = _step(self._answer, strategy, jit)

  def _answer(self, pixels):
    return self.model(self._resize(pixels) if self._resize else pixels)

  def __call__(self, pixels: Pixels) -> np.ndarray:
    """Returns float32 [n, classes] for the pixels of a `Batch`, n <= batch_size."""
    with self.model.in_time():
      return self.result(self.submit(pixels))

  def submit(self, pixels: Pixels) -> Handle:
    """Starts a step over the pixels of a `Batch`; what it returns is for `result`.

    Raises:
      UserError: the model cannot run on them.
    """
    n = len(tf.nest.flatten(pixels)[0])
    # One static shape for all batches: nothing is traced twice, and no replica
    # gets an empty batch, for which oneDNN returns wrong shapes.
    if n < self._batch_size:
      pixels = tf.nest.map_structure(self._padded, pixels)
    split = strategies.per_replica(self._strategy, pixels)
    try:
      return n, self._step(split)
    except UserError:
      raise
    except tf.errors.ResourceExhaustedError as error:
      raise UserError(
        f'{self.model.name} does not fit into memory with batches of '
        f'{self._batch_size}: give a smaller `batch_size`'
      ) from error
    except Exception as error:  # The model may be anyone's.
      if self._jit and self._runs_uncompiled(split):
        raise UserError(
          f'{self.model.name} cannot be compiled by XLA: leave `jit` out:'
          f' {errors.one_line(error)}'
        ) from error
      raise UserError(
        f'{self.model.name} cannot run on images of '
        f'{tuple(tf.nest.flatten(pixels)[0].shape)}: '
        f'{errors.one_line(error)}'
      ) from error

  def result(self, handle: Handle) -> np.ndarray:
    """Waits for a step that `submit` started: float32 [n, classes].

    Raises:
      UserError: the model returned another shape.
    """
    n, outputs = handle
    local = [
      np.asarray(output)
      for output in self._strategy.experimental_local_results(outputs)
    ]
    space = self.model.label_space
    expected = (self._batch_size // len(local), len(space))
    for output in local:
      if output.shape != expected:
        raise wrong_outputs(self.model.name, output.shape, space)
    return np.concatenate(local)[:n]

  def _padded(self, values: tf.Tensor) -> tf.Tensor:
    n, *rest = values.shape
    return tf.concat([values, tf.zeros([self._batch_size - n, *rest], values.dtype)], 0)

  def _runs_uncompiled(self, split) -> bool:
    try:
      _step(self._answer, self._strategy, jit=False)(split)
    except Exception:
      return False
    return True


def _step(model: Callable, strategy: tf.distribute.Strategy, jit: bool) -> Callable:
  """Returns what runs a model on the batch of each replica."""
  if not jit or strategies.always_compiles(strategy):
    return tf.function(lambda pixels: strategy.run(model, (pixels,)), autograph=False)
  compiled = tf.function(model, jit_compile=True, autograph=False)
  # A program for each replica: inside of one function, or given as it is, `compiled`
  # would be placed on the first device, which cannot read the variables of others.
  return lambda pixels: strategy.run(lambda part: compiled(part), (pixels,))


def predict_batch(forward: ForwardPass, batch: Batch) -> np.ndarray:
  """Returns what a model says of a batch: float32 [n, classes].

  Raises:
    UserError: it cannot take the images, or does not return (batch, classes) finite
      numbers of the stated kind; names the example.
  """
  scores = forward(batch.pixels)
  check_scores(scores, batch.ids, forward.model)
  return scores


def check_scores(scores: np.ndarray, ids: list[str], model: Model) -> None:
  """Checks that scores can be those of a classifier.

  Args:
    scores: float32 [n, classes].
    ids: what names the n examples.
    model: whose scores they are.

  Raises:
    UserError: they are not finite, or not the probabilities they should be.
  """
  finite = np.isfinite(scores).all(axis=1)
  if not finite.all():
    raise UserError(
      f'{model.name} returns NaN or infinity for example '
      f'{ids[int(np.argmin(finite))]}: check its weights and '
      '`preprocess`'
    )
  if model.output == PROBABILITIES:
    # 1e-2 lets half-precision softmax pass and logits not.
    good = (scores.min(axis=1) >= 0) & (abs(scores.sum(axis=1) - 1) < 1e-2)
    if not good.all():
      worst = int(np.argmin(good))
      raise UserError(
        f'{model.name}: the outputs for example {ids[worst]} sum to '
        f'{scores[worst].sum():.4g} with minimum {scores[worst].min():.4g}, so they '
        'are not probabilities: give `output=logits`'
      )
  elif (
    (scores >= 0).all()
    and (abs(scores.sum(axis=1) - 1) < 1e-2).all()
    and scores.shape[1] > 1
  ):
    raise UserError(
      f'{model.name}: the outputs are at least 0 and sum to 1, so they '
      'are probabilities and no logits: give `output=probabilities`'
    )
