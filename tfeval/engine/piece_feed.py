"""Batches of one range of positions after another, through one pipeline.

To begin a pipeline takes most of a second, whatever it reads: its graphs are optimised
and its functions instantiated. A worker does thousands of short ranges; here they go
through a queue into a pipeline that is begun once.
"""

from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from tfeval.engine import pipeline

# Of a queue that nobody fills any more the pipeline ends.
_FOREVER = 1 << 62


class PieceFeed:
  """A pipeline that is kept; ranges are asked for one after another."""

  def __init__(self, batches: Callable[[tf.Tensor, tf.Tensor], tf.data.Dataset]):
    """Begins nothing yet.

    Args:
      batches: makes the batches of the positions from `start` to before `stop`, int64
        [] each, inside of a graph; see `pipeline.batched`.
    """
    self._batches = batches
    self._queue: tf.queue.FIFOQueue | None = None
    self._iterator: Iterator[dict[str, Any]] | None = None

  def over(self, positions: range) -> Iterator[dict[str, tf.Tensor]]:
    """Yields the batches of a range, as the pipeline of that range alone would.

    Raises:
      tf.errors.OpError: what stops that pipeline.
    """
    if self._iterator is None:
      self._begin()
    is_done = False
    bounds = tf.constant([positions.start, positions.stop], tf.int64)
    self._queue.enqueue(bounds)
    try:
      while len((batch := next(self._iterator))['position']):
        yield batch
      is_done = True
    finally:
      # Of what is left in it nobody knows where it begins.
      if not is_done:
        self.close()

  def _begin(self) -> None:
    self._queue = tf.queue.FIFOQueue(1, [tf.int64], [[2]])
    queue = self._queue
    asked = tf.data.Dataset.range(_FOREVER).map(lambda _: queue.dequeue())
    found = asked.flat_map(self._with_end).prefetch(2)
    self._iterator = iter(found.with_options(pipeline.options()))

  def _with_end(self, bounds: tf.Tensor) -> tf.data.Dataset:
    """Returns the batches of a range, and behind them one of no examples."""
    batches = self._batches(bounds[0], bounds[1])
    nothing = tf.nest.map_structure(
      lambda spec: tf.zeros([0, *(side or 0 for side in spec.shape[1:])], spec.dtype),
      batches.element_spec,
    )
    return batches.concatenate(tf.data.Dataset.from_tensors(nothing))

  def close(self) -> None:
    """Lets go of the pipeline; what is asked for next begins a new one."""
    if self._queue is not None:
      self._queue.close(cancel_pending_enqueues=True)
    self._queue = self._iterator = None
