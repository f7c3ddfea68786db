"""Which step of the optimizer a fit has come to, asked as seldom as can be."""

import logging
from typing import Any

import keras

_LOG = logging.getLogger('tfeval')


class Steps:
  """The steps of an optimizer; batches are others, under gradient accumulation say.

  To ask the optimizer (`iterations`) waits for the device. So it is asked at the ends
  of epochs, and when a step that is waited for is there if each batch makes one.

  Attributes:
    step: the last that is known; of batches seen, where the optimizer takes none.
  """

  def __init__(self):
    self.step = 0
    self._optimizer: Any = None
    self._batch = -1  # Of the epoch, the last that was seen.
    self._unread = 0  # Batches since the optimizer was asked.
    self._batches = 0
    self._counts_batches = False

  def begin_epoch(self, optimizer: Any) -> None:
    """Begins an epoch.

    Args:
      optimizer: that the model was compiled with; None counts batches.
    """
    if optimizer is not self._optimizer or optimizer is None:
      self._counts_batches = optimizer is None
    self._optimizer, self._batch, self._unread = optimizer, -1, 0
    self._first_step, self._first_batch = self._read(), self._batches

  def is_due(self, batch: int, every: int | None) -> bool:
    """Takes note of a batch; returns whether `every` so many steps are over since.

    Args:
      batch: its number in the epoch, from 0; Keras may take several at once.
      every: steps; None for never.
    """
    taken = max(batch - self._batch, 1)
    self._batch = batch
    self._batches += taken
    self._unread += taken
    if every is None or self._unread < every - self.step % every:
      return False
    before = self.step
    return self._read() // every > before // every

  def end_epoch(self) -> None:
    """Asks the optimizer, and counts batches from here on if it has taken no step."""
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
    self._unread = 0
    self.step = (
      self._batches
      if self._counts_batches
      else int(keras.ops.convert_to_numpy(self._optimizer.iterations))
    )
    return self.step
