"""Models of Keras 2, as `tf_keras` and TF_USE_LEGACY_KERAS=1 bring it."""

import sys
from collections.abc import Mapping
from typing import Any

from tfeval.models.keras.backend import KerasBackend
from tfeval.models.keras.versions import is_legacy


def backend_of(model: Any) -> KerasBackend:
  """Returns what runs a model of Keras or of Keras 2."""
  return LegacyKerasBackend(model) if is_legacy(model) else KerasBackend(model)


class LegacyKerasBackend(KerasBackend):
  """A `tf_keras.Model`, called with `training=False`."""

  def describe(self) -> dict[str, Any]:
    described = super().describe()
    described['versions']['tf_keras'] = sys.modules['tf_keras'].__version__
    return described

  def outputs(self) -> Mapping[str, Any]:
    outputs = getattr(self.model, 'outputs', None) or []
    # A subclass has something else there after its first image.
    if not all(hasattr(one, '_keras_history') for one in outputs):
      return {}
    structure = getattr(self.model, '_nested_outputs', None)
    if isinstance(structure, Mapping) and len(structure) == len(outputs):
      return dict(structure)
    return dict(zip(self.model.output_names, outputs, strict=True)) if outputs else {}
