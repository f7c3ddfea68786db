"""The metrics of `tfeval.keras` for Keras 2 (`tf_keras`): the same counts.

    from tfeval.keras import legacy

    model.compile('sgd', loss, metrics=[legacy.TopK(1)])  # A tf_keras.Model.

Where TF_USE_LEGACY_KERAS=1 makes `tf.keras` Keras 2, `tfeval.keras` has these.
`EvaluateCallback` is for both.
"""

from typing import Any

from tfeval.keras import right_classes
from tfeval.utils.errors import UserError

try:
  import tf_keras
except ImportError as error:
  raise UserError(
    'tfeval.keras.legacy is for Keras 2, which is not installed: pip install tf_keras'
  ) from error


@tf_keras.saving.register_keras_serializable(package='tfeval')
class RealTopK(right_classes.OfSets, tf_keras.metrics.Metric):
  """ReaL top-k accuracy in Keras 2; see `tfeval.keras.metrics.RealTopK`."""


@tf_keras.saving.register_keras_serializable(package='tfeval')
class RealTop1(RealTopK):
  """ReaL accuracy in Keras 2; see `tfeval.keras.metrics.RealTop1`."""

  def __init__(self, name: str | None = None):
    super().__init__(1, name)

  def get_config(self) -> dict[str, Any]:
    return {'name': self.name}


@tf_keras.saving.register_keras_serializable(package='tfeval')
class TopK(right_classes.OfOne, tf_keras.metrics.Metric):
  """Top-k accuracy in Keras 2; see `tfeval.keras.metrics.TopK`."""
