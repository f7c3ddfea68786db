"""Forward passes through padded batches of one size, and whether they can be right."""

import dataclasses
import itertools
import logging
import threading
from typing import Any

import numpy as np
import tensorflow as tf

from tfeval.engine import (
  device_ranking,
  output_checks,
  placement,
  strategies,
  undecoded,
  views,
)
from tfeval.engine.batches import Batch
from tfeval.engine.out_of_memory import is_out_of_memory
from tfeval.engine.placement import Pixels, Placed
from tfeval.engine.steps import Step
from tfeval.metrics.competition import Competition, suffix
from tfeval.metrics.stored_rows import kept_classes
from tfeval.models.keras.features import Tap
from tfeval.models.model import Model, wrong_outputs
from tfeval.models.options import LOGITS
from tfeval.preprocess import device_resize
from tfeval.preprocess.protocol import NO_TTA
from tfeval.utils import errors
from tfeval.utils.errors import UserError

_LOG = logging.getLogger('tfeval')


@dataclasses.dataclass(frozen=True)
class InFlight:
  """A batch whose steps were started.

  Attributes:
    placed: its images.
    outputs: what `Step.start` returns of each step, in order.
  """

  placed: Placed
  outputs: list[Any]


@dataclasses.dataclass(frozen=True)
class Answers:
  """What a model says of n images.

  Attributes:
    values: `scores`: float32 [n, classes], or what `device_ranking.ranked` returns;
      `features`: float32 [n, d], where they are taken.
    step_size: how many images, padding included, were computed with at once.
  """

  values: dict[str, np.ndarray]
  step_size: int


