"""When a callback evaluates, and so has something to add to the logs of a fit."""

from typing import NamedTuple

import keras

from tfeval.models.keras.versions import to_numpy


class Schedule(NamedTuple):
  """Which epochs and batches have an evaluation.

  Attributes:
    every_epochs: at the end of each so many; None for never.
    every_steps: after each so many of the optimizer; None for never.
    batches: of an epoch, None where that is not known.
    first_step: of the optimizer, when the fit begins.
    batches_in_step: that the optimizer accumulates.
    batches_in_call: after which Keras calls callbacks, `steps_per_execution`.
  """

  every_epochs: int | None
  every_steps: int | None
  batches: int | None = None
  first_step: int = 0
  batches_in_step: int = 1
  batches_in_call: int = 1

  @classmethod
  def of_fit(
    cls,
    callback: keras.callbacks.Callback,
    every_epochs: int | None,
    every_steps: int | None,
    last_step: int = 0,
  ) -> 'Schedule':
    """Returns that of a callback in the fit that begins.

    Args:
      callback, every_epochs, every_steps: whose, and what it was given.
      last_step: that was evaluated before, after which steps go on.
    """
    model = callback.model
    optimizer = getattr(model, 'optimizer', None)
    steps = getattr(optimizer, 'iterations', 0)
    return cls(
      every_epochs,
      every_steps,
      (callback.params or {}).get('steps'),
      max(last_step, int(to_numpy(steps))),
      getattr(optimizer, 'gradient_accumulation_steps', None) or 1,
      _steps_per_execution(model),
    )

  @property
  def every_batches(self) -> int | None:
    """Batches from one evaluation to the next between epochs; None without any."""
    return self.every_steps and self.every_steps * self.batches_in_step

  @property
  def is_in_each_epoch(self) -> bool | None:
    """Whether the logs of each epoch have an evaluation; None: that is not known."""
    if self.every_epochs == 1:
      return True
    if self.every_batches is None:
      return False
    return self.batches and self.every_batches <= self.batches

  @property
  def is_at_ends(self) -> bool | None:
    """Whether what an epoch logs was evaluated at its end; None: not known."""
    if self.every_epochs == 1 or self.every_batches is None:
      return True
    return self.batches and not (
      self.batches % self.every_batches or self.first_step % self.every_steps
    )

  def is_at_each(self, batches: int) -> bool:
    """Returns whether each so many batches since the fit began have an evaluation."""
    return (
      self.every_batches is not None
      and not batches % self.every_batches
      and not self.first_step % self.every_steps
      and not self.every_batches % self.batches_in_call
    )


def _steps_per_execution(model: keras.Model) -> int:
  found = getattr(model, 'steps_per_execution', None)
  if found is None:  # Keras 2 has a variable.
    found = getattr(model, '_steps_per_execution', None)
  return int(to_numpy(found)) if found is not None else 1
