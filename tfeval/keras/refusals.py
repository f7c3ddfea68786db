"""Ends a `fit` or `evaluate` after the batch that a metric of counts refuses.

Graphs cannot refuse values: XLA drops assertions. Such a metric shows NaN there, and
would only raise where Keras reads it, at the end of an epoch.
"""

from typing import Any

import keras

from tfeval.keras import callers


class _AfterBatches(keras.callbacks.Callback):
  """Has metrics raise what they refused, where logs show that they may have."""

  def __init__(self):
    super().__init__()
    self.checked: list[Any] = []

  def _implements_train_batch_hooks(self) -> bool:  # Keras 2 asks.
    return True

  _implements_test_batch_hooks = _implements_train_batch_hooks
  _implements_predict_batch_hooks = _implements_train_batch_hooks

  def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
    # Logs are numbers here: nothing is read from a device without need.
    if any(value != value for value in (logs or {}).values()):
      for metric in self.checked:
        metric.check_refused()

  on_test_batch_end = on_train_batch_end


def check_after_batches(metric: Any) -> None:
  """Has a metric checked after each batch of what Keras is running.

  Args:
    metric: has a `check_refused`; its `result` is NaN in graphs where that raises.
  """
  running = callers.running_callbacks()
  if running is None:
    return
  after = next((one for one in running.callbacks if type(one) is _AfterBatches), None)
  if after is None:
    after = _AfterBatches()
    running.callbacks.append(after)
    for mode in ('train', 'test'):  # Keras 2 has asked the others already.
      setattr(running, f'_should_call_{mode}_batch_hooks', True)
  if all(one is not metric for one in after.checked):
    after.checked.append(metric)