class ForwardPass:
  """A model's forward pass on batches of one static shape.

  Attributes:
    model: what runs.
    batch_size: images in a batch over all replicas, padding included.
    tap: what takes features of the images, None where nothing does.
  """

  def __init__(
    self,
    model: Model,
    strategy: tf.distribute.Strategy,
    batch_size: int,
    jit: bool = False,
    resizes: bool = False,
    ranks: Competition | None = None,
    announces: bool = True,
    tap: Tap | None = None,
    tta: str = NO_TTA,
  ):
    """Prepares it.

    Args:
      model: loaded under the strategy's scope.
      strategy: where it runs.
      batch_size: over all replicas.
      jit: whether XLA compiles it.
      resizes: whether images come as `device_resize.resize` takes them.
      ranks: what outputs are, where they are ranked there, so that only the ranks are
        returned; else None.
      announces: whether it tells of memory that is too small.
      tap: what takes features of the images, or None.
      tta: what outputs are averaged over, see `views.averaged`.

    Raises:
      UserError: XLA is to compile what another process runs.
    """
    if jit and model.backend.calls_at_once > 1:
      raise UserError(
        f'{model.name} runs in a process of its own, where XLA compiles nothing: leave '
        '`jit` out'
      )
    self.model, self.tap = model, tap
    self._resize = device_resize.compiled() if resizes else None
    self._ranks, self._announces, self._tta = ranks, announces, tta
    self._strategy = strategy
    self.batch_size = batch_size
    self._jit = jit
    self._parts, self._lock = 1, threading.Lock()
    self._step = Step(self._answer, strategy, jit, model.backend.calls_at_once)

  def _answer(self, inputs):
    pixels, *labels = inputs
    images = self._resize(pixels) if self._resize else pixels
    if self.tap is None:
      return self._of_scores(self._scores(images), labels)
    scores, features = self.tap.during(lambda: self._scores(images))
    return self._of_scores(scores, labels) | {'features': features}

  def _of_scores(self, scores, labels):
    if not labels:
      return {'scores': scores}
    scores = tf.ensure_shape(scores, [None, self.model.outputs])
    found, is_logits = {}, self.model.output == LOGITS
    for rule, of_rule in zip(self._ranks.rules, labels, strict=True):
      kept, contest = kept_classes(self._ranks, rule), self._ranks.contests.get(rule)
      ranks = device_ranking.ranked(scores, of_rule, kept, is_logits, contest)
      found |= {name + suffix(rule): value for name, value in ranks.items()}
    return found

  def _scores(self, pixels: tf.Tensor) -> tf.Tensor:
    return views.averaged(self.model, pixels, self._tta)

  def __call__(self, pixels: Pixels) -> np.ndarray:
    """Returns float32 [n, classes] for the pixels of a `Batch`, n <= batch_size.

    Not where it ranks.
    """
    placed = placement.place(self._strategy, self.batch_size, (pixels,))
    return self.result(self.submit(placed)).values['scores']

  def place(self, batch: Batch) -> Placed:
    """Brings what is computed with of a batch to where that is done."""
    labels = self._labels(batch) if self._ranks is not None else ()
    inputs = batch.pixels, *labels
    try:
      return placement.place(self._strategy, self.batch_size, inputs, batch.ids)
    except tf.errors.OpError as error:
      if not is_out_of_memory(error):
        raise
      # Its steps take what they need from where it is, when there is room.
      return placement.left(self._strategy, self.batch_size, inputs, batch.ids)

  def _labels(self, batch: Batch) -> tuple[tf.Tensor, ...]:
    """Returns which output is the label of each image, under each rule."""
    return tuple(
      tf.constant(self._ranks.columns_of(batch.labels, rule), tf.int64)
      for rule in self._ranks.rules
    )

  def submit(self, placed: Placed) -> InFlight:
    """Starts the steps of a batch; what it returns is for `result`.

    Where memory runs out, there are twice as many of half the size from then on.

    Raises:
      UserError: the model cannot run on them.
    """
    with self.model.in_time():
      while True:
        parts = self._parts
        try:
          return InFlight(placed, self._outputs(placed, parts))
        except tf.errors.OpError as error:
          if not is_out_of_memory(error):
            raise
          self._halve(parts, error)

  def result(self, started: InFlight) -> Answers:
    """Waits for a batch that `submit` started.

    Raises:
      UserError: the model returned another shape, or cannot run on the images.
    """
    while True:
      with self.model.in_time():
        try:
          return Answers(self._fetch(started), self._size(len(started.outputs)))
        except UserError:
          raise
        except Exception as error:  # The model may be anyone's.
          if not is_out_of_memory(error):
            raise self._failed(started.placed, error) from error
          self._halve(len(started.outputs), error)
      started = self.submit(started.placed)

  def _outputs(self, placed: Placed, parts: int) -> list[Any]:
    """Starts so many steps."""
    inputs = placement.parts(self._strategy, placed, parts)
    try:
      return [self._step.start(part) for part in inputs]
    except UserError:
      raise
    except Exception as error:  # The model may be anyone's.
      if is_out_of_memory(error):
        raise
      if self._jit and self._runs_uncompiled(inputs[0]):
        raise UserError(
          f'{self.model.name} cannot be compiled by XLA: leave `jit` out:'
          f' {errors.one_line(error)}'
        ) from error
      raise self._failed(placed, error) from error

  def _failed(self, placed: Placed, error: Exception) -> UserError:
    if self.model.takes_encoded:
      found = undecoded.first(self.model, self._strategy, placed)
      if found is not None:
        return found
    named = f' ({placed.ids[0]} to {placed.ids[-1]})' if placed.ids else ''
    what = 'encoded images' if self.model.takes_encoded else f'images of {placed.shape}'
    return UserError(
      f'{self.model.name} cannot run on {what}{named}: {errors.one_line(error)}'
    )

  def _size(self, parts: int) -> int:
    """Returns how many images are in a step, at most, where so many make a batch."""
    replicas = strategies.local_replicas(self._strategy)
    return replicas * -(-self.batch_size // replicas // parts)

  def _halve(self, parts: int, error: Exception) -> None:
    """Has steps be of half the size, where they are of a batch's so many parts.

    Raises:
      UserError: steps have one image for each replica already.
    """
    each = self.batch_size // strategies.local_replicas(self._strategy)
    with self._lock:  # Of threads that start and that fetch.
      if self._parts != parts:
        return  # Another one was there before.
      if parts == each:
        raise UserError(
          f'{self.model.name} does not fit into memory, not even with one image at a '
          'time: give a smaller `input_size`, or another device'
        ) from error
      self._parts = min(2 * parts, each)
    if self._announces:
      _LOG.warning(
        '%s does not fit into memory with steps of %d images: it goes on with %d',
        self.model.name,
        self._size(parts),
        self._size(self._parts),
      )

  def _fetch(self, started: InFlight) -> dict[str, np.ndarray]:
    """Waits for all steps of a batch and puts what they return together."""
    count = started.placed.count
    steps = [self._step.done(one) for one in started.outputs]
    return {
      name: self._together(name, [outputs[name] for outputs in steps])[:count]
      for name in steps[0]
    }

  def _together(self, name: str, outputs: list[Any]) -> np.ndarray:
    """Returns an output of all images: those of a replica follow each other."""
    steps = [
      [np.asarray(one) for one in self._strategy.experimental_local_results(output)]
      for output in outputs
    ]
    space, outputs = self.model.label_space, self.model.outputs
    for one in itertools.chain.from_iterable(steps):
      if name == 'scores' and outputs is not None and one.shape[1:] != (outputs,):
        raise wrong_outputs(self.model.name, one.shape, space)
    found = np.concatenate(
      [one for replica in zip(*steps, strict=True) for one in replica]
    )
    if len(found) != self.batch_size:
      raise wrong_outputs(self.model.name, found.shape, space)
    return found

  def _runs_uncompiled(self, split) -> bool:
    try:
      Step(self._answer, self._strategy, jit=False)(split)
    except Exception:
      return False
    return True


def predict_batch(forward: ForwardPass, batch: Batch) -> np.ndarray:
  """Returns what a model says of a batch: float32 [n, classes].

  Raises:
    UserError: it cannot take the images, or does not return (batch, classes) finite
      numbers of the stated kind; names the example.
  """
  scores = forward(batch.pixels)
  output_checks.check_scores(scores, batch.ids, forward.model)
  return scores
