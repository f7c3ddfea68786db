"""An evaluator that has its data, and waits for the model that a `fit` builds."""

from collections.abc import Sequence
from typing import Any

import keras

from tfeval.datasets.options import SKIP
from tfeval.evaluation import resolve
from tfeval.evaluation.config import GIVEN, WARN
from tfeval.evaluation.evaluator import Evaluator
from tfeval.evaluation.preflight import preflight
from tfeval.models.keras import wrap
from tfeval.preprocess.protocol import ENCODED


class WaitingEvaluator(Evaluator):
  """Evaluates a model that `take` is given, once it is there."""

  def __init__(
    self,
    trained: keras.Model,
    dataset: Any,
    *,
    name: str | None = None,
    classes: Sequence[str] | int | None = None,
    progress: bool | None = None,
    **given: Any,
  ):
    """Opens the dataset, but for one whose classes only the model tells.

    Args:
      trained: tells the strategy; it may not be built yet.
      dataset, name, classes, progress, **given: see `evaluator.evaluate`.

    Raises:
      UserError: something that the user can fix.
    """
    self._open_data(trained, dataset, name, classes, progress, given)
    if self._own is None or self._own.told_classes is not None:
      self._open(trained, None)

  def check(self, model: keras.Model) -> None:
    """Checks what can be checked of a model that is not built yet.

    Raises:
      UserError: keywords lack something that it will not tell.
    """
    wrap.check_waiting(model, self._name, self._requested.model)

  def look(self) -> None:
    """Runs the preflight, which warns of what it finds."""
    protocol = resolve.resolve_protocol(self._request, self._config, self.model)
    skips = self._requested.dataset.on_error == SKIP
    sample = preflight.read_sample(self._runtime.dataset, protocol, skip_errors=skips)
    preflight.preflight(
      self.model,
      sample,
      WARN,
      self._runtime.progress,
      self._forward.batch_size,
      protocol.library not in (GIVEN, ENCODED),
      training=True,
    )
