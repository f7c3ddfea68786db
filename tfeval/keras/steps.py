"""Which step of the optimizer a fit has come to, asked as seldom as can be."""

import logging
from typing import Any

from tfeval.models.keras.versions import to_numpy

_LOG = logging.getLogger('tfeval')


class Steps:
  """The steps of an optimizer; batches are others, under gradient accumulation say.

  To read the optimizer's `iterations` costs as much as 6 % of a step of 5 ms: it
  is read at the ends of epochs, and where the next step that is due may be there.

  An optimizer that has counted less than there was before, such as a new one for the
  second phase of a training, goes on after that.

  Attributes:
    step: the last that was read; of batches seen, where the optimizer takes none.
  """

  def __init__(self):
    self.step, self._before = 0, 0
    self._optimizer: Any = None
    self._counts_batches = True
    self._batches = 0
    self._batch = -1  # Of the epoch, the last that was seen.
    self._batches_read = 0  # Batches when `step` was read.

  def go_on_after(self, step: int) -> None:
    """Goes on after a step that was evaluated before."""
    self.step = max(self.step, step)

  def begin_epoch(self, optimizer: Any) -> None:
    """Begins an epoch.

    Args:
      optimizer: that the model was compiled with; None counts batches.
    """
    if optimizer is not self._optimizer:
      self._counts_batches = optimizer is None
    self._optimizer, self._batch = optimizer, -1
    self._first_step, self._first_batch = self._read(), self._batches

  def is_due(self, batch: int, every: int | None) -> bool:
    """Takes note of a batch; returns whether `every` so many steps are over since.

    Args:
      batch: its number in the epoch, from 0; Keras may take several at once.
      every: steps; None for never.
    """
    self._batches += max(batch - self._batch, 1)
    self._batch, before = batch, self.step
    # A batch makes one step at most.
    if every is None or self._batches - self._batches_read < every - before % every:
      return False
    return self._read() // every > before // every

  def end_epoch(self) -> None:
    """Reads the step, and counts batches from here on if there was none."""
    accumulated = getattr(self._optimizer, 'gradient_accumulation_steps', None) or 1
    if (
      self._read() == self._first_step
      and not self._counts_batches
      and self._batches - self._first_batch >= accumulated
    ):
      _LOG.warning(
        'the optimizer that the model was compiled with has taken no step in an '
        'epoch: batches are counted as steps'
      )
      self._counts_batches = True
      self._read()

  def _read(self) -> int:
    self._batches_read = self._batches
    counted = self._batches
    if not self._counts_batches:
      # Not int(iterations): that of a strategy is none.
      counted = int(to_numpy(self._optimizer.iterations))
    self._before = max(self._before, self.step - counted)
    self.step = self._before + counted
    return self.step
